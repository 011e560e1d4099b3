"""The revision that boards upgrade from: the newest one published that is lower than the one to publish."""

import shutil
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from debian.debian_support import Version

from builders.apt.indices.entry import IndexEntry
from builders.apt.repository.layout import RepositoryLayout
from builders.apt.repository.publication import RESTORE, read_live
from builders.errors import PublishError
from builders.host.files import disk_errors, sha256_of
from builders.model.packages import DebFile


def previous_revision(
    repository: Path, suites: Iterable[str], packages: Collection[str], *, architecture: str, below: str, state: Path
) -> tuple[DebFile, ...]:
    """Return the .debs, among ``packages``, of the newest revision lower than ``below`` that boards may have.

    It is looked for in the live publication of each of ``suites`` in turn, and none is returned where none has one.
    All have one version, as on a board: packages of one build ask for each other's exact version, and what came
    into the recipe since is on no board. ``architecture`` is the board's, as Debian names it. Raises PublishError
    where an index is not what its Release says.
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


def copy_from_pool(debs: Sequence[DebFile], folder: Path) -> None:
    """Copy published .debs into ``folder``; raises PublishError for one that is not what was published, DiskError."""
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
