"""The files that a .deb installs, read once when it enters: for Contents indices.

Reads POSIX ustar with GNU long names, which is what dpkg unpacks. Bounded: in entries, in bytes of names, and in
bytes unpacked on the way, so that no archive can hold a publication for ever.
"""

import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import zstandard

from builders.apt.archive import TAR_BLOCK, XZ_MEMORY, BadArchive, Member, data_member, tar_size

MOST_ENTRIES = 1 << 20
MOST_NAMES = 64 << 20
MOST_NAME = 1 << 16
MOST_DATA = 64 << 30
BLOCK = 1 << 20
"""Bytes; the largest package of Debian 13 unpacks to about 4 GB."""
FOLDER, LONG_NAME = b"5", b"L"
LISTED = (b"0", b"\0", b"7", b"1", b"2", b"3", b"4", b"6")


def files_of(path: Path) -> bytes:
    """Return what the .deb at ``path`` installs, without folders: a path a line, no leading slash, sorted.

    Raises BadArchive for what dpkg would not unpack or passes a bound, OSError from reading.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        names = sorted(set(_names(_Stream(unpacked(handle)))))
    finally:
        os.close(handle)
    return b"".join(name + b"\n" for name in names)


def unpacked(handle: int) -> Iterator[bytes]:
    """Yield the data archive of an open .deb in pieces; raises BadArchive, and OSError from reading."""
    return _plain(handle, data_member(handle))


def _names(stream: "_Stream") -> Iterator[bytes]:
    long_name, total, offset = b"", 0, 0
    for _ in range(MOST_ENTRIES):
        header = stream.take(TAR_BLOCK)
        if len(header) < TAR_BLOCK or not header.strip(b"\0"):
            stream.drain()  # so that a checksum at the very end is looked at too
            return
        size, kind = tar_size(header, offset), header[156:157]
        padded = (size + TAR_BLOCK - 1) // TAR_BLOCK * TAR_BLOCK
        offset += TAR_BLOCK + padded
        if kind == LONG_NAME:
            if size > MOST_NAME:
                raise BadArchive(f"a name of {size} bytes in its data archive")
            long_name = stream.take(padded)[:size].split(b"\0", 1)[0]
            continue
        stream.skip(padded)
        name, long_name = long_name or _short_name(header), b""
        total += len(name)
        if total > MOST_NAMES:
            raise BadArchive(f"its data archive holds more than {MOST_NAMES} bytes of names")
        if kind in LISTED and (clean := name.removeprefix(b"./").lstrip(b"/")) and b"\n" not in clean:
            yield clean
    raise BadArchive(f"its data archive holds more than {MOST_ENTRIES} entries")


def _short_name(header: bytes) -> bytes:
    name = header[:100].split(b"\0", 1)[0]
    prefix = header[345:500].split(b"\0", 1)[0] if header[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


class _Stream:
    """Unpacked bytes, taken in order."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""
        self._taken = 0

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes, fewer at the end."""
        parts, missing = [], size
        while missing:
            if not self._rest:
                self._rest = next(self._chunks, b"")
                if not self._rest:
                    break
            parts.append(self._rest[:missing])
            self._rest = self._rest[missing:]
            missing -= len(parts[-1])
        self._count(size - missing)
        return b"".join(parts)

    def skip(self, size: int) -> None:
        """Pass over ``size`` bytes; raises BadArchive where they end before."""
        missing = size
        while missing:
            if not self._rest:
                self._rest = next(self._chunks, b"")
                if not self._rest:
                    raise BadArchive("its data archive is truncated")
            here = min(missing, len(self._rest))
            self._rest = self._rest[here:]
            missing -= here
            self._count(here)

    def drain(self) -> None:
        """Pass over what is left."""
        for chunk in self._chunks:
            self._count(len(chunk))

    def _count(self, size: int) -> None:
        self._taken += size
        if self._taken > MOST_DATA:
            raise BadArchive(f"its data archive unpacks to more than {MOST_DATA} bytes")


def _plain(handle: int, member: Member) -> Iterator[bytes]:
    """Yield a member's unpacked content in pieces."""
    suffix = member.name.removeprefix("data.tar")
    makers: dict[str, Callable[[Iterator[bytes]], Iterator[bytes]]] = {
        "": lambda packed: packed, ".gz": _gunzipped, ".xz": _unxzipped, ".lzma": _unxzipped, ".zst": _unzstded,
    }  # fmt: skip
    if suffix not in makers:
        raise BadArchive(f"compression of {member.name} is not known")
    try:
        yield from makers[suffix](_packed(handle, member))
    except (zlib.error, lzma.LZMAError, zstandard.ZstdError) as error:
        raise BadArchive(f"its data archive does not unpack: {error}") from error


def _packed(handle: int, member: Member) -> Iterator[bytes]:
    offset, end = member.start, member.start + member.size
    while offset < end:
        block = os.pread(handle, min(BLOCK, end - offset), offset)
        if not block:
            raise BadArchive("truncated while it was read")
        offset += len(block)
        yield block


def _gunzipped(packed: Iterator[bytes]) -> Iterator[bytes]:
    engine = zlib.decompressobj(31)
    for block in packed:
        rest = block
        while rest and not engine.eof:
            yield engine.decompress(rest, BLOCK)
            rest = engine.unconsumed_tail
    if not engine.eof:
        raise BadArchive("its data archive is truncated")


def _unxzipped(packed: Iterator[bytes]) -> Iterator[bytes]:
    engine = lzma.LZMADecompressor(lzma.FORMAT_AUTO, memlimit=XZ_MEMORY)
    for block in packed:
        if engine.eof:
            return
        yield engine.decompress(block, BLOCK)
        while not engine.eof and not engine.needs_input:
            yield engine.decompress(b"", BLOCK)
    if not engine.eof:
        raise BadArchive("its data archive is truncated")


def _unzstded(packed: Iterator[bytes]) -> Iterator[bytes]:
    engine = zstandard.ZstdDecompressor(max_window_size=XZ_MEMORY).decompressobj()
    for block in packed:
        for start in range(0, len(block), 1 << 14):  # this engine has no bound on what one piece gives
            if not engine.eof:
                yield engine.decompress(block[start : start + (1 << 14)])
    if not engine.eof:
        raise BadArchive("its data archive is truncated")
