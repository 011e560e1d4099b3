"""Splicing an index gives the bytes of one that is made anew, whatever was published before."""

import hashlib
import random
from pathlib import Path

import pytest

from builders.apt.indices.chunks import Chunk, Chunking, Edit, cut, spliced
from builders.apt.state import chunk_cache


def split(text: bytes) -> list[tuple[bytes, bytes]]:
    return [(line.split(b"=")[0], line + b"\n") for line in text.split(b"\n")[:-1]]


def shown(chunks: list[Chunk]) -> list[tuple[bytes, int, str, bytes]]:
    return [(chunk.first, chunk.size, chunk.sha256, chunk.load()) for chunk in chunks]


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_splicing_is_cutting_anew(size: int) -> None:
    chunking, chance = Chunking(size, split), random.Random(size)
    for _ in range(150):
        texts: dict[bytes, bytes] = {}
        chunks = list(cut([], chunking))
        for _ in range(6):
            names = [b"%d" % chance.randrange(40) for _ in range(chance.randrange(1, 9))]
            new = {name: b"" if chance.random() < 0.4 else name + b"=%d\n" % chance.randrange(99) for name in names}
            old = dict(texts)
            texts = {name: text for name, text in sorted((texts | new).items()) if text}

            def edit(name: bytes, old: dict[bytes, bytes] = old, new: dict[bytes, bytes] = new) -> Edit:
                def changed(before: bytes) -> bytes:
                    assert before == old.get(name, b"")
                    return new[name]

                return changed

            chunks = spliced(chunks, {name: edit(name) for name in new}, chunking)
            assert shown(chunks) == shown(list(cut(texts.items(), chunking)))


def test_pieces_that_do_not_change_are_not_read() -> None:
    def unread() -> bytes:
        raise AssertionError("a piece was read that does not change")

    chunking = Chunking(4, split)
    names = [b"%03d" % number for number in range(60)]
    whole = list(cut([(name, name + b"=\n") for name in names], chunking))
    place = len(whole) // 2
    old = [
        chunk if n == place else Chunk(chunk.first, chunk.size, chunk.sha256, unread) for n, chunk in enumerate(whole)
    ]
    new = spliced(old, {whole[place].first: lambda _old: b"x=\n"}, chunking)
    assert sum(a.sha256 != b.sha256 for a, b in zip(whole, new, strict=True)) == 1


def test_much_that_was_packed_is_remembered_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it need not be in memory until the end; and what follows finds it."""
    content = b"much\n" * 100
    chunk = Chunk(b"a", len(content), hashlib.sha256(content).hexdigest(), lambda: content)
    monkeypatch.setattr(chunk_cache, "MOST_WAITING", 0)
    one = chunk_cache.ChunkCache(tmp_path)
    [(_, packed)] = one.pack([".gz"], [chunk])
    assert chunk_cache.ChunkCache(tmp_path).stored(".gz", [chunk.sha256]) == {chunk.sha256: packed[".gz"]}
    assert list(one.pack([".gz"], [chunk])) == [(chunk, packed)]
    one.save()
    assert chunk_cache.ChunkCache(tmp_path).stored(".gz", [chunk.sha256]) == {chunk.sha256: packed[".gz"]}
