"""Decompression of zstd, as a stream that reports a truncated file."""

from typing import IO

import zstandard

PIECE = 1 << 17
LARGEST_WINDOW = 1 << 31
"""The window of zstd --long=31, in bytes: by default, libzstd refuses windows above 128 MiB."""


class ZstReader:
    """The content of a compressed file: all its frames in turn. Raises EOFError if a frame is truncated."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._packed = b""
        self._plain = b""

    def read(self, most: int) -> bytes:
        """Return up to ``most`` bytes, none only at the end."""
        while not self._plain:
            packed = self._packed or self._file.read(PIECE)
            if not packed:
                if self._frame and not self._frame.eof:
                    raise EOFError("the compressed file ended before the end of its zstd frame")
                return b""
            if self._frame is None or self._frame.eof:
                self._frame = zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW).decompressobj()
            self._plain = self._frame.decompress(packed)
            self._packed = self._frame.unused_data
        piece, self._plain = self._plain[:most], self._plain[most:]
        return piece
