"""The revision that boards upgrade from: the newest published revision below the one to publish."""

import shutil
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from debian.debian_support import Version

from builders.apt.indices.entry import IndexEntry
from builders.apt.indices.release import RESTORE
from builders.apt.repository.layout import RepositoryLayout
from builders.apt.repository.publication import read_live
from builders.errors import PublishError
from builders.host.files import disk_errors, sha256_of
from builders.model.packages import DebFile


def previous_revision(
    repository: Path, suites: Iterable[str], packages: Collection[str], *, architecture: str, below: str, state: Path
) -> tuple[DebFile, ...]:
    """Return the .debs, among ``packages``, of the newest revision lower than ``below`` that boards may have.

    Searches the live publication of each of ``suites`` in turn; returns nothing where none contains a lower revision.
    All .debs have the same version, as on a board: packages of one build depend on each other's exact version, and a
    package that is new in the recipe is on no board. ``architecture`` is the board's, as Debian names it. Raises
    PublishError where an index does not match its Release.
    """
    place = RepositoryLayout(repository.absolute())
    for suite in suites:
        live = read_live(place, suite, state)
        entries = live.entries_of(packages) if live else []
        lower = [e for e in entries if e.architecture in (architecture, "all") and Version(e.version) < Version(below)]
        if lower:
            newest = max(lower, key=lambda entry: Version(entry.version)).version
            return tuple(_deb(place, entry) for entry in lower if entry.version == newest)
    return ()


def published_versions(repository: Path, suite: str, packages: Collection[str], *, state: Path) -> list[DebFile]:
    """Return the .debs of some packages in a suite's live publication, as far as the pool holds them."""
    place = RepositoryLayout(repository.absolute())
    live = read_live(place, suite, state)
    found = [_deb(place, entry) for entry in live.entries_of(packages) if not entry.is_source] if live else []
    return [deb for deb in found if deb.path.is_file()]


def copy_from_pool(debs: Sequence[DebFile], folder: Path) -> None:
    """Copy published .debs into ``folder``; raises PublishError for a changed or missing .deb, DiskError."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for deb in debs:
        if not deb.path.is_file():
            raise PublishError("the pool lacks a .deb of this publication", str(deb.path), "restore it from a copy")
        with disk_errors(deb.path):
            copy = Path(shutil.copy(deb.path, folder))
        if sha256_of(copy) != deb.sha256:
            raise PublishError(f"{deb.path} was changed after its publication", f"published: {deb.sha256}", RESTORE)


def _deb(place: RepositoryLayout, entry: IndexEntry) -> DebFile:
    path = place.path / entry.filename
    return DebFile(entry.package, entry.version, entry.architecture, entry.size, entry.sha256, path)
