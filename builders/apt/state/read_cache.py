"""The .debs that earlier publications read, so that an unchanged .deb is not read again.

A SQLite file in the state folder, outside the published tree. It only saves time: without it every .deb is read once
more.
"""

import os
import sqlite3
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from builders.apt.state import sqlite

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS seen (path TEXT PRIMARY KEY, stamp TEXT, sha256 TEXT, filename TEXT) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS lists (sha256 TEXT PRIMARY KEY, names BLOB)",
)
FEW = 64
"""Up to this number, .debs are looked up one by one."""
QUERY = 500
"""Lists per query: SQLite limits the parameters of a query."""


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A .deb that was read: its identity on the disk (`stamp`), its SHA-256, and its path in the repository."""

    stamp: str
    sha256: str
    filename: str


def stamp(facts: os.stat_result) -> str:
    """Return a text that changes whenever a file's bytes can have changed; the change time cannot be set back."""
    return f"{facts.st_dev}:{facts.st_ino}:{facts.st_size}:{facts.st_mtime_ns}:{facts.st_ctime_ns}"


def recall(state: Path, paths: Sequence[str] | None = None) -> dict[str, KnownFile]:
    """Return the files that were read, by absolute path: those of ``paths``, or all."""
    query, file = "SELECT path, stamp, sha256, filename FROM seen", _file(state)
    if paths is None or len(paths) > FEW:
        rows = sqlite.rows(file, query)
    else:
        rows = [row for path in paths for row in sqlite.rows(file, f"{query} WHERE path = ?", (path,))]
    return {row[0]: KnownFile(*row[1:]) for row in rows}


def recall_lists(state: Path, digests: Sequence[str]) -> dict[str, bytes]:
    """Return the file lists of .debs (`file_list`) by SHA-256; those that the cache contains whole."""
    result: dict[str, bytes] = {}
    for start in range(0, len(digests), QUERY):
        some = digests[start : start + QUERY]
        placeholders = ",".join("?" * len(some))
        query = f"SELECT sha256, names FROM lists WHERE sha256 IN ({placeholders})"  # noqa: S608 - placeholders only
        for sha256, names in sqlite.rows(_file(state), query, some):
            with suppress(zlib.error):
                result[sha256] = zlib.decompress(names)
    return result


def packed(names: bytes) -> bytes:
    """Return the file list of a .deb as the cache stores it."""
    # Most lists are short: setting up the usual window and memory would take longer than compressing.
    engine = zlib.compressobj(1, zlib.DEFLATED, 12, 4)
    return engine.compress(names) + engine.flush()


def remember_lists(state: Path, lists: Mapping[str, bytes]) -> None:
    """Store packed file lists; raises DiskError."""
    if lists:
        sqlite.change(_file(state), SCHEMA, lambda database: _insert(database, "lists VALUES (?, ?)", lists.items()))


def remember(state: Path, files: Iterable[tuple[str, KnownFile]]) -> None:
    """Store files that were read, all or nothing; raises DiskError."""
    rows = [(path, file.stamp, file.sha256, file.filename) for path, file in files]
    if rows:
        sqlite.change(_file(state), SCHEMA, lambda database: _insert(database, "seen VALUES (?, ?, ?, ?)", rows))


def _insert(database: sqlite3.Connection, into: str, rows: Iterable[tuple[object, ...]]) -> None:
    database.executemany(f"INSERT OR REPLACE INTO {into}", rows)


def _file(state: Path) -> Path:
    return state / "seen.sqlite"
