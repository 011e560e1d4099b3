"""Packages that apt downloaded, kept for every root and job; damaged ones are removed.

apt compares its downloads with its signed indices, but cached packages by their size alone. So each use begins with
comparing all digests, and ends with noting those of new packages.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from builders.host.files import disk_errors, sha256_of, write_whole
from builders.host.log import Log
from builders.host.workspace import Workspace
from builders.model.jobs import APT_CACHE


@dataclass(frozen=True)
class _Noted:
    """A package at the time of noting; ``size`` in bytes."""

    size: int
    mtime_ns: int
    sha256: str

    def fits(self, path: Path) -> bool:
        """Return whether the file has the noted size and time, which is quicker than its digest."""
        stat = path.stat()
        return (stat.st_size, stat.st_mtime_ns) == (self.size, self.mtime_ns)


@contextmanager
def kept(workspace: Workspace, log: Log) -> Iterator[Path]:
    """Give the folder of packages, from which apt reads and to which it adds; warn of damaged packages and remove them.

    A package without a note (its run was killed) is accepted as it is. Raises DiskError.
    """
    folder = workspace.cache.mounts / APT_CACHE.name
    with _notes(workspace, folder) as notes:
        for path in sorted(folder.glob("*.deb")):
            found = _noted(path)
            if found.sha256 != notes.setdefault(path.name, found).sha256:
                log.warn(f"the cached package {path} is damaged (its sha256 is {found.sha256}) and is removed")
                del notes[path.name]
                path.unlink()
    try:
        yield folder
    finally:  # a failed script may have fetched packages too
        with _notes(workspace, folder) as notes:
            for path in folder.glob("*.deb"):
                if path.name not in notes or not notes[path.name].fits(path):
                    notes[path.name] = _noted(path)


@contextmanager
def _notes(workspace: Workspace, folder: Path) -> Iterator[dict[str, _Noted]]:
    """Give the notes by package, and write them if they change; jobs do not see the file."""
    file = workspace.cache.mounts / f"{APT_CACHE.name}.json"
    with disk_errors(folder), workspace.locked(APT_CACHE.name, beside=workspace.cache.mounts):
        folder.mkdir(parents=True, exist_ok=True)
        before = _read(file)
        notes = {name: noted for name, noted in before.items() if (folder / name).exists()}
        yield notes
        if notes != before:
            write_whole(file, json.dumps({name: asdict(noted) for name, noted in sorted(notes.items())}, indent=1))


def _read(file: Path) -> dict[str, _Noted]:
    try:
        return {name: _Noted(**fields) for name, fields in json.loads(file.read_text()).items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return {}  # missing or damaged: every package is noted again


def _noted(path: Path) -> _Noted:
    stat = path.stat()
    return _Noted(stat.st_size, stat.st_mtime_ns, sha256_of(path))
