"""The packages and chunks of the live publications: enough to find what a new .deb changes without reading the indices.

A SQLite file in the state folder. Each suite's part names the Release file that it describes. Of any other publication
it says nothing, and the published indices are read instead: it only saves time.
"""

import json
import sqlite3
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from builders.apt.indices.chunks import Chunk
from builders.apt.indices.entry import IndexEntry
from builders.apt.state import sqlite
from builders.model.packages import PackageFile

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS suites (suite TEXT PRIMARY KEY, release TEXT, outlines TEXT)",
    "CREATE TABLE IF NOT EXISTS held (suite TEXT, filename TEXT, package TEXT, version TEXT, architecture TEXT, "
    "component TEXT, size INTEGER, sha256 TEXT, PRIMARY KEY (suite, filename)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS made (name TEXT PRIMARY KEY, recipe TEXT)",
)
FEW = 64
"""Up to this number, .debs are looked up one by one."""
COLUMNS = "package, version, architecture, size, sha256, filename, component"

ChunkLists = Mapping[str, Sequence[tuple[str, int, str]]]
"""By an index's path, of each of its chunks: the first name, the size in bytes and the SHA-256."""


@dataclass(frozen=True, slots=True)
class PoolPackage(PackageFile):
    """One .deb or .dsc of a suite: an `IndexEntry` without its texts."""

    filename: str
    component: str

    @property
    def kind(self) -> tuple[str, str, str]:
        """Component, package and CPU: versions are counted for each."""
        return self.component, self.package, self.architecture

    def __str__(self) -> str:
        return f"{self.package} {self.version} ({self.architecture})"


@dataclass(frozen=True)
class SuiteChanges:
    """How a publication changes a suite's part: its Release, its chunk lists, the .debs that leave and that arrive.

    With ``whole`` the suite contains nothing but what arrives.
    """

    suite: str
    release: str
    chunk_lists: ChunkLists
    leaving: tuple[str, ...]
    arriving: tuple[PoolPackage, ...]
    whole: bool


class Catalog:
    """The part of one suite whose Release has the SHA-256 ``release``."""

    def __init__(self, state: Path, suite: str, release: str) -> None:
        self._file, self._suite, self._release = _file(state), suite, release

    @cached_property
    def chunk_lists(self) -> dict[str, list[tuple[bytes, int, str]]] | None:
        """The chunks of each index by its path; None where nothing is known of this publication."""
        query = "SELECT outlines FROM suites WHERE suite = ? AND release = ?"
        found = sqlite.rows(self._file, query, (self._suite, self._release))
        if not found:
            return None
        chunk_lists = json.loads(found[0][0])
        return {
            path: [(first.encode(errors="surrogateescape"), size, sha256) for first, size, sha256 in chunks]
            for path, chunks in chunk_lists.items()
        }

    @cached_property
    def _all(self) -> dict[str, PoolPackage]:
        """Every .deb of the suite by its path."""
        query = f"SELECT {COLUMNS} FROM held WHERE suite = ?"  # noqa: S608 - constants only
        found = (PoolPackage(*row) for row in sqlite.rows(self._file, query, (self._suite,)))
        return {deb.filename: deb for deb in found}

    def packages(self, filenames: Sequence[str] | None = None) -> list[PoolPackage]:
        """Return the .debs of the suite: those at ``filenames``, or all."""
        if filenames is None:
            return list(self._all.values())
        if len(filenames) > FEW:
            return [self._all[name] for name in dict.fromkeys(filenames) if name in self._all]
        query = f"SELECT {COLUMNS} FROM held WHERE suite = ? AND filename = ?"  # noqa: S608 - constants only
        return [PoolPackage(*row) for name in filenames for row in sqlite.rows(self._file, query, (self._suite, name))]

    def over_limit(self, most: int, packages: Collection[str]) -> list[PoolPackage]:
        """Return the .debs with more than ``most`` versions in the suite, and those of ``packages``."""
        if len(packages) > FEW:
            return self.packages()
        placeholders = ",".join("?" * len(packages))
        query = (
            f"SELECT {COLUMNS} FROM held WHERE suite = ?1 AND ((component, package, architecture) IN "  # noqa: S608
            "(SELECT component, package, architecture FROM held WHERE suite = ?1 "
            f"GROUP BY component, package, architecture HAVING count(*) > ?2) OR package IN ({placeholders}))"
        )
        return [PoolPackage(*row) for row in sqlite.rows(self._file, query, (self._suite, most, *packages))]

    def components(self) -> Counter[str]:
        """Return how many .debs each component has."""
        query = "SELECT component, count(*) FROM held WHERE suite = ? GROUP BY component"
        return Counter(dict(sqlite.rows(self._file, query, (self._suite,))))


def pool_package(entry: IndexEntry) -> PoolPackage:
    """Return an entry without its texts."""
    component = sys.intern(entry.component)  # one text for tens of thousands
    return PoolPackage(
        entry.package, entry.version, entry.architecture, entry.size, entry.sha256, entry.filename, component
    )


def chunk_ref(chunk: Chunk) -> tuple[str, int, str]:
    """Return a chunk as the catalog stores it: first name, size, SHA-256."""
    return chunk.first.decode(errors="surrogateescape"), chunk.size, chunk.sha256


def inputs_digest(state: Path, name: str) -> str:
    """Return the digest of what the file ``name`` was last made of; an empty text where it is not known."""
    found = sqlite.rows(_file(state), "SELECT recipe FROM made WHERE name = ?", (name,))
    return str(found[0][0]) if found else ""


def remember(state: Path, changes: Iterable[SuiteChanges], made: Mapping[str, str]) -> None:
    """Store how suites changed, and by name what files at the root were ``made`` of; raises DiskError."""
    todo = list(changes)

    def work(database: sqlite3.Connection) -> None:
        for change in todo:
            _update(database, change)
        database.executemany("INSERT OR REPLACE INTO made VALUES (?, ?)", made.items())

    if todo or made:
        sqlite.change(_file(state), SCHEMA, work)


def _update(database: sqlite3.Connection, change: SuiteChanges) -> None:
    if change.whole:
        database.execute("DELETE FROM held WHERE suite = ?", (change.suite,))
    database.executemany(
        "DELETE FROM held WHERE suite = ? AND filename = ?", ((change.suite, name) for name in change.leaving)
    )
    rows = (
        (change.suite, d.filename, d.package, d.version, d.architecture, d.component, d.size, d.sha256)
        for d in change.arriving
    )
    database.executemany("INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    chunk_lists = json.dumps(change.chunk_lists)
    database.execute("INSERT OR REPLACE INTO suites VALUES (?, ?, ?)", (change.suite, change.release, chunk_lists))


def _file(state: Path) -> Path:
    return state / "catalog.sqlite"
