"""Index files in the forms that clients fetch; same bytes in, same bytes out."""

import lzma
import zlib
from collections.abc import Callable, Mapping


def _gzip(content: bytes) -> bytes:
    engine = zlib.compressobj(9, zlib.DEFLATED, 31)  # 31: a gzip header, whose time field zlib leaves 0
    return engine.compress(content) + engine.flush()


def _xz(content: bytes) -> bytes:
    return lzma.compress(content, lzma.FORMAT_XZ, lzma.CHECK_CRC64, preset=6)


FORMS: Mapping[str, Callable[[bytes], bytes]] = {"": lambda content: content, ".gz": _gzip, ".xz": _xz}
"""Suffix of a file name, and how the plain content becomes that file."""

UNPACK: Mapping[str, Callable[[bytes], bytes]] = {
    "": lambda content: content,
    ".gz": lambda content: zlib.decompress(content, 31),
    ".xz": lzma.decompress,
}
"""The way back, for verification of what we wrote."""
