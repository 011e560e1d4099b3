"""The changes in each version, from the changelog in a .deb (Debian Policy 12.7).

A SQLite file in the state folder stores it by the .deb's SHA-256; without it the .debs are read again. A .deb without
a readable changelog has no entries: nothing depends on them.
"""

import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from debian.changelog import Changelog, ChangelogParseError

from builders.apt.indices.entry import IndexEntry
from builders.apt.packages.ar_reader import BadArchive, members_of
from builders.apt.packages.file_list import REGULAR, entries
from builders.apt.state import sqlite

SCHEMA = "CREATE TABLE IF NOT EXISTS changelogs (sha256 TEXT PRIMARY KEY, news TEXT)"
NAMES = ("changelog.Debian.gz", "changelog.gz", "changelog.Debian", "changelog")
MOST_PACKED, MOST_WHOLE, MOST_PLAIN = 1 << 22, 1 << 24, 1 << 18
"""Bytes read of a changelog: compressed, to publish it, and to show its newest entries, which come first."""
MOST_ENTRIES, MOST_TEXT = 5, 4000
"""Number of entries that are stored of a changelog, and characters of an entry."""


@dataclass(frozen=True)
class ChangelogEntry:
    """One entry of a changelog: the version, its day as ``2026-12-31`` or as written, and what changed."""

    version: str
    day: str
    text: str


class Changelogs:
    """The changelogs of .debs in a pool; ``arriving`` are the paths, by SHA-256, of .debs not in the pool yet."""

    def __init__(self, state: Path, arriving: Mapping[str, Path | str]) -> None:
        self._file = state / "changelogs.sqlite"
        self._arriving = arriving

    def of(self, entries: Iterable[IndexEntry], repository: Path) -> dict[str, list[ChangelogEntry]]:
        """Return the changelog of each .deb by SHA-256, newest entry first; stores what was read. Raises DiskError."""
        debs = {entry.sha256: entry for entry in entries}
        query = "SELECT sha256, news FROM changelogs WHERE sha256 IN (SELECT value FROM json_each(?))"
        known = dict(sqlite.rows(self._file, query, [json.dumps(list(debs))]))
        fresh = {
            sha256: _written(_read(Path(self._arriving.get(sha256, repository / entry.filename)), entry.package))
            for sha256, entry in debs.items()
            if sha256 not in known
        }
        if fresh:
            self._remember(fresh)
        return {
            sha256: [ChangelogEntry(*fields) for fields in json.loads(text)] for sha256, text in (known | fresh).items()
        }

    def _remember(self, fresh: Mapping[str, str]) -> None:
        def write(record: sqlite3.Connection) -> None:
            record.executemany("INSERT OR REPLACE INTO changelogs VALUES (?, ?)", fresh.items())

        sqlite.change(self._file, [SCHEMA], write)


def _written(changelog: Iterable[ChangelogEntry]) -> str:
    return json.dumps([(entry.version, entry.day, entry.text) for entry in changelog])


def _read(deb: Path, package: str) -> list[ChangelogEntry]:
    try:
        return list(_entries(plain(packed_in(deb, package), MOST_PLAIN).decode(errors="replace")))
    except (ChangelogParseError, ValueError):
        return []


def packed_in(deb: Path, package: str) -> bytes:
    """Return the changelog as packed in a .deb, cut at a limit; nothing where there is none that can be read."""
    try:
        handle = os.open(deb, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""  # reading the .deb itself reports the error
    try:
        return _packed(handle, package)
    except (BadArchive, OSError):
        return b""
    finally:
        os.close(handle)


def _packed(handle: int, package: str) -> bytes:
    names = paths(package)
    found: dict[bytes, bytes] = {}
    _, data = members_of(handle)
    for name, kind, content in entries(handle, data, names, MOST_PACKED):
        if name in names and kind in REGULAR:
            found[name] = content
            if name == names[0]:
                break
    return chosen(found, package)


def paths(package: str) -> list[bytes]:
    """Return where a .deb may have its changelog, the best first."""
    return [f"usr/share/doc/{package}/{name}".encode() for name in NAMES]


def chosen(found: Mapping[bytes, bytes], package: str) -> bytes:
    """Return the best changelog of those ``found`` by path in a .deb, nothing where none is."""
    return next((found[name] for name in paths(package) if name in found), b"")


def plain(packed: bytes, most: int = MOST_WHOLE) -> bytes:
    """Return at most ``most`` bytes of a changelog's text; nothing where it does not unpack."""
    if packed[:2] != b"\x1f\x8b":
        return packed[:most]
    try:
        return zlib.decompressobj(31).decompress(packed, most)
    except zlib.error:
        return b""


def _entries(text: str) -> Iterator[ChangelogEntry]:
    for block in Changelog(text, max_blocks=MOST_ENTRIES, strict=True) if text else ():
        changes = "\n".join(line.removeprefix("  ") for line in block.changes()).strip("\n")
        cut = f"{changes[:MOST_TEXT]} …" if len(changes) > MOST_TEXT else changes
        yield ChangelogEntry(str(block.version), _day(block.date or ""), cut)


def _day(date: str) -> str:
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(date).strftime("%Y-%m-%d")
    except ValueError:
        return date
