"""Packages that apt downloaded, kept for every root and job: each is still what was downloaded, or goes.

apt compares what it downloads with its signed indices, but what lies in its archives already it takes by the size
alone. So the digest of whatever a use brought is noted at its end, and compared before the next use.
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
    """A package as it was when it was noted; ``size`` in bytes."""

    size: int
    mtime_ns: int
    sha256: str

    def fits(self, path: Path) -> bool:
        """Tell whether the file seems to be the noted one, by what costs nothing to see."""
        stat = path.stat()
        return (stat.st_size, stat.st_mtime_ns) == (self.size, self.mtime_ns)


@contextmanager
def kept(workspace: Workspace, log: Log) -> Iterator[Path]:
    """Give the folder of the packages, for apt to take from and to add to; a damaged one is told of and removed.

    One that no use noted (the run was killed) is taken as it is. Raises DiskError.
    """
    folder = workspace.cache.mounts / APT_CACHE.name
    with _notes(workspace, folder) as notes:
        for path in sorted(folder.glob("*.deb")):
            found = _noted(path)
            if found.sha256 != notes.setdefault(path.name, found).sha256:
                log.warn(f"the cached package {path} is damaged (its sha256 is {found.sha256}); it is removed")
                del notes[path.name]
                path.unlink()
    try:
        yield folder
    finally:  # a script that fails has fetched nevertheless
        with _notes(workspace, folder) as notes:
            for path in folder.glob("*.deb"):
                if path.name not in notes or not notes[path.name].fits(path):
                    notes[path.name] = _noted(path)


@contextmanager
def _notes(workspace: Workspace, folder: Path) -> Iterator[dict[str, _Noted]]:
    """Give what is noted of each package, and write down what became of it; jobs do not see the file."""
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
        return {}  # none yet, or not as it was written: every package is noted again


def _noted(path: Path) -> _Noted:
    stat = path.stat()
    return _Noted(stat.st_size, stat.st_mtime_ns, sha256_of(path))
