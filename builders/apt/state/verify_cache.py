"""Files that a verification found correct: the next verification need not read them again.

A .deb whose identity on the disk (`read_cache.stamp`) is that of the time when it was hashed still has the same bytes.
The kernel sets its change time at every write, and only another clock or another disk sets it back. That an index of
one digest unpacks to a text of another digest stays true. The cache cannot see a failing disk: `./inv verify-apt`
reads everything.
"""

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from builders.apt.indices.release import Digest
from builders.apt.state import sqlite

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, stamp TEXT, sha256 TEXT) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS texts (sha256 TEXT PRIMARY KEY, plain TEXT) WITHOUT ROWID",
)


@dataclass
class VerifyCache:
    """The files that are known, and those that this run found; `save` stores them where a ``state`` folder is given.

    ``hashed`` are the index files that this run read, by their identity on the disk: it reads them under several
    names, before and after they are published. Every publication links them again: a later run knows none of them.
    """

    state: Path | None = None
    files: dict[str, tuple[str, str]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    new_files: dict[str, tuple[str, str]] = field(default_factory=dict)
    new_texts: dict[str, str] = field(default_factory=dict)
    hashed: dict[str, Digest] = field(default_factory=dict)

    @staticmethod
    def recall(state: Path) -> "VerifyCache":
        """Return what earlier verifications found."""
        files = {path: (stamp, sha256) for path, stamp, sha256 in sqlite.rows(_file(state), "SELECT * FROM files")}
        return VerifyCache(state, files, dict(sqlite.rows(_file(state), "SELECT * FROM texts")))

    def knows_file(self, name: str, stamp: str, sha256: str) -> bool:
        """Return whether the file ``name`` of the pool was found to have ``sha256`` and is unchanged."""
        return self.files.get(name) == (stamp, sha256)

    def found_file(self, name: str, stamp: str, sha256: str) -> None:
        """Note the digest of a file that was just hashed."""
        self.files[name] = self.new_files[name] = (stamp, sha256)

    def knows_text(self, sha256: str, plain: str) -> bool:
        """Return whether the file ``sha256`` was found to unpack to ``plain``, or, where that is empty, at all."""
        return self.texts.get(sha256) == plain

    def found_text(self, sha256: str, plain: str) -> None:
        """Note what an index unpacks to."""
        self.texts[sha256] = self.new_texts[sha256] = plain

    def save(self) -> None:
        """Store what was found; raises DiskError."""
        if self.state and (self.new_files or self.new_texts):
            sqlite.change(_file(self.state), SCHEMA, self._write)
            self.new_files, self.new_texts = {}, {}

    def _write(self, database: sqlite3.Connection) -> None:
        rows = ((name, *facts) for name, facts in self.new_files.items())
        database.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", rows)
        database.executemany("INSERT OR REPLACE INTO texts VALUES (?, ?)", self.new_texts.items())


def _file(state: Path) -> Path:
    return state / "proof.sqlite"
