"""Cuts the text of an index into chunks, and splices changes into the chunks of an earlier text.

A chunk begins at every name whose checksum says so, not after a number of bytes. A package that arrives therefore
changes the chunk that it falls into and no other, and the same content always gives the same chunks, whatever was
published before.
"""

import hashlib
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

Edit = Callable[[bytes], bytes]
"""Makes the new text of a name from the old text; an empty text means that the name is absent."""
Named = Iterable[tuple[bytes, bytes]]
"""Texts under their names, in the order of the names; a name may occur several times in a row."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk: the name that it begins with, its size in bytes, its SHA-256, and how its text is read."""

    first: bytes
    size: int
    sha256: str
    load: Callable[[], bytes]


@dataclass(frozen=True)
class Chunking:
    """How an index is cut: the average number of names in a chunk, and what splits its text into named texts."""

    names: int
    split: Callable[[bytes], Named]

    def begins(self, name: bytes) -> bool:
        """Return whether a chunk begins at ``name``."""
        return not zlib.crc32(name) % self.names


def cut(named: Named, chunking: Chunking) -> Iterator[Chunk]:
    """Yield ``named`` in chunks, at least one. Only the text of the current chunk is in memory."""
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
    """Return what `cut` would make of the changed text; reads only the chunks that change."""
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
    """Return the number of the chunk that ``name`` falls into; the chunks begin with ``firsts``."""
    return max(bisect_right(firsts, name) - 1, 0)


def _edited(text: bytes, edits: Mapping[bytes, Edit], chunking: Chunking) -> Iterator[tuple[bytes, bytes]]:
    found: dict[bytes, bytes] = {}
    for name, part in chunking.split(text):
        found[name] = found.get(name, b"") + part
    for name, edit in edits.items():
        found[name] = edit(found.get(name, b""))
    return ((name, found[name]) for name in sorted(found) if found[name])


class _Growing:
    """Finished chunks, and the chunk that is being assembled."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self._chunks: list[Chunk] = []
        self._first = b""

    def begin(self, name: bytes, chunking: Chunking) -> None:
        """Start the text of ``name``, in a new chunk or in the chunk before."""
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
        """Add a whole chunk unchanged: it begins where a chunk begins, or is the first."""
        self._finish()
        self._chunks.append(chunk)

    def finished(self) -> list[Chunk]:
        """Return all chunks."""
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
