"""Index files in the forms that clients fetch; same bytes in, same bytes out.

An index is compressed in chunks, so that a publication compresses only those that changed. Joined they are what any
decompressor takes for one file. gzip members (RFC 1952, 2.2) and zstd frames (RFC 8878, 3.1) simply follow each other.
apt's xz decompressor stops at the end of a stream: the blocks of several streams become one stream with one index
(The .xz File Format 1.2, 2.1 and 4).
"""

import gzip
import lzma
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

HEADER = FOOTER = 12
"""Bytes of an xz stream's header and footer."""
XZ = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 20, "nice_len": 48, "depth": 16}]
"""No chunk is much larger than this dictionary; the preset's own (8 MiB) would cost 94 MB of memory a core.

A shorter search for the longest match than the preset's makes chunks of Debian's index 0.3 % larger in 0.6 of the
time."""


@dataclass(frozen=True)
class Form:
    """One compression: ``pack`` makes a whole file of one chunk, ``join`` the parts of one file of several."""

    pack: Callable[[bytes], bytes]
    join: Callable[[Sequence[bytes]], Sequence[bytes]]


def _gzip(content: bytes) -> bytes:
    # 9 gains 1 % on Debian's own index and takes half as long again. 31: a gzip header, whose time field stays 0.
    engine = zlib.compressobj(6, zlib.DEFLATED, 31)
    return engine.compress(content) + engine.flush()


def _xz(content: bytes) -> bytes:
    return lzma.compress(content, lzma.FORMAT_XZ, lzma.CHECK_CRC64, filters=XZ)


def _zstd(content: bytes) -> bytes:
    # On chunks of Debian's own index higher levels up to 12 take six times as long and gain nothing.
    return zstandard.ZstdCompressor(level=6, write_checksum=True).compress(content)


def _joined_xz(streams: Sequence[bytes]) -> Sequence[bytes]:
    if len(streams) == 1:
        return streams
    blocks, records = [], []
    for stream in streams:
        index_size = (int.from_bytes(stream[-8:-4], "little") + 1) * 4
        index_start = len(stream) - FOOTER - index_size
        blocks.append(stream[HEADER:index_start])
        records += _records(stream[index_start : len(stream) - FOOTER])
    index = b"\0" + _number(len(records)) + b"".join(_number(size) for record in records for size in record)
    index += bytes(-len(index) % 4)
    index += zlib.crc32(index).to_bytes(4, "little")
    flags = streams[0][6:8]
    tail = (len(index) // 4 - 1).to_bytes(4, "little") + flags
    footer = zlib.crc32(tail).to_bytes(4, "little") + tail + b"YZ"
    return (streams[0][:HEADER], *blocks, index, footer)


def _records(index: bytes) -> list[tuple[int, int]]:
    """Return an xz index's records: unpadded and uncompressed size of each block."""
    count, offset = _read_number(index, 1)
    result = []
    for _ in range(count):
        unpadded, offset = _read_number(index, offset)
        plain, offset = _read_number(index, offset)
        result.append((unpadded, plain))
    return result


def _number(value: int) -> bytes:
    """Return a number in xz's variable-length form (The .xz File Format, 1.2)."""
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


def _read_number(content: bytes, offset: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[offset]
        value |= (byte & 0x7F) << shift
        offset, shift = offset + 1, shift + 7
        if not byte & 0x80:
            return value, offset


FORMS: Mapping[str, Form] = {
    ".gz": Form(_gzip, lambda members: members),
    ".xz": Form(_xz, _joined_xz),
    ".zst": Form(_zstd, lambda frames: frames),
}
"""By the suffix of a file name: how plain content becomes that file."""


def _unzstd(content: bytes) -> bytes:
    engine = zstandard.ZstdDecompressor()
    with engine.stream_reader(content, read_across_frames=True) as reader:
        return reader.read()


UNPACK: dict[str, Callable[[bytes], bytes]] = {
    "": lambda content: content,
    ".gz": gzip.decompress,
    ".xz": lzma.decompress,
    ".zst": _unzstd,
}
"""Decompression by suffix."""


def _open_zstd(path: Path) -> BinaryIO:
    file = path.open("rb")
    reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True, closefd=True)
    return cast(BinaryIO, reader)


OPEN: dict[str, Callable[[Path], BinaryIO]] = {
    ".gz": lambda path: cast(BinaryIO, gzip.open(path, "rb")),  # noqa: SIM115 - the caller closes it
    ".xz": lambda path: cast(BinaryIO, lzma.open(path, "rb")),  # noqa: SIM115 - the caller closes it
    ".zst": _open_zstd,
}
"""Decompression of a file by suffix, block by block: for the verification of what was written."""
UNPACK_ERRORS = (zlib.error, lzma.LZMAError, zstandard.ZstdError, EOFError, OSError)
