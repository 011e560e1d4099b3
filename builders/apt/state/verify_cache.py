"""What a verification found sound, so that the next one need not read it again.

A .deb whose identity on disk (`seen.stamp`) is what it was when its bytes were hashed still holds these bytes: the
kernel sets its change time at every write, and nothing short of another clock or another disk sets it back. That an
index of one digest unpacks to a text of another is true for ever. What this cannot see is a disk that forgets: for
that, `invoke verify-apt` reads everything.
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
    """What is known, and what was found in this run; `save` keeps it. An empty one knows nothing and keeps nothing.

    ``hashed`` are the index files that this run read, by their identity on disk: it looks at them under several names,
    and before and after they are published. Every publication links them anew, so that a later run knows none again.
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
        """Tell whether the file of the pool called ``name`` was found to have ``sha256`` and is still the same."""
        return self.files.get(name) == (stamp, sha256)

    def found_file(self, name: str, stamp: str, sha256: str) -> None:
        """Note a file's digest, taken just now."""
        self.files[name] = self.new_files[name] = (stamp, sha256)

    def knows_text(self, sha256: str, plain: str) -> bool:
        """Tell whether what has the digest ``sha256`` was found to unpack to what has ``plain``, or (empty) at all."""
        return self.texts.get(sha256) == plain

    def found_text(self, sha256: str, plain: str) -> None:
        """Note what an index unpacks to."""
        self.texts[sha256] = self.new_texts[sha256] = plain

    def save(self) -> None:
        """Keep what was found; raises DiskError."""
        if self.state and (self.new_files or self.new_texts):
            sqlite.change(_file(self.state), SCHEMA, self._write)
            self.new_files, self.new_texts = {}, {}

    def _write(self, database: sqlite3.Connection) -> None:
        rows = ((name, *facts) for name, facts in self.new_files.items())
        database.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", rows)
        database.executemany("INSERT OR REPLACE INTO texts VALUES (?, ?)", self.new_texts.items())


def _file(state: Path) -> Path:
    return state / "proof.sqlite"
