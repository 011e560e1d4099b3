"""Every path under ``artifacts/``, the locks on them, and writing that is either whole or absent."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock

from builders.errors import BusyError, DiskError
from builders.host.files import disk_errors, remove_tree


@dataclass(frozen=True)
class Workspace:
    """The folder ``artifacts/`` of a project and the fixed places inside it.

    ``project`` is that folder of the project's own, where this one only serves one of its runs.
    """

    path: Path
    project: Path | None = None

    @property
    def downloads(self) -> Path:
        """Source archives and git mirrors, by digest."""
        return self.path / "cache" / "sources"

    @property
    def caches(self) -> Path:
        """Folders that build jobs share between runs (ccache, apt archives), one per cache mount's name."""
        return self.path / "cache" / "mounts"

    @property
    def trees(self) -> Path:
        """Unpacked and edited source trees, by digest."""
        return self.path / "cache" / "trees"

    @property
    def roots(self) -> Path:
        """Build roots, by manifest."""
        return self.path / "cache" / "roots"

    @property
    def builds(self) -> Path:
        """Finished .debs and their records: ``<recipe>/<target slug>/``."""
        return self.path / "builds"

    @property
    def logs(self) -> Path:
        """Full logs, one file per step."""
        return self.path / "logs"

    @property
    def apt(self) -> Path:
        """The published apt repository."""
        return self.path / "apt"

    @property
    def scratch(self) -> Path:
        """Half-made things; whatever lies here without a live lock is rubbish."""
        return self.path / "scratch"

    def build(self, recipe: str, slug: str) -> Path:
        """Return the folder of one recipe's finished build for one target."""
        return self.builds / recipe / slug

    def log_file(self, name: str) -> Path:
        """Return an empty log file called after ``name`` (slashes become folders), with its folder made."""
        path = self.logs / f"{name}.log"
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        return path

    @contextmanager
    def locked(
        self, name: str, *, wait_s: float = -1, what: str = "",
        say: Callable[[str], None] | None = None, beside: Path | None = None,
    ) -> Iterator[None]:  # fmt: skip
        """Hold the lock ``name`` against other runs; it falls with the process, however that ends.

        ``wait_s`` in seconds, -1 for ever, 0 not at all; ``say`` is told of a wait. The lock lies in the folder
        ``beside``: that of the cache that it guards, which several projects may share. Raises BusyError when the wait
        was in vain.
        """
        path = (beside or self.path / "locks") / f"{name.replace('/', '-')}.lock"
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(path, timeout=wait_s)
            try:
                try:
                    lock.acquire(timeout=0)
                except filelock.Timeout:
                    if say and wait_s:
                        say(f"waiting for another run of Reef, which holds {what or name}")
                    lock.acquire()
            except filelock.Timeout as error:
                raise BusyError(
                    f"another run of Reef holds {what or name}",
                    f"lock: {path}",
                    "wait for it to end, then run the same command again",
                ) from error
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def scratch_folder(self, name: str, *, keep: bool = False) -> Iterator[Path]:
        """Give a new empty folder under ``scratch`` that is removed at the end, unless ``keep``.

        The folder is locked for as long as this process lives, so that `sweep` of another run spares it.
        """
        with disk_errors(self.scratch):
            self.scratch.mkdir(parents=True, exist_ok=True)
            # The lock is taken before the folder exists: a sweep between the two finds nothing to remove.
            path = self.scratch / f"{name.replace('/', '-')}.{os.getpid()}.{os.urandom(3).hex()}"
            lock = filelock.FileLock(f"{path}.lock")
            lock.acquire()
            path.mkdir()
        try:
            yield path
        finally:
            if not keep:
                remove_tree(path)
                Path(f"{path}.lock").unlink(missing_ok=True)
            lock.release()

    def sweep(self) -> list[Path]:
        """Remove what runs that died left in ``scratch`` and return it."""
        removed = []
        for lock_path in sorted(self.scratch.glob("*.lock")):
            lock = filelock.FileLock(lock_path, timeout=0)
            try:
                lock.acquire()
            except filelock.Timeout:
                continue
            folder = lock_path.with_suffix("")
            if folder.exists():
                remove_tree(folder)
                removed.append(folder)
            lock_path.unlink(missing_ok=True)
            lock.release()
        return removed

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Hold what lies in here against `alone`; any number of runs may at once, and it falls with the process.

        Raises BusyError while another run has it alone, DiskError where its folders lie on different disks.
        """
        with self._run_lock(fcntl.LOCK_SH):
            self._require_one_disk()
            yield

    def _require_one_disk(self) -> None:
        """Raise DiskError where what is finished could not be put in place by a rename (EXDEV of rename(2))."""
        disk = self.path.stat().st_dev
        for folder in (
            self.path / "cache",
            self.downloads,
            self.caches,
            self.trees,
            self.roots,
            self.builds,
            self.scratch,
        ):
            if folder.exists() and folder.stat().st_dev != disk:
                raise DiskError(
                    f"{folder} lies on another disk than {self.path}",
                    f"it is {folder.resolve()}; what is made there is put in place by renaming, whole or not at all",
                    "put the whole folder on the other disk: artifacts: in reef.yml names it",
                )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every other run out, to remove what any might be using; raises BusyError while one is at work."""
        with self._run_lock(fcntl.LOCK_EX):
            yield

    @contextmanager
    def _run_lock(self, kind: int) -> Iterator[None]:
        path = self.path / "locks" / "run.lock"
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a")
        with file:
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BusyError(
                    "another run of Reef is at work", f"in {self.path}", "wait for it to end (or leave its shell)"
                ) from error
            yield
