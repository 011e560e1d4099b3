"""Reads the control file in a .deb, within limits and without starting a program.

Formats: deb(5), ar(5), POSIX ustar; GNU and pax long-name entries are ignored. The bytes are not trusted: each size is
checked against the file before it is used, and unpacking stops at a limit.
"""

import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import zstandard

AR_MAGIC = b"!<arch>\n"
AR_HEADER = 60
TAR_BLOCK = 512
MOST_MEMBERS = 32
MOST_PACKED = 16 << 20
MOST_UNPACKED = 64 << 20
MOST_CONTROL = 1 << 20
XZ_MEMORY = 128 << 20
"""Limits in bytes; the largest control archive of Debian 13 unpacks to about 9 MB (its md5sums list)."""


class BadArchive(ValueError):
    """The bytes are not a .deb; the message says where they differ."""


@dataclass(frozen=True)
class Member:
    """One entry of the outer ar archive: ``start`` is its content's offset, ``size`` its length, in bytes."""

    name: str
    start: int
    size: int


def members_of(handle: int) -> tuple[Member, Member]:
    """Return where the control and the data archive of an open .deb are; raises BadArchive, OSError from reading."""
    members = list(_members(handle, os.fstat(handle).st_size))
    if not members or members[0].name != "debian-binary":
        raise BadArchive("its first member is not debian-binary")
    version = os.pread(handle, min(members[0].size, 16), members[0].start)
    if not version.startswith(b"2."):
        raise BadArchive(f"unknown format version {version!r}")
    # deb(5): names that begin with an underscore are for other tools.
    archives = [member for member in members[1:] if not member.name.startswith("_")]
    if (
        len(archives) < 2
        or not archives[0].name.startswith("control.tar")
        or not archives[1].name.startswith("data.tar")
    ):
        raise BadArchive(f"members are {', '.join(m.name for m in members)}; expected control.tar* and data.tar*")
    return archives[0], archives[1]


def control_bytes(handle: int, control: Member) -> bytes:
    """Return the control file inside the ``control`` archive of an open .deb.

    Raises BadArchive for anything that dpkg would not unpack or that exceeds a limit, OSError from reading.
    """
    if control.size > MOST_PACKED:
        raise BadArchive(f"its control archive is {control.size} bytes, more than {MOST_PACKED}")
    return _control_entry(_unpacked(control.name, os.pread(handle, control.size, control.start)))


def _members(handle: int, end: int) -> Iterator[Member]:
    if os.pread(handle, len(AR_MAGIC), 0) != AR_MAGIC:
        raise BadArchive("it does not begin as an ar archive")
    offset = len(AR_MAGIC)
    for _ in range(MOST_MEMBERS):
        if offset >= end:
            return
        header = os.pread(handle, AR_HEADER, offset)
        if len(header) < AR_HEADER or header[58:60] != b"`\n":
            raise BadArchive(f"truncated or broken at byte {offset}")
        digits = header[48:58].strip()
        size = int(digits) if digits.isdigit() else -1
        start = offset + AR_HEADER
        if size < 0 or start + size > end:
            written = digits.decode("ascii", "replace")
            raise BadArchive(f"truncated: the member at byte {offset} has {written} bytes, {end - start} exist")
        yield Member(header[:16].decode("ascii", "replace").rstrip().removesuffix("/"), start, size)
        offset = start + size + size % 2
    raise BadArchive(f"more than {MOST_MEMBERS} members")


def _unpacked(name: str, packed: bytes) -> bytes:
    kinds: dict[str, Callable[[bytes], bytes]] = {
        "control.tar": lambda content: content,
        "control.tar.gz": _gunzipped,
        "control.tar.xz": _unxzipped,
        "control.tar.zst": _unzstded,
    }
    if name not in kinds:
        raise BadArchive(f"unknown compression: {name}")
    return kinds[name](packed)


def _gunzipped(packed: bytes) -> bytes:
    engine = zlib.decompressobj(31)
    try:
        content = engine.decompress(packed, MOST_UNPACKED)
    except zlib.error as error:
        raise BadArchive(f"its control archive does not unpack: {error}") from error
    return _whole(content, engine.eof)


def _unxzipped(packed: bytes) -> bytes:
    try:
        engine = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
        content = engine.decompress(packed, MOST_UNPACKED)
    except lzma.LZMAError as error:
        raise BadArchive(f"its control archive does not unpack: {error}") from error
    return _whole(content, engine.eof)


def _unzstded(packed: bytes) -> bytes:
    try:
        with zstandard.ZstdDecompressor(max_window_size=XZ_MEMORY).stream_reader(packed) as reader:
            content = reader.read(MOST_UNPACKED)
            return _whole(content, len(content) < MOST_UNPACKED)
    except zstandard.ZstdError as error:
        raise BadArchive(f"its control archive does not unpack: {error}") from error


def _whole(content: bytes, ended: bool) -> bytes:
    if not ended:
        what = f"is more than {MOST_UNPACKED} bytes" if len(content) >= MOST_UNPACKED else "is truncated"
        raise BadArchive(f"its control archive {what}")
    return content


def _control_entry(tar: bytes) -> bytes:
    offset, found = 0, None
    while offset + TAR_BLOCK <= len(tar):  # to the end: dpkg also refuses what is broken after the control file
        header = tar[offset : offset + TAR_BLOCK]
        if not header.strip(b"\0"):
            break
        size = tar_size(header, offset)
        start = offset + TAR_BLOCK
        if start + size > len(tar):
            raise BadArchive("its control archive is truncated")
        name = header[:100].split(b"\0", 1)[0]
        if name in (b"./control", b"control") and header[156:157] in (b"0", b"\0"):
            if found is not None:
                raise BadArchive("its control archive contains two files named control")
            found = _checked_size(tar[start : start + size])
        offset = start + (size + TAR_BLOCK - 1) // TAR_BLOCK * TAR_BLOCK
    if found is None:
        raise BadArchive("its control archive contains no file named control")
    return found


def tar_size(header: bytes, offset: int) -> int:
    """Return an entry's size in bytes after checking the header's sum (POSIX ustar: octal numbers).

    Raises BadArchive that names ``offset``.
    """
    total = sum(header) - sum(header[148:156]) + 8 * ord(" ")
    try:
        recorded = int(header[148:156].strip(b"\0 ") or b"0", 8)
        size = int(header[124:136].strip(b"\0 ") or b"0", 8)
    except ValueError as error:
        raise BadArchive(f"broken header in one of its archives at byte {offset}") from error
    if recorded != total or size < 0:
        raise BadArchive(f"broken header in one of its archives at byte {offset}")
    return size


def _checked_size(control: bytes) -> bytes:
    if len(control) > MOST_CONTROL:
        raise BadArchive(f"its control file is {len(control)} bytes, more than {MOST_CONTROL}")
    return control
