"""Makes a candidate the published repository, all or nothing.

Order: new .debs, then the new snapshot with its indices (readers see neither), then the files at the root, and last,
for each suite, one rename of the link ``dists/<suite>``. A reader follows the link to the old publication or to the
new one; both contain the indices that it asks for by hash. A run that is killed at any point leaves the old publication
or the new one; the journal lists what the next run discards.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from builders.apt.publish.stage import Staged, StagedSuite
from builders.apt.repository.files import flush, move, point
from builders.apt.repository.journal import journal_file, recover
from builders.apt.repository.layout import RepositoryLayout, link_target
from builders.apt.repository.publication import digest_of
from builders.apt.state import catalog, read_cache
from builders.errors import BusyError, DiskError
from builders.host.files import disk_errors, write_whole
from builders.model.packages import Publication


def make_live(
    staged: Staged, repository: Path, warn: Callable[[str], None] = lambda _: None
) -> tuple[Publication, ...]:
    """Publish a candidate and return one record per suite, in the order given to `stage`.

    If nothing is new, the repository is not touched. Raises BusyError where another run published since `stage`,
    DiskError; the published repository is then still the old one, suite by suite. Once readers see the new publication,
    an error only costs time: ``warn`` reports it.
    """
    place = RepositoryLayout(repository.absolute())
    recover(repository, staged.state)
    if staged.changed:
        _check_unmoved(staged, place)
        _publish(staged, place)
    warn_only(lambda: _remember(staged), warn)
    return tuple(_publication(staged, suite, place) for suite in staged.suites)


def warn_only(keep: Callable[[], None], warn: Callable[[str], None]) -> None:
    """Let ``keep`` store what only saves time in the next run; ``warn`` reports a refusal of the disk."""
    try:
        keep()
    except DiskError as error:
        warn(f"published, but the next run will take longer, because its cache could not be stored: {error}")


def _remember(staged: Staged) -> None:
    """Close the journal, and store what the next run need not read again; raises DiskError."""
    journal = journal_file(staged.state)
    with disk_errors(journal):
        journal.unlink(missing_ok=True)
    known = read_cache.recall(staged.state, [path for path, _ in staged.read])
    read_cache.remember(staged.state, [(path, file) for path, file in staged.read if known.get(path) != file])
    catalog.remember(staged.state, staged.changes, staged.made)


def _check_unmoved(staged: Staged, place: RepositoryLayout) -> None:
    for suite in staged.suites:
        if place.live_stamp(suite.suite) != suite.before:
            raise BusyError(
                f"another run published {suite.suite} meanwhile",
                f"live: {place.live_stamp(suite.suite)}, this candidate follows: {suite.before}",
                "run the same command again",
            )


def _publish(staged: Staged, place: RepositoryLayout) -> None:
    changed = [suite for suite in staged.suites if suite.changed]
    snapshots = [str(Path("snapshots", suite.suite, suite.stamp)) for suite in changed]
    arriving = [*_arriving(staged.pool, place), *snapshots]
    write_whole(journal_file(staged.state), json.dumps(arriving, indent=0))
    for name in (*arriving, *staged.root_files):
        move(staged.path / name, place.path / name)
    indices = [str(path) for name in snapshots for path in (place.path / name).rglob("*") if path.is_file()]
    flush(place.path, [*indices, *(f"{place.path}/{name}" for name in (*staged.pool, *staged.root_files))])
    for suite in changed:
        point(place.live(suite.suite), link_target(suite.suite, suite.stamp))


def _arriving(pool: Iterable[str], place: RepositoryLayout) -> list[str]:
    """Return the paths to move for ``pool``: a new folder is moved whole, by one rename."""
    result: dict[str, None] = {}
    there: dict[str, bool] = {}
    for name in pool:
        parts = name.split("/")
        folders = ("/".join(parts[:depth]) for depth in range(2, len(parts)))
        for folder in folders:
            if folder not in there:
                there[folder] = (place.path / folder).is_dir()
            if not there[folder]:
                result[folder] = None
                break
        else:
            result[name] = None
    return list(result)


def _publication(staged: Staged, suite: StagedSuite, place: RepositoryLayout) -> Publication:
    signed = place.indices(suite.suite, suite.stamp) / "InRelease"
    with disk_errors(signed):
        digest = digest_of(signed.read_bytes()).sha256
    return Publication(
        place.path, suite.suite, suite.debs, staged.key_fingerprint, digest, suite.changed, staged.key_expires
    )
