"""The text of a suite's index files, in pieces that stay the same when something elsewhere changes.

A piece ends where a name's own checksum says so, not after so many bytes: a package that arrives changes the piece it
falls into and no other, whatever was published before, and the same content always gives the same bytes.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from builders.apt.index import Entry

PACKAGES_A_PIECE = 256
PATHS_A_PIECE = 8192
"""How many names a piece holds on average: small enough to pack in a moment, large enough to pack well."""

Lists = Mapping[str, bytes]
"""The files of .debs (`filelist`) by the .deb's SHA-256."""


@dataclass(frozen=True)
class IndexText:
    """One index: its path below ``dists/<suite>``, its text in pieces, whether the plain file is written as well."""

    path: str
    pieces: tuple[bytes, ...]
    plain: bool = True
    forms: tuple[str, ...] = (".gz", ".xz", ".zst")


def texts(
    entries: Sequence[Entry], components: Sequence[str], architectures: Sequence[str], lists: Lists | None
) -> Iterator[IndexText]:
    """Yield every index of a suite; ``entries`` in index order; no Contents where ``lists`` is None."""
    for component in components:
        mine = [entry for entry in entries if entry.component == component]
        yield IndexText(f"{component}/i18n/Translation-en", _pieces(_translation(mine), PACKAGES_A_PIECE))
        for architecture in architectures:
            here = [entry for entry in mine if entry.architecture in (architecture, "all")]
            stanzas = ((entry.package.encode(), entry.stanza + b"\n") for entry in here)
            yield IndexText(f"{component}/binary-{architecture}/Packages", _pieces(stanzas, PACKAGES_A_PIECE))
            if lists is not None:
                lines = _contents(here, lists)
                yield IndexText(
                    f"{component}/Contents-{architecture}", _pieces(lines, PATHS_A_PIECE), plain=False, forms=(".gz",)
                )


def _pieces(named: Iterable[tuple[bytes, bytes]], size: int) -> tuple[bytes, ...]:
    """Join texts into pieces that begin at every name whose checksum is a multiple of ``size``."""
    result: list[bytes] = []
    piece: list[bytes] = []
    last = b""
    for name, text in named:
        if name != last:
            last = name
            if piece and not zlib.crc32(name) % size:
                result.append(b"".join(piece))
                piece = []
        piece.append(text)
    return (*result, b"".join(piece))


def _translation(entries: Iterable[Entry]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the long descriptions (Debian RepositoryFormat, Translation), each once."""
    known: set[tuple[str, bytes]] = set()
    for entry in entries:
        if entry.description and (entry.package, entry.description) not in known:
            known.add((entry.package, entry.description))
            name = entry.package.encode()
            text = b"Package: %s\nDescription-md5: %s\nDescription-en: %s\n\n"
            yield name, text % (name, entry.description_md5, entry.description)


def _contents(entries: Iterable[Entry], lists: Lists) -> Iterator[tuple[bytes, bytes]]:
    """Yield the lines of a Contents index (Debian RepositoryFormat): a path and the packages that hold it."""
    owners: dict[bytes, bytes] = {}
    for entry in entries:
        owner = entry.section.encode() + b"/" + entry.package.encode()
        for path in lists[entry.sha256].split(b"\n"):
            there = owners.setdefault(path, owner)
            if there != owner and owner not in there.split(b","):
                owners[path] = there + b"," + owner
    owners.pop(b"", None)
    for path in sorted(owners):
        yield path, b"%s\t%s\n" % (path, owners[path])


Pack = Callable[[str, tuple[bytes, ...]], bytes]
"""Makes one compressed file (by its suffix) of pieces."""


def files(index: IndexText, pack: Pack) -> Iterator[tuple[str, bytes]]:
    """Yield an index's files: path below ``dists/<suite>`` and bytes."""
    if index.plain:
        yield index.path, b"".join(index.pieces)
    for suffix in index.forms:
        yield index.path + suffix, pack(suffix, index.pieces)
