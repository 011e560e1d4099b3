"""Which versions stay in a suite, and what no kept publication refers to any more.

The age of a .deb counts from its first publication: publishing sets the modification time of its file in the pool.
"""

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from debian.debian_support import Version

from builders.apt.repository.layout import STAMP, RepositoryLayout
from builders.apt.repository.publication import read_publication
from builders.apt.state.catalog import PoolPackage
from builders.host.files import disk_errors, remove_tree
from builders.model.settings import Keep, Settings

DAY_S = 86400
LEAVING = ".leaving"
"""Suffix of a snapshot that is being removed: a partly removed snapshot is never used."""


@dataclass(frozen=True)
class Unreferenced:
    """Files without a kept publication: publications as ``suite/stamp``, paths in the pool and their bytes.

    ``debs`` includes files of source packages.
    """

    snapshots: tuple[str, ...]
    debs: tuple[str, ...]
    size: int


def surplus(
    there: Iterable[PoolPackage], arriving: Iterable[PoolPackage], keep: Keep, repository: Path
) -> list[PoolPackage]:
    """Return the packages that ``keep`` removes from a suite with ``there`` when ``arriving`` are added.

    Versions are counted for each component, package and CPU.
    """
    if not keep.limits:
        return []
    newest = keep.versions or 1
    groups: dict[tuple[str, str, str], dict[str, PoolPackage]] = {}
    for deb in (*there, *arriving):
        groups.setdefault(deb.kind, {})[deb.filename] = deb
    older = [
        deb
        for group in groups.values()
        if len(group) > newest
        for deb in sorted(group.values(), key=lambda deb: Version(deb.version))[:-newest]
    ]
    return [deb for deb in older if not keep.days or _age_days(repository, deb.filename) >= keep.days]


def _age_days(repository: Path, filename: str) -> float:
    """Return how many days ago a .deb was published; 0 for an arriving .deb."""
    try:
        return (time.time() - (repository / filename).stat().st_mtime) / DAY_S
    except OSError:
        return 0.0


def unreferenced(repository: Path, settings: Settings) -> Unreferenced:
    """Return what no live and no kept publication refers to.

    As many publications stay as ``keep.snapshots`` says, and no fewer than are reachable by hash. Raises PublishError
    for a broken publication.
    """
    place = RepositoryLayout(repository.absolute())
    kept = max(settings.repository.keep.snapshots, settings.repository.generations)
    named: set[str] = set()
    unused: list[str] = []
    for folder in sorted((place.path / "snapshots").glob("*")):
        suite, stamps = folder.name, place.stamps(folder.name)
        live = place.live_stamp(suite)
        # A killed run left what is newer than the live publication: nobody ever saw it. Where none is live, somebody
        # removed the suite by hand, and may restore it.
        seen = [stamp for stamp in stamps if live and stamp <= live]
        staying = {*seen[-kept:], live} if live else set(stamps)
        unused += [f"{suite}/{stamp}" for stamp in stamps if stamp not in staying]
        for stamp in staying:
            for entry in read_publication(place, suite, stamp).entries:
                named |= {*entry.paths, entry.changelog}
    debs = [name for name in _pool_files(place) if name not in named]
    return Unreferenced(tuple(unused), tuple(debs), sum((place.path / name).stat().st_size for name in debs))


def publications_naming(place: RepositoryLayout, filename: str) -> list[str]:
    """Return the publications, as ``suite/stamp``, that name a path of the pool."""
    folder, _, name = filename.rpartition("/")
    line, directory = (text.encode() for text in (f"\nFilename: {filename}\n", f"\nDirectory: {folder}\n"))

    def names(path: Path) -> bool:
        content = path.read_bytes()
        if path.name == "Packages":
            return line in content
        return any(directory in text and f" {name}\n".encode() in text for text in content.split(b"\n\n"))

    indices = (
        path for kind in ("Packages", "Sources") for path in place.path.glob(f"snapshots/*/*/dists/*/*/*/{kind}")
    )
    found = {"/".join(path.relative_to(place.path).parts[1:3]) for path in indices if names(path)}
    return sorted(name for name in found if STAMP.fullmatch(name.rpartition("/")[2]))


def _pool_files(place: RepositoryLayout) -> list[str]:
    found = []
    for folder, _, names in os.walk(place.pool):
        beside = os.path.relpath(folder, place.path)
        found += [f"{beside}/{name}" for name in names]
    return sorted(found)


def remove(repository: Path, leaving: Unreferenced) -> None:
    """Remove unreferenced publications, then the files of the pool; the next run resumes after a kill.

    Raises DiskError.
    """
    place = RepositoryLayout(repository.absolute())
    for name in leaving.snapshots:
        path = place.path / "snapshots" / name
        with disk_errors(path):
            path.rename(path.with_name(path.name + LEAVING))
    for folder in sorted((place.path / "snapshots").glob(f"*/*{LEAVING}")):
        if STAMP.fullmatch(folder.name.removesuffix(LEAVING)):
            remove_tree(folder)
    with disk_errors(place.pool):
        for name in leaving.debs:
            path = place.path / name
            path.unlink(missing_ok=True)
            _remove_empty([path.parent, *path.parent.parents], place.pool)


def _remove_empty(folders: Sequence[Path], top: Path) -> None:
    for folder in folders:
        if folder == top or any(folder.iterdir()):
            return
        folder.rmdir()
