"""What earlier publications read, so that a .deb that did not change is not read again.

A SQLite file in the state folder, outside the published tree. It only saves time: without it, or with a broken one,
every .deb is read once more.
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
"""Up to so many .debs are looked up one by one."""
QUERY = 500
"""Lists asked for at once: SQLite bounds the parameters of a query."""


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A .deb as it was read: its identity on disk (`stamp`), its digest, and its path in the repository."""

    stamp: str
    sha256: str
    filename: str


def stamp(facts: os.stat_result) -> str:
    """Return what changes whenever a file's bytes can have changed; the change time cannot be set back."""
    return f"{facts.st_dev}:{facts.st_ino}:{facts.st_size}:{facts.st_mtime_ns}:{facts.st_ctime_ns}"


def recall(state: Path, paths: Sequence[str] | None = None) -> dict[str, KnownFile]:
    """Return what was seen, by absolute path, of ``paths`` or all; nothing where the record is missing or broken."""
    query, file = "SELECT path, stamp, sha256, filename FROM seen", _file(state)
    if paths is None or len(paths) > FEW:
        rows = sqlite.rows(file, query)
    else:
        rows = [row for path in paths for row in sqlite.rows(file, f"{query} WHERE path = ?", (path,))]
    return {row[0]: KnownFile(*row[1:]) for row in rows}


def recall_lists(state: Path, wanted: Sequence[str]) -> dict[str, bytes]:
    """Return the files of .debs, as `filelist` gives them, by SHA-256: those that are whole in the record."""
    result: dict[str, bytes] = {}
    for start in range(0, len(wanted), QUERY):
        some = wanted[start : start + QUERY]
        placeholders = ",".join("?" * len(some))
        query = f"SELECT sha256, names FROM lists WHERE sha256 IN ({placeholders})"  # noqa: S608 - placeholders only
        for sha256, names in sqlite.rows(_file(state), query, some):
            with suppress(zlib.error):
                result[sha256] = zlib.decompress(names)
    return result


def packed(names: bytes) -> bytes:
    """Return the files of a .deb as the record keeps them."""
    # Most lists are short: setting up the usual window and memory would take longer than packing.
    engine = zlib.compressobj(1, zlib.DEFLATED, 12, 4)
    return engine.compress(names) + engine.flush()


def remember_lists(state: Path, lists: Mapping[str, bytes]) -> None:
    """Add packed file lists to the record; raises DiskError."""
    if lists:
        sqlite.change(_file(state), SCHEMA, lambda database: _insert(database, "lists VALUES (?, ?)", lists.items()))


def remember(state: Path, news: Iterable[tuple[str, KnownFile]]) -> None:
    """Add to the record, all or nothing; a broken record is begun anew. Raises DiskError."""
    rows = [(path, seen.stamp, seen.sha256, seen.filename) for path, seen in news]
    if rows:
        sqlite.change(_file(state), SCHEMA, lambda database: _insert(database, "seen VALUES (?, ?, ?, ?)", rows))


def _insert(database: sqlite3.Connection, into: str, rows: Iterable[tuple[object, ...]]) -> None:
    database.executemany(f"INSERT OR REPLACE INTO {into}", rows)


def _file(state: Path) -> Path:
    return state / "seen.sqlite"
