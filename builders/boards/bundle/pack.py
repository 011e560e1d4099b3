"""The files of a bundle: a signed repository as a board reads it, in one tar archive or in a folder."""

import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from builders.host.files import disk_errors

LEFT_OUT = {"Release", "Release.gpg"}
"""apt needs InRelease alone, and must not take anything else for a signature."""
LAST = "InRelease"
"""The signature comes last: of an interrupted transfer apt accepts nothing."""


def files_of(repository: Path, suites: Iterable[str]) -> Iterator[tuple[str, Path]]:
    """Yield the files that boards read, each with its path in the repository; those of each signature are the last."""
    folders = ["pool", *(f"dists/{suite}" for suite in suites)]
    found = [each for folder in folders for each in _below(repository, folder)]
    kept = [(name, path) for name, path in found if path.name not in LEFT_OUT]
    yield from sorted(kept, key=lambda each: (each[1].name == LAST, each[0]))


def pack(repository: Path, suite: str, target: Path) -> int:
    """Write the files of a suite to the archive ``target``, readable for every user, and return its bytes."""
    with disk_errors(target), tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(_entry(".", folder=True))
        folders: set[str] = set()
        for name, path in files_of(repository, [suite]):
            for parent in reversed(Path(name).parents[:-1]):
                if str(parent) not in folders:
                    folders.add(str(parent))
                    archive.addfile(_entry(str(parent), folder=True))
            entry = _entry(name)
            entry.size = path.stat().st_size
            with path.open("rb") as content:
                archive.addfile(entry, content)
    return target.stat().st_size


def _entry(name: str, *, folder: bool = False) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = (tarfile.DIRTYPE, 0o755) if folder else (tarfile.REGTYPE, 0o644)
    return entry


def _below(repository: Path, folder: str) -> Iterator[tuple[str, Path]]:
    place = (repository / folder).resolve()  # dists/SUITE is a link
    for path in place.rglob("*"):
        if path.is_file():
            yield f"{folder}/{path.relative_to(place)}", path
