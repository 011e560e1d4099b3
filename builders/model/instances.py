"""Paths that dpkg refuses of a package with ``Multi-Arch: same`` beside the same version of it for another CPU.

Tried with dpkg 1.21.22 and 1.22.22 (tests/component/checks/static/test_multi_arch.py): files at one path must be equal
byte for byte, links lead to the same place. Times, modes and owners may differ. In some cases dpkg refuses only one
order of installation, as of a file where the other package has a folder: boards know either order.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from builders.model.deb_file import conffiles_of, control_of, members
from builders.model.packages import SOURCE, DebFile

FOLDER, FILE, LINK, HARD_LINK, OTHER = "folder", "file", "link", "hard link", "special file"


@dataclass(frozen=True)
class InstalledPath:
    """The kind of a path in a package, its ``content`` (a digest, or where it leads), and whether it is a conffile."""

    kind: str
    content: str = ""
    conffile: bool = False


def is_same(deb: DebFile) -> bool:
    """Return whether a board may have a package for several CPUs at once; raises PackageError."""
    return deb.architecture not in ("all", SOURCE) and control_of(deb.path).get("Multi-Arch") == "same"


def partners(deb: DebFile, others: Iterable[DebFile]) -> list[DebFile]:
    """Return those of ``others`` that are the same version of ``deb`` for another CPU, each CPU once."""
    found = {
        other.architecture: other
        for other in others
        if (other.package, other.version) == (deb.package, deb.version)
        and other.architecture not in (deb.architecture, "all", SOURCE)
    }
    return [found[name] for name in sorted(found)]


def paths_of(deb: DebFile) -> dict[str, InstalledPath]:
    """Return every path that a package installs, absolute; raises PackageError."""
    conffiles = set(conffiles_of(deb.path))
    result = {}
    for member, content in members(deb.path):
        path = "/" + member.name.removeprefix(".").strip("/")
        if content is not None:
            result[path] = InstalledPath(FILE, hashlib.sha256(content).hexdigest(), path in conffiles)
        elif member.isdir():
            result[path] = InstalledPath(FOLDER)
        elif member.issym():
            result[path] = InstalledPath(LINK, member.linkname)
        elif member.islnk():
            result[path] = InstalledPath(HARD_LINK, member.linkname)
        else:
            result[path] = InstalledPath(OTHER, f"{member.type!r} {member.devmajor}:{member.devminor}")
    return result


def differences(mine: Mapping[str, InstalledPath], theirs: Mapping[str, InstalledPath]) -> list[str]:
    """Return a line for each path that both have and dpkg does not share between them."""
    shared = sorted(mine.keys() & theirs.keys())
    return [f"{path}: {reason}" for path in shared if (reason := _difference(path, mine[path], theirs[path]))]


def _difference(path: str, mine: InstalledPath, theirs: InstalledPath) -> str:
    kinds = {mine.kind, theirs.kind}
    if kinds in ({FOLDER}, {FOLDER, LINK}):
        return ""
    if HARD_LINK in kinds:
        return "dpkg shares no hard links"
    if mine.kind != theirs.kind:
        return f"a {mine.kind} and a {theirs.kind}"
    if mine.content != theirs.content:
        if mine.kind == LINK:
            return f"links to {mine.content} and {theirs.content}"
        return "different content" + (" (gzip -n stores no time)" if path.endswith(".gz") else "")
    return "a conffile of only one" if mine.conffile != theirs.conffile else ""
