"""The changelogs that ``apt-get changelog`` asks for: files of the pool beside the .debs, one a source and version.

They come from the .debs themselves. A source has the changelog of its first .deb with one; its packages of debug
symbols, which have none, get that of the others.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from builders.apt.indices.entry import IndexEntry
from builders.apt.packages import changelogs
from builders.apt.publish.suite import NextSuite
from builders.apt.repository.files import link, make_folder, settle
from builders.apt.repository.layout import DEBUG_COMPONENT, RepositoryLayout
from builders.host.files import disk_errors


class ReadChangelogs:
    """The changelogs of the .debs that were read for a publication, by path in the pool; they wait in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: dict[str, Path | None] = {}

    def add(self, entry: IndexEntry, packed: bytes) -> None:
        """Store the changelog ``packed`` in a .deb, where its source has none yet; raises DiskError."""
        if not entry.changelog or self._waiting.get(entry.changelog):
            return
        text = changelogs.plain(packed)
        self._waiting[entry.changelog] = self._write(entry.changelog, text) if text else None

    def knows(self, path: str) -> bool:
        """Return whether a .deb of the source was read."""
        return path in self._waiting

    def taken(self, path: str) -> Path | None:
        """Return the waiting file of a source, None where it has no changelog."""
        return self._waiting.get(path)

    def _write(self, place: str, text: bytes) -> Path:
        make_folder(self._folder)
        path = self._folder / f"changelog.{hashlib.sha256(place.encode()).hexdigest()}"
        with disk_errors(path), path.open("xb") as file:  # an earlier file may be linked into the pool already
            file.write(text)
        return path


def write_changelogs(
    suites: Iterable[NextSuite], published: RepositoryLayout, candidate: RepositoryLayout, read: ReadChangelogs,
    date: int,
) -> list[str]:  # fmt: skip
    """Write the changelogs that the pool lacks for the next publication of ``suites`` into a candidate's pool.

    Return their paths. The candidate contains the arriving .debs. Raises DiskError.
    """
    result: dict[str, None] = {}
    for suite in suites:
        for path, entries in _missing(suite).items():
            if path in result or os.path.isfile(published.path / path):
                continue
            if not read.knows(path):
                for entry in entries:
                    read.add(entry, changelogs.packed_in(_deb(entry, published, candidate), entry.package))
            source = read.taken(path) or _of_main(path, suite, published, candidate)
            if source:
                _place(source, candidate.path / path, date)
                result[path] = None
    return list(result)


def _missing(suite: NextSuite) -> dict[str, list[IndexEntry]]:
    """Return the paths of changelogs that a suite may lack, each with its .debs; those of debug symbols come last."""
    fields = suite.live.release.fields if suite.live else {}
    if "Changelogs" not in suite.fields():
        return {}
    new: Iterable[IndexEntry] = suite.arriving if "Changelogs" in fields else suite.entries
    result: dict[str, list[IndexEntry]] = {}
    for entry in sorted(new, key=lambda entry: (entry.component == DEBUG_COMPONENT, entry.filename)):
        if entry.changelog:
            result.setdefault(entry.changelog, []).append(entry)
    return result


def _deb(entry: IndexEntry, published: RepositoryLayout, candidate: RepositoryLayout) -> Path:
    new = candidate.path / entry.filename
    return new if new.exists() else published.path / entry.filename


def _of_main(path: str, suite: NextSuite, published: RepositoryLayout, candidate: RepositoryLayout) -> Path | None:
    """Return the file of the same source in another component, None where there is none."""
    _, _, rest = path.split("/", 2)
    others = (
        place.path / "pool" / component / rest for component in suite.components for place in (candidate, published)
    )
    return next((other for other in others if other.is_file()), None)


def _place(source: Path, target: Path, date: int) -> None:
    make_folder(target.parent)
    link(source, target)
    with disk_errors(target):
        settle(target, date)
