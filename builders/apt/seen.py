"""What earlier publications read, so that a .deb that did not change is not read again.

A SQLite file in the state folder, outside the published tree. It only saves time: without it, or with a broken one,
every .deb is read once more.
"""

import os
import sqlite3
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from builders.workspace import told

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS seen (path TEXT PRIMARY KEY, stamp TEXT, sha256 TEXT, filename TEXT) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS lists (sha256 TEXT PRIMARY KEY, names BLOB)",
)
INSERT = {
    "seen": "INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)",
    "lists": "INSERT OR REPLACE INTO lists VALUES (?, ?)",
}


@dataclass(frozen=True)
class Seen:
    """A .deb as it was read: its identity on disk (`stamp`), its digest, and its path in the repository."""

    stamp: str
    sha256: str
    filename: str


def stamp(facts: os.stat_result) -> str:
    """Return what changes whenever a file's bytes can have changed; the change time cannot be set back."""
    return f"{facts.st_dev}:{facts.st_ino}:{facts.st_size}:{facts.st_mtime_ns}:{facts.st_ctime_ns}"


def recall(state: Path) -> dict[str, Seen]:
    """Return everything seen, by absolute path; nothing where the record is missing or broken."""
    path = _file(state)
    if not path.exists():
        return {}
    try:
        with closing(sqlite3.connect(path)) as record:
            rows = record.execute("SELECT path, stamp, sha256, filename FROM seen").fetchall()
    except sqlite3.DatabaseError:
        return {}
    return {row[0]: Seen(*row[1:]) for row in rows}


def recall_lists(state: Path) -> dict[str, bytes]:
    """Return the files of .debs, as `filelist` gives them, by SHA-256; nothing where the record is broken."""
    path = _file(state)
    if not path.exists():
        return {}
    try:
        with closing(sqlite3.connect(path)) as record:
            rows = record.execute("SELECT sha256, names FROM lists")
            return {sha256: zlib.decompress(names) for sha256, names in rows}
    except (sqlite3.DatabaseError, zlib.error):
        return {}


def remember_lists(state: Path, lists: Mapping[str, bytes]) -> None:
    """Add file lists to the record; raises DiskError."""
    if lists:
        _add(state, "lists", [(sha256, zlib.compress(names, 1)) for sha256, names in lists.items()])


def remember(state: Path, news: Iterable[tuple[str, Seen]]) -> None:
    """Add to the record, in one transaction; a broken record is begun anew. Raises DiskError."""
    rows = [(path, seen.stamp, seen.sha256, seen.filename) for path, seen in news]
    if rows:
        _add(state, "seen", rows)


def _add(state: Path, table: str, rows: Sequence[tuple[str | bytes, ...]]) -> None:
    path = _file(state)
    with told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write(path, table, rows)
        except sqlite3.DatabaseError:
            path.unlink(missing_ok=True)
            try:
                _write(path, table, rows)
            except sqlite3.DatabaseError as error:
                raise OSError(f"{path}: {error}") from error


def _write(path: Path, table: str, rows: Sequence[tuple[str | bytes, ...]]) -> None:
    with closing(sqlite3.connect(path)) as record, record:
        for statement in SCHEMA:
            record.execute(statement)
        record.executemany(INSERT[table], rows)


def _file(state: Path) -> Path:
    return state / "seen.sqlite"
