"""Compresses chunks of indices on all cores, and remembers them, so that each chunk is compressed once."""

import os
import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from builders.apt.indices.chunks import Chunk
from builders.apt.indices.compression import FORMS
from builders.apt.state import sqlite

SCHEMA = ("CREATE TABLE IF NOT EXISTS pieces (form TEXT, sha256 TEXT, packed BLOB, PRIMARY KEY (form, sha256))",)
ROOM = 4
"""Chunks of earlier publications stay until the cache holds this many times the chunks of this publication."""
MOST_WAITING = 4 << 20
"""Bytes of compressed chunks that wait in memory to be stored together."""
AT_ONCE = 2 << 20
"""Bytes of chunks that are looked up and compressed together."""
QUERY = 500
"""Chunks per query: SQLite limits the parameters of a query."""


class ChunkCache:
    """Compresses chunks; `save` stores the new ones."""

    def __init__(self, state: Path) -> None:
        self._file = state / "packed.sqlite"
        self._used: dict[tuple[str, str], None] = {}
        self._new: dict[tuple[str, str], bytes] = {}
        self._any_new = False

    def pack(self, forms: Sequence[str], chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, dict[str, bytes]]]:
        """Yield each chunk with its compressed forms; compresses the next chunks meanwhile."""
        ahead: deque[tuple[Chunk, dict[str, bytes | Future[bytes]]]] = deque()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for some in _some(chunks):
                while len(ahead) > len(some):
                    yield self._finished(*ahead.popleft())
                known = {form: self._known(form, list({chunk.sha256 for chunk in some})) for form in forms}
                for chunk in some:
                    packed = {
                        form: known[form].get(chunk.sha256) or pool.submit(_packed, form, chunk) for form in forms
                    }
                    ahead.append((chunk, packed))
            while ahead:
                yield self._finished(*ahead.popleft())

    def _finished(self, chunk: Chunk, packed: Mapping[str, bytes | Future[bytes]]) -> tuple[Chunk, dict[str, bytes]]:
        result = {}
        for form, content in packed.items():
            self._used[form, chunk.sha256] = None
            if isinstance(content, Future):
                self._new[form, chunk.sha256] = content.result()
                self._any_new = True
            result[form] = content.result() if isinstance(content, Future) else content
        if sum(map(len, self._new.values())) > MOST_WAITING:
            sqlite.change(self._file, SCHEMA, self._add)
            self._new.clear()
        return chunk, result

    def stored(self, suffix: str, digests: Sequence[str]) -> dict[str, bytes]:
        """Return the compressed chunks that the cache holds, by the SHA-256 of their text."""
        return self._known(suffix, list(dict.fromkeys(digests)))

    def save(self) -> None:
        """Store what was compressed, and drop what has long not been used; raises DiskError."""
        if self._any_new:
            sqlite.change(self._file, SCHEMA, self._write)

    def _known(self, suffix: str, digests: Sequence[str]) -> dict[str, bytes]:
        found = {sha256: self._new[suffix, sha256] for sha256 in digests if (suffix, sha256) in self._new}
        rest = [sha256 for sha256 in digests if sha256 not in found]
        for start in range(0, len(rest), QUERY):
            some = rest[start : start + QUERY]
            placeholders = ",".join("?" * len(some))
            query = f"SELECT sha256, packed FROM pieces WHERE form = ? AND sha256 IN ({placeholders})"  # noqa: S608 - placeholders only
            found |= {sha256: bytes(packed) for sha256, packed in sqlite.rows(self._file, query, [suffix, *some])}
        return found

    def _add(self, database: sqlite3.Connection) -> None:
        rows = ((*key, packed) for key, packed in self._new.items())
        database.executemany("INSERT OR REPLACE INTO pieces VALUES (?, ?, ?)", rows)

    def _write(self, database: sqlite3.Connection) -> None:
        self._add(database)
        (count,) = database.execute("SELECT count(*) FROM pieces").fetchone()
        if count > ROOM * len(self._used):
            database.execute("CREATE TEMP TABLE used (form TEXT, sha256 TEXT)")
            database.executemany("INSERT INTO used VALUES (?, ?)", self._used)
            database.execute("DELETE FROM pieces WHERE (form, sha256) NOT IN (SELECT form, sha256 FROM used)")


def _packed(form: str, chunk: Chunk) -> bytes:
    return FORMS[form].pack(chunk.load())


def _some(chunks: Iterable[Chunk]) -> Iterator[list[Chunk]]:
    """Yield chunks in groups: small enough for memory, large enough to look them up together."""
    some: list[Chunk] = []
    total = 0
    for chunk in chunks:
        some.append(chunk)
        total += chunk.size
        if total > AT_ONCE:
            yield some
            some, total = [], 0
    yield some
