"""Decompression of zstd, as a stream of bounded memory that reports a truncated file."""

import os
from typing import IO

import zstandard

from builders.sources.kinds.file_format import SKIPPABLE

LARGEST_WINDOW = 1 << 31
"""The window of zstd --long=31, in bytes: by default, libzstd refuses windows above 128 MiB."""
LARGEST_HEADER = 18
"""The bytes of the longest frame header (RFC 8878, 3.1.1)."""
RLE = 1
"""The type of a block that repeats a single byte (RFC 8878, 3.1.1.2)."""


class ZstReader:
    """The content of a compressed file: all its frames in turn. Raises EOFError if a frame is truncated."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        packed = zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW)
        self._stream = packed.stream_reader(file, read_across_frames=True, closefd=False)

    def read(self, most: int) -> bytes:
        """Return up to ``most`` bytes, none only at the end."""
        piece = self._stream.read(most)
        # The stream itself ends without an error wherever its file ends.
        if not piece and most and not _is_whole(self._file):
            raise EOFError("the compressed file ended before the end of its zstd frame")
        return piece


def _is_whole(file: IO[bytes]) -> bool:
    """Return whether a file of frames ends with the end of a frame; their content is not read."""
    end, here = file.seek(0, os.SEEK_END), 0
    while here < end:
        here = _end_of_frame(file, here, end)
    return here == end


def _end_of_frame(file: IO[bytes], start: int, end: int) -> int:
    """Return where the frame at ``start`` ends, which is beyond ``end`` if it is truncated."""
    file.seek(start)
    head = file.read(LARGEST_HEADER)
    if len(head) < 8:  # no frame is that short
        return end + 1
    if head[1:4] == SKIPPABLE:
        return start + 8 + int.from_bytes(head[4:8], "little")
    here = start + zstandard.frame_header_size(head)
    last = False
    while not last:
        if here + 3 > end:
            return end + 1
        file.seek(here)
        block = int.from_bytes(file.read(3), "little")
        last, kind, size = bool(block & 1), block >> 1 & 3, block >> 3
        here += 3 + (1 if kind == RLE else size)
    return here + 4 * zstandard.get_frame_parameters(head).has_checksum
