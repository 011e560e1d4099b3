"""Streams of zstd: their memory is bounded, and a truncated file is an error at whatever byte it ends."""

import io
import os
import tracemalloc

import pytest
import zstandard

from builders.sources.kinds.zst import ZstReader

PLAIN = os.urandom(300_000) + bytes(300_000)
SKIPPED = b"\x50\x2a\x4d\x18\x04\x00\x00\x00size"


def frame(data: bytes, *, checksum: bool) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=checksum).compress(data)


FRAMES = [SKIPPED, frame(PLAIN, checksum=True), frame(b"", checksum=False), SKIPPED, frame(b"last", checksum=False)]
PACKED = b"".join(FRAMES)


def content(packed: bytes, most: int = 10_240) -> bytes:
    reader = ZstReader(io.BytesIO(packed))
    return b"".join(iter(lambda: reader.read(most), b""))


@pytest.mark.parametrize("most", [1_000, 10_240, 10_000_000])
def test_all_frames_are_read(most: int) -> None:
    assert content(PACKED, most) == PLAIN + b"last"


def test_a_file_may_end_only_where_a_frame_does() -> None:
    ends = {len(b"".join(FRAMES[:count])) for count in range(len(FRAMES) + 1)}
    places = [0, 1, 7, 12, 13, 20, 100, 150_000, 300_040, *range(len(PACKED) - 60, len(PACKED) + 1)]
    for end in sorted({*places, *ends}):
        if end in ends:
            content(PACKED[:end])
        else:
            with pytest.raises(EOFError, match="ended before the end of its zstd frame"):
                content(PACKED[:end])


def test_other_bytes_after_a_frame_are_an_error() -> None:
    with pytest.raises(zstandard.ZstdError):
        content(PACKED + b"something else")


def test_memory_is_bounded_however_much_a_file_expands() -> None:
    """A few bytes of zstd can stand for 128 kB, so that a piece of the file may stand for gigabytes."""
    size = 64 << 20
    packed = frame(bytes(size), checksum=True)
    tracemalloc.start()
    try:
        reader, total = ZstReader(io.BytesIO(packed)), 0
        while piece := reader.read(1 << 16):
            total += len(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == size
    assert peak < 4 << 20
