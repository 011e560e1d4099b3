"""Cutting the text of an index into pieces, and splicing changes into the pieces of an earlier one.

A piece begins at every name whose own checksum says so, not after so many bytes: a package that arrives changes the
piece that it falls into and no other, and the same content always gives the same pieces, whatever was published before.
"""

import hashlib
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

Edit = Callable[[bytes], bytes]
"""Makes the new text of one name of the old; an empty one means that the name has none."""
Named = Iterable[tuple[bytes, bytes]]
"""Texts under their names, in the order of the names; a name may come several times in a row."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece: the name that it begins with, its size in bytes, its digest, and how its text is read."""

    first: bytes
    size: int
    sha256: str
    load: Callable[[], bytes]


@dataclass(frozen=True)
class Chunking:
    """How an index is cut: every how many names on average, and how its text is taken apart into named texts."""

    names: int
    split: Callable[[bytes], Named]

    def begins(self, name: bytes) -> bool:
        """Tell whether a piece begins at ``name``."""
        return not zlib.crc32(name) % self.names


def cut(named: Named, chunking: Chunking) -> Iterator[Chunk]:
    """Yield ``named`` in pieces: one at least. Each has its text in memory, which so need not hold the whole."""
    texts: list[bytes] = []
    first, last, yielded = b"", None, False
    for name, text in named:
        if name != last:
            last = name
            if texts and chunking.begins(name):
                yield _chunk(first, texts)
                texts, yielded = [], True
            if not texts:
                first = name
        texts.append(text)
    if texts or not yielded:
        yield _chunk(first, texts)


def spliced(old: Sequence[Chunk], edits: Mapping[bytes, Edit], chunking: Chunking) -> list[Chunk]:
    """Return what `cut` would make of the changed text, reading only the pieces that change."""
    firsts = [chunk.first for chunk in old]
    places: dict[int, dict[bytes, Edit]] = {}
    for name, edit in edits.items():
        places.setdefault(place_of(firsts, name), {})[name] = edit
    growing = _Growing()
    for number, chunk in enumerate(old):
        if number not in places:
            growing.take(chunk)
            continue
        for name, text in _edited(chunk.load(), places[number], chunking):
            growing.begin(name, chunking)
            growing.texts.append(text)
    return growing.finished()


def place_of(firsts: Sequence[bytes], name: bytes) -> int:
    """Return the number of the piece that ``name`` falls into, of pieces that begin with ``firsts``."""
    return max(bisect_right(firsts, name) - 1, 0)


def _edited(text: bytes, edits: Mapping[bytes, Edit], chunking: Chunking) -> Iterator[tuple[bytes, bytes]]:
    found: dict[bytes, bytes] = {}
    for name, part in chunking.split(text):
        found[name] = found.get(name, b"") + part
    for name, edit in edits.items():
        found[name] = edit(found.get(name, b""))
    return ((name, found[name]) for name in sorted(found) if found[name])


class _Growing:
    """Finished pieces and the one that is being put together."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self._chunks: list[Chunk] = []
        self._first = b""

    def begin(self, name: bytes, chunking: Chunking) -> None:
        """Let the text of ``name`` follow: in a new piece, or in the one before."""
        if self.texts:
            if chunking.begins(name):
                self._finish()
                self._first = name
        elif self._chunks and not chunking.begins(name):
            before = self._chunks.pop()
            self._first, self.texts = before.first, [before.load()]
        else:
            self._first = name

    def take(self, chunk: Chunk) -> None:
        """Take over a whole piece as it is: it begins where one begins, or is the first of all."""
        self._finish()
        self._chunks.append(chunk)

    def finished(self) -> list[Chunk]:
        """Return all pieces."""
        if self.texts or not self._chunks:
            self._finish(empty=not self._chunks)
        return self._chunks

    def _finish(self, *, empty: bool = False) -> None:
        if self.texts or empty:
            self._chunks.append(_chunk(self._first, self.texts))
            self.texts = []


def _chunk(first: bytes, texts: Sequence[bytes]) -> Chunk:
    text = b"".join(texts)
    return Chunk(first, len(text), hashlib.sha256(text).hexdigest(), lambda: text)
