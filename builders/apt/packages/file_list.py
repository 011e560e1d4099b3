"""The files that a .deb installs, read once when it arrives: for Contents indices.

Reads POSIX ustar with GNU long names, as dpkg unpacks. Entries, bytes of names and unpacked bytes are limited, so that
no archive can block a publication.
"""

import bz2
import lzma
import os
import zlib
from collections.abc import Callable, Collection, Iterator

import zstandard

from builders.apt.packages.ar_reader import TAR_BLOCK, XZ_MEMORY, BadArchive, Member, tar_size

MOST_ENTRIES = 1 << 20
MOST_NAMES = 64 << 20
MOST_NAME = 1 << 16
MOST_DATA = 64 << 30
BLOCK = 1 << 20
"""Bytes; the largest package of Debian 13 unpacks to about 4 GB."""
LONG_NAME = b"L"
REGULAR = (b"0", b"\0", b"7")
LISTED = (*REGULAR, b"1", b"2", b"3", b"4", b"6")
"""Kinds of entries: all but folders."""


def files_of(
    handle: int, data: Member, requested: Collection[bytes] = (), most: int = 0
) -> tuple[bytes, dict[bytes, bytes]]:
    """Return what an open .deb installs by its ``data`` archive: no folders, a path a line, no leading slash, sorted.

    Return too the contents of the files ``requested``, at most ``most`` bytes of each. Raises BadArchive for what dpkg
    would not unpack or what exceeds a limit, OSError from reading.
    """
    names: set[bytes] = set()
    contents: dict[bytes, bytes] = {}
    for name, kind, content in entries(handle, data, requested, most):
        if kind in LISTED and name and b"\n" not in name:
            names.add(name)
        if kind in REGULAR and name in requested:
            contents[name] = content
    return b"".join([name + b"\n" for name in sorted(names)]), contents


def entries(
    handle: int, data: Member, names: Collection[bytes] = (), most: int = 0
) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield each entry of an open .deb's ``data`` archive: its name without a leading slash, its kind, and its content.

    Only the entries ``names`` have their content, at most ``most`` bytes of it. Raises as `files_of` does.
    """
    stream = _Stream(_plain(handle, data))
    long_name, total, offset = b"", 0, 0
    for _ in range(MOST_ENTRIES):
        header = stream.take(TAR_BLOCK)
        if len(header) < TAR_BLOCK or not header.strip(b"\0"):
            stream.drain()  # so that a checksum at the very end is checked
            return
        size, kind = tar_size(header, offset), header[156:157]
        padded = (size + TAR_BLOCK - 1) // TAR_BLOCK * TAR_BLOCK
        offset += TAR_BLOCK + padded
        if kind == LONG_NAME:
            if size > MOST_NAME:
                raise BadArchive(f"a name of {size} bytes in its data archive")
            long_name = stream.take(padded)[:size].split(b"\0", 1)[0]
            continue
        name, long_name = (long_name or _short_name(header)).removeprefix(b"./").lstrip(b"/"), b""
        total += len(name)
        if total > MOST_NAMES:
            raise BadArchive(f"its data archive contains more than {MOST_NAMES} bytes of names")
        content = stream.take(min(size, most)) if name in names else b""
        stream.skip(padded - len(content))
        yield name, kind, content
    raise BadArchive(f"its data archive contains more than {MOST_ENTRIES} entries")


def _short_name(header: bytes) -> bytes:
    name = header[:100].split(b"\0", 1)[0]
    prefix = header[345:500].split(b"\0", 1)[0] if header[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


class _Stream:
    """Unpacked bytes, read in order."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = filter(None, chunks)  # a decompressor that needs more input first returns nothing
        self._chunk, self._at = b"", 0
        self._taken = 0

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes, fewer at the end."""
        part = self._chunk[self._at : self._at + size]
        self._at += size
        if len(part) == size:
            return part
        parts, missing = [part], size - len(part)
        while missing and self._next():
            parts.append(self._chunk[:missing])
            self._at = missing
            missing -= len(parts[-1])
        return b"".join(parts)

    def skip(self, size: int) -> None:
        """Skip ``size`` bytes; raises BadArchive where they end before."""
        self._at += size
        while self._at > len(self._chunk):
            beyond = self._at - len(self._chunk)
            if not self._next():
                raise BadArchive("its data archive is truncated")
            self._at = beyond

    def drain(self) -> None:
        """Skip the rest."""
        while self._next():
            pass

    def _next(self) -> bool:
        """Go to the next chunk and return whether it exists; raises BadArchive above the limit of unpacked bytes."""
        self._chunk, self._at = next(self._chunks, b""), 0
        self._taken += len(self._chunk)
        if self._taken > MOST_DATA:
            raise BadArchive(f"its data archive unpacks to more than {MOST_DATA} bytes")
        return bool(self._chunk)


def _plain(handle: int, member: Member) -> Iterator[bytes]:
    """Yield a member's unpacked content in chunks."""
    suffix = member.name.removeprefix("data.tar")
    makers: dict[str, Callable[[Iterator[bytes]], Iterator[bytes]]] = {
        "": lambda packed: packed, ".gz": _gunzipped, ".xz": _unxzipped, ".lzma": _unxzipped, ".zst": _unzstded,
        ".bz2": _unbzipped,
    }  # fmt: skip
    if suffix not in makers:
        raise BadArchive(f"unknown compression: {member.name}")
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


def _unbzipped(packed: Iterator[bytes]) -> Iterator[bytes]:
    engine = bz2.BZ2Decompressor()
    for block in packed:
        if engine.eof:
            return
        try:
            yield engine.decompress(block, BLOCK)
            while not engine.eof and not engine.needs_input:
                yield engine.decompress(b"", BLOCK)
        except (OSError, ValueError) as error:
            raise BadArchive(f"its data archive does not unpack: {error}") from error
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
        for start in range(0, len(block), 1 << 14):  # this decompressor does not limit what a call returns
            if not engine.eof:
                yield engine.decompress(block[start : start + (1 << 14)])
    if not engine.eof:
        raise BadArchive("its data archive is truncated")
