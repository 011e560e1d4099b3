"""Comparing two builds of the same input, down to the files inside their .debs."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from builders.debfile import members
from builders.products import DebFile, SourcePackage


def compare(first: Sequence[DebFile], second: Sequence[DebFile]) -> list[str]:
    """Return a line for each .deb (and each file inside) that differs between two builds, empty where none does."""
    lines = []
    others = {one.package: one for one in second}
    for one in first:
        other = others.pop(one.package, None)
        if other is None:
            lines.append(f"{one.package}: only in the first build")
        elif one.sha256 != other.sha256:
            lines.append(f"{one.package}: sha256 {one.sha256[:16]} and {other.sha256[:16]}")
            lines += [f"  {name}" for name in _differing_members(one.path, other.path)]
    return lines + [f"{name}: only in the second build" for name in others]


def compare_sources(first: SourcePackage | None, second: SourcePackage | None) -> list[str]:
    """Return a line for each file of a source package that differs between two builds, empty where none does."""
    one, other = ({file.path.name: file.sha256[:16] for file in some.files} if some else {} for some in (first, second))
    names = [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]
    return [f"{name}: sha256 {one.get(name, 'absent')} and {other.get(name, 'absent')}" for name in names]


def _differing_members(first: Path, second: Path) -> list[str]:
    def facts(path: Path) -> dict[str, tuple[object, ...]]:
        return {
            str(entry.name): (entry.mode, entry.mtime, str(entry.linkname), hashlib.sha256(content or b"").hexdigest())
            for entry, content in members(path)
        }

    one, other = facts(first), facts(second)
    names = [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]
    return names or ["the files inside agree; the control archive or the packing differs"]
