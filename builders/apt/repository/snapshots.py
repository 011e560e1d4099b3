"""Every publication of a suite, to list and to return to."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builders.apt.indices.entry import IndexEntry
from builders.apt.repository.layout import STAMP, SUITE, RepositoryLayout, checked
from builders.apt.repository.publication import PublishedSuite, read_publication
from builders.errors import PublishError, nearest


@dataclass(frozen=True)
class Snapshot:
    """One publication: its .debs, the bytes of all files, and what was added and removed since the one before it."""

    suite: str
    stamp: str
    live: bool
    debs: int
    size: int
    added: tuple[str, ...]
    removed: tuple[str, ...]


def snapshots(repository: Path, suite: str | None = None) -> list[Snapshot]:
    """Return the publications of one suite or of all, oldest first; raises PublishError for an unknown suite."""
    place = RepositoryLayout(repository.absolute())
    result: list[Snapshot] = []
    for name in [require_published(place, suite)] if suite else place.suites():
        before: dict[str, IndexEntry] = {}
        for stamp in _published(place, name):
            now = {entry.filename: entry for entry in read_publication(place, name, stamp).entries}
            added = tuple(sorted(str(now[path]) for path in now.keys() - before.keys()))
            removed = tuple(sorted(str(before[path]) for path in before.keys() - now.keys()))
            size = sum(size for _, size, _ in {file for entry in now.values() for file in entry.files})
            debs = sum(not entry.is_source for entry in now.values())
            result.append(Snapshot(name, stamp, stamp == place.live_stamp(name), debs, size, added, removed))
            before = now
    return result


def require_published(place: RepositoryLayout, suite: str) -> str:
    """Return ``suite`` where it is published; raises PublishError that names the nearest published suite."""
    checked("suite name", suite, SUITE)
    if suite not in place.suites():
        hint = nearest(suite, place.suites()) if place.suites() else "run ./inv publish-apt first"
        raise PublishError(f"the suite {suite} is not published", f"in {place.path}", hint)
    return suite


def earlier_publication(repository: Path, suite: str, stamp: str | None) -> PublishedSuite:
    """Return the publication ``stamp``, by default the one before the live publication; raises PublishError."""
    place = RepositoryLayout(repository.absolute())
    stamps = _published(place, require_published(place, suite))
    if stamp is None:
        if len(stamps) < 2:
            raise PublishError(
                f"{suite} has no earlier publication", f"kept: {', '.join(stamps)}", "publish something first"
            )
        stamp = stamps[-2]
    elif not STAMP.fullmatch(stamp) or stamp not in stamps:
        raise PublishError(
            f"{suite} has no publication {stamp!r}",
            f"kept: {', '.join(stamps)}",
            "./inv snapshots lists what each contains",
        )
    return read_publication(place, suite, stamp)


def missing_debs(repository: Path, entries: Sequence[IndexEntry]) -> list[str]:
    """Return the paths of ``entries`` that are missing in the pool."""
    return [path for entry in entries for path in entry.paths if not (repository / path).is_file()]


def _published(place: RepositoryLayout, suite: str) -> list[str]:
    live = place.live_stamp(suite) or ""
    return [stamp for stamp in place.stamps(suite) if stamp <= live]
