"""Reads a .dsc (dsc(5), Debian Policy 5.4), strictly and within limits; `layout` checks every name in it."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builders.apt.indices.deb822 import BadControl, parsed, written

LISTS = {"Checksums-Sha1": "sha1", "Checksums-Sha256": "sha256", "Files": "md5"}
"""The fields that list files, each with its digest: dpkg-source writes all three, and clients may read any."""
NEEDED = ("Format", "Source", "Version", *LISTS)
RESERVED = frozenset(("package", "directory", "priority", "section"))
"""Fields that the index adds (Debian RepositoryFormat, Sources)."""
LINE = re.compile(r" ([0-9a-f]+) ([0-9]{1,15}) (\S+)")
MOST_SIZE, MOST_PARTS = 1 << 20, 64
"""Bytes of a .dsc, and files that it may name."""


@dataclass(frozen=True)
class Part:
    """One file of a source package: ``digests`` in hex by algorithm."""

    name: str
    size: int
    digests: Mapping[str, str]


def fields_of(content: bytes) -> dict[str, str]:
    """Return the fields of a .dsc in their order; raises BadControl for an invalid, truncated or signed .dsc.

    A signature inside is refused: Release's signature covers the file, and signing again would change the bytes.
    """
    if len(content) > MOST_SIZE:
        raise BadControl(f"it has {len(content)} bytes, more than {MOST_SIZE}")
    if not content.endswith(b"\n"):
        raise BadControl("it is truncated")
    fields = parsed(content)
    for name in NEEDED:
        if not fields.get(name):
            raise BadControl(f"the field {name} is missing")
    if taken := [name for name in fields if name.lower() in RESERVED]:
        raise BadControl(f"only the archive may set the field {taken[0]}")
    return fields


def parts_of(fields: Mapping[str, str]) -> list[Part]:
    """Return the files that a .dsc names, in its order; raises BadControl where its lists disagree."""
    lists = {kind: dict(_lines(name, fields[name])) for name, kind in LISTS.items()}
    sizes = {kind: {name: size for name, (size, _) in some.items()} for kind, some in lists.items()}
    if any(some != sizes["sha256"] for some in sizes.values()):
        raise BadControl(f"{', '.join(LISTS)} do not name the same files")
    if not 0 < len(sizes["sha256"]) <= MOST_PARTS:
        raise BadControl(f"it names {len(sizes['sha256'])} files, expected 1 to {MOST_PARTS}")
    return [
        Part(name, size, {kind: some[name][1] for kind, some in lists.items()})
        for name, size in sizes["sha256"].items()
    ]


def part_of(path: Path) -> Part:
    """Return a file's name, size and digests; raises OSError."""
    engines = [hashlib.new(kind, usedforsecurity=False) for kind in LISTS.values()]
    size = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            size += len(block)
            for engine in engines:
                engine.update(block)
    return Part(path.name, size, {engine.name: engine.hexdigest() for engine in engines})


def stanza(fields: Mapping[str, str], directory: str, files: Sequence[Part]) -> bytes:
    """Return a source package's entry of a Sources file, without the empty line after it.

    ``files`` are the .dsc and the files that it names, all in ``directory`` of the repository.
    """
    kept = [(name, value) for name, value in fields.items() if name not in ("Source", *LISTS)]
    lists = [(name, _list(files, kind)) for name, kind in LISTS.items()]
    return written([("Package", fields["Source"]), *kept, ("Directory", directory), *lists])


def _list(files: Iterable[Part], kind: str) -> str:
    return "".join(f"\n {part.digests[kind]} {part.size} {part.name}" for part in files)


def _lines(field: str, value: str) -> Iterator[tuple[str, tuple[int, str]]]:
    found: set[str] = set()
    digits = hashlib.new(LISTS[field], usedforsecurity=False).digest_size * 2
    for line in value.split("\n")[1:]:
        match = LINE.fullmatch(line)
        if match is None or len(match[1]) != digits or match[3] in found:
            raise BadControl(f"invalid or duplicate line of {field}: {line[:120]!r}")
        found.add(match[3])
        yield match[3], (int(match[2]), match[1])
