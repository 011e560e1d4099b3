"""Packing index pieces on all cores, and remembering the packed ones so that each piece is packed once.

The memory is a SQLite file in the state folder; without it, or with a broken one, everything is packed again.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from builders.apt.compression import FORMS
from builders.workspace import told

SCHEMA = "CREATE TABLE IF NOT EXISTS pieces (form TEXT, sha256 TEXT, packed BLOB, PRIMARY KEY (form, sha256))"
ROOM = 4
"""Pieces of earlier publications stay until there are so many times more than this one used."""


class Packer:
    """Makes compressed files of pieces; `save` remembers what it packed."""

    def __init__(self, state: Path) -> None:
        self._file = state / "pieces.sqlite"
        self._used: dict[tuple[str, str], None] = {}
        self._new: dict[tuple[str, str], bytes] = {}
        self._digests: dict[int, tuple[bytes, str]] = {}
        self._memory: sqlite3.Connection | None = None

    def pack(self, suffix: str, pieces: tuple[bytes, ...]) -> bytes:
        """Return the whole file of the form ``suffix``."""
        keys = [(suffix, self._digest(piece)) for piece in pieces]
        self._used |= dict.fromkeys(keys)
        packed = {key: found for key in keys if (found := self._known(key)) is not None}
        missing = {key: piece for key, piece in zip(keys, pieces, strict=True) if key not in packed}
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            fresh = dict(zip(missing, pool.map(FORMS[suffix].pack, missing.values()), strict=True))
        self._new |= fresh
        packed |= fresh
        return FORMS[suffix].join([packed[key] for key in keys])

    def save(self) -> None:
        """Remember what was packed, and forget what long was not used; raises DiskError."""
        if not self._new:
            return
        if self._memory:
            self._memory.close()
            self._memory = None
        with told(self._file):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._write()
            except sqlite3.DatabaseError:
                self._file.unlink(missing_ok=True)
                try:
                    self._write()
                except sqlite3.DatabaseError as error:
                    raise OSError(f"{self._file}: {error}") from error

    def _digest(self, piece: bytes) -> str:
        # The same piece is asked for once per form; the object itself is kept, so its id cannot be another's.
        known = self._digests.get(id(piece))
        if known is None:
            known = self._digests[id(piece)] = (piece, hashlib.sha256(piece).hexdigest())
        return known[1]

    def _known(self, key: tuple[str, str]) -> bytes | None:
        if key in self._new:
            return self._new[key]
        try:
            if self._memory is None:
                if not self._file.exists():
                    return None
                self._memory = sqlite3.connect(f"file:{self._file}?mode=ro", uri=True, check_same_thread=False)
            row = self._memory.execute("SELECT packed FROM pieces WHERE form = ? AND sha256 = ?", key).fetchone()
        except sqlite3.DatabaseError:
            return None
        return bytes(row[0]) if row else None

    def _write(self) -> None:
        with closing(sqlite3.connect(self._file)) as memory, memory:
            memory.execute(SCHEMA)
            rows: Iterable[tuple[str, str, bytes]] = ((*key, packed) for key, packed in self._new.items())
            memory.executemany("INSERT OR REPLACE INTO pieces VALUES (?, ?, ?)", rows)
            (count,) = memory.execute("SELECT count(*) FROM pieces").fetchone()
            if count > ROOM * len(self._used):
                memory.execute("CREATE TEMP TABLE used (form TEXT, sha256 TEXT)")
                memory.executemany("INSERT INTO used VALUES (?, ?)", self._used)
                memory.execute("DELETE FROM pieces WHERE (form, sha256) NOT IN (SELECT form, sha256 FROM used)")
