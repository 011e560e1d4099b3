"""The files of a destination, in the order in which they are uploaded.

A reader must never be led to a file that does not exist yet: .debs come first, then what names them, last what readers
read first. Two forms:

- *Linked*, where symbolic links are kept (folders, rsync): the pool and whole snapshots, which no reader sees yet; then
  the links ``dists/<suite>``. rsync replaces a link by renaming a new link over it, so each suite changes at one
  moment. The destination has every kept publication.
- *Flat*, where only files are known (S3, static sites): the order alone protects readers. The pool, then indices by
  hash, both under names that never get other bytes; then the same indices by name; then ``Release.gpg``, ``Release``
  and last ``InRelease``, each replaced whole. apt reads ``InRelease`` and follows it by hash (Acquire-By-Hash): a
  reader with the old file finds the old indices, which stay for some generations; a reader with the new file finds
  the new ones. Only clients without by-hash and ``InRelease`` (before apt 1.2, 2016) could meet the moment between two
  files. There are no snapshots: apt would look for .debs below each, and without links every snapshot would need the
  space of the whole pool.

In both the keyring is first of all: later uploads see from it that Reef owns the destination.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from builders.apt.repository.layout import ARMORED_KEYRING, KEYRING, PAGE, RepositoryLayout
from builders.apt.repository.publication import read_publication
from builders.apt.upload.store import File
from builders.apt.verify.server import BY_HASH
from builders.host.files import disk_errors

SIGNED = ("Release.gpg", "Release", "InRelease")


@dataclass(frozen=True)
class Phase:
    """Files that may be uploaded together; with ``shows`` they show the new publication to readers."""

    title: str
    files: tuple[File, ...]
    shows: bool = False


def linked(place: RepositoryLayout) -> list[Phase]:
    """Return the whole repository with its kept publications; raises DiskError."""
    pool = _below(place, "pool")
    snapshots: list[File] = []
    for suite, stamp in _published(place):
        snapshots += _below(place, str(place.snapshot(suite, stamp).relative_to(place.path)))
    links = [_file(place, f"dists/{suite}") for suite in place.suites()]
    keyring, others, page = _root(place)
    return [
        Phase("the keyring", keyring),
        Phase("packages and publications", (*pool, *snapshots, *others)),
        Phase("the suites' links", (*links, *page), shows=True),
    ]


def flat(place: RepositoryLayout, generations: int) -> list[Phase]:
    """Return each suite's live publication, and what the last ``generations`` name, as files alone.

    Raises PublishError for a broken publication, DiskError.
    """
    named: dict[str, None] = {}
    files: list[File] = []
    for suite in place.suites():
        for stamp in kept_stamps(place, suite, generations):
            for entry in read_publication(place, suite, stamp).entries:
                named |= dict.fromkeys(entry.paths)
                if entry.changelog and (place.path / entry.changelog).is_file():
                    named[entry.changelog] = None
        files += _below(place, f"dists/{suite}")
    by_hash = tuple(file for file in files if BY_HASH in file.key)
    signed = {name: tuple(f for f in files if f.key.count("/") == 2 and f.key.endswith(f"/{name}")) for name in SIGNED}
    last = {file for some in signed.values() for file in some}
    keyring, others, page = _root(place)
    return [
        Phase("the keyring", keyring),
        Phase("packages", tuple(_file(place, name) for name in sorted(named))),
        Phase("indices by hash", by_hash),
        Phase("indices", (*(f for f in files if BY_HASH not in f.key and f not in last), *others)),
        *(Phase(name, some, shows=True) for name, some in signed.items()),
        Phase("the page", page, shows=True),
    ]


def kept_stamps(place: RepositoryLayout, suite: str, generations: int) -> list[str]:
    """Return the newest publications of a suite up to the live one, oldest first: those reachable by hash."""
    live = place.live_stamp(suite) or ""
    return [stamp for stamp in place.stamps(suite) if stamp <= live][-generations:]


def _published(place: RepositoryLayout) -> Iterator[tuple[str, str]]:
    for suite in place.suites():
        live = place.live_stamp(suite) or ""
        yield from ((suite, stamp) for stamp in place.stamps(suite) if stamp <= live)


def _root(place: RepositoryLayout) -> tuple[tuple[File, ...], ...]:
    """Return the root's files: the keyring, others, the landing page."""
    with disk_errors(place.path):
        names = sorted(path.name for path in place.path.iterdir() if path.is_file() and path.name[0] != ".")
    keyring = (KEYRING, ARMORED_KEYRING)
    groups: tuple[Iterable[str], ...] = (
        [name for name in names if name in keyring],
        [name for name in names if name not in (*keyring, PAGE)],
        [name for name in names if name == PAGE],
    )
    return tuple(tuple(_file(place, name) for name in group) for group in groups)


def _below(place: RepositoryLayout, name: str) -> list[File]:
    found: list[File] = []
    with disk_errors(place.path):
        for folder, folders, names in os.walk(place.path / name):
            beside = os.path.relpath(folder, place.path)
            links = [name for name in folders if (Path(folder) / name).is_symlink()]
            found += [_file(place, f"{beside}/{name}") for name in sorted((*names, *links))]
    return found


def _file(place: RepositoryLayout, key: str) -> File:
    path = place.path / key
    with disk_errors(path):
        if path.is_symlink():
            return File(key, 0, 0, os.readlink(path))
        facts = path.stat()
    return File(key, facts.st_size, int(facts.st_mtime))
