"""Every path under ``artifacts/`` and in the cache, and the locks on them."""

import fcntl
import os
import pwd
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from builders.errors import BusyError, DiskError
from builders.host.files import disk_errors, remove_tree

if TYPE_CHECKING:
    import filelock

ELSEWHERE = "name another folder: cache: in reef.yml, or the variable REEF_CACHE"
"""The advice on a folder that cannot be the cache."""
CACHE_NAMES = {"locks", "lost+found", "mounts", "roots", "scratch", "sources", "trees", "virtual"}
"""Names that a folder may contain before it becomes a shared cache: those of `Cache`, and of a new disk."""


@dataclass(frozen=True)
class RunFolder:
    """A folder in which several runs of Reef work at once.

    Each run has its own scratch folders, and a run can exclude all others.
    """

    path: Path
    key: ClassVar[str]
    """The key of reef.yml that names the folder."""

    @property
    def scratch(self) -> Path:
        """Unfinished work; anything here without a live lock is the rest of a dead run."""
        return self.path / "scratch"

    @contextmanager
    def scratch_folder(self, name: str, *, keep: bool = False) -> Iterator[Path]:
        """Give a new empty folder under ``scratch`` that is removed at the end, unless ``keep``.

        The folder is locked until its end, so that `sweep` of another run does not remove it.
        """
        with disk_errors(self.scratch):
            self.scratch.mkdir(parents=True, exist_ok=True)
            path, lock = self._locked_path(name.replace("/", "-"))
            path.mkdir()
        try:
            yield path
        finally:
            if not keep:
                remove_tree(path)
                Path(f"{path}.lock").unlink(missing_ok=True)
            lock.release()

    def _locked_path(self, name: str) -> "tuple[Path, filelock.BaseFileLock]":
        """Return a new path in ``scratch`` and its lock, which is held.

        The lock comes before the folder: a sweep in between finds nothing to remove.
        """
        import filelock  # slow to import, and a command that only shows something locks nothing

        while True:
            path = self.scratch / f"{name}.{os.getpid()}.{os.urandom(3).hex()}"
            lock = filelock.FileLock(f"{path}.lock")
            lock.acquire()
            if os.path.exists(lock.lock_file):
                return path, lock
            lock.release()  # a sweep was faster and removed the file: no later sweep would see this lock

    def sweep(self) -> list[Path]:
        """Remove the scratch folders of dead runs and return them."""
        import filelock  # slow to import, and a command that only shows something locks nothing

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
    def _run_lock(self, kind: int) -> Iterator[None]:
        """Hold the folder's lock of all runs, shared or exclusive; raises BusyError if another run prevents it."""
        path = self.path / "locks" / "run.lock"
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a")
        with file:
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BusyError(
                    "another run of Reef is at work", f"in {self.path}", "wait for its end (or leave its shell)"
                ) from error
            yield

    def _require_one_disk(self, *folders: Path) -> None:
        """Raise DiskError if finished work could not be renamed into its place (EXDEV of rename(2))."""
        disk = self.path.stat().st_dev
        for folder in (*folders, self.scratch):
            if folder.exists() and folder.stat().st_dev != disk:
                raise DiskError(
                    f"{folder} is on another disk than {self.path}",
                    f"it is {folder.resolve()}; finished work is renamed into its place, which needs a single disk",
                    f"put the whole folder on one disk: {self.key}: in reef.yml names it",
                )


@dataclass(frozen=True)
class Cache(RunFolder):
    """Roots, sources and compiled files, which only cost time to fetch or make again.

    If it is ``shared``, several checkouts and CI runs of one user work in it at once. The cache itself has its locks,
    so that all of them see the locks.
    """

    shared: bool = False
    key: ClassVar[str] = "cache"

    @property
    def downloads(self) -> Path:
        """Source archives and git mirrors, by digest."""
        return self.path / "sources"

    @property
    def mounts(self) -> Path:
        """Folders that build jobs share between runs (ccache, apt archives), one per cache mount's name."""
        return self.path / "mounts"

    @property
    def trees(self) -> Path:
        """Unpacked and edited source trees, by digest."""
        return self.path / "trees"

    @property
    def roots(self) -> Path:
        """Build roots, by manifest."""
        return self.path / "roots"

    @property
    def virtual(self) -> Path:
        """Images and saved states of virtual boards, by manifest."""
        return self.path / "virtual"

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Exclude `alone` of other runs; raises BusyError, and DiskError if this user cannot work here."""
        if self.shared:
            self._require_usable()
        with self._run_lock(fcntl.LOCK_SH):
            self._require_one_disk(self.downloads, self.mounts, self.trees, self.roots)
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Exclude every run of every project; raises BusyError while another run is at work, otherwise as `in_use`."""
        if self.shared:
            self._require_usable()
        with self._run_lock(fcntl.LOCK_EX):
            yield

    def _require_usable(self) -> None:
        """Raise DiskError for a folder with other content, or a folder of another user."""
        lock = self.path / "locks" / "run.lock"
        try:
            foreign = sorted(set(os.listdir(self.path)) - CACHE_NAMES) if self.path.exists() else []
            if foreign and not lock.exists():
                raise DiskError(
                    f"{self.path} is not a cache of Reef",
                    f"it contains {foreign[0]!r}",
                    f"{ELSEWHERE}: an empty folder",
                )
            lock.parent.mkdir(parents=True, exist_ok=True)
            with lock.open("a"):
                owner = lock.stat().st_uid
        except OSError as error:
            raise DiskError(f"the cache {self.path} cannot be written", str(error), ELSEWHERE) from error
        if owner != os.geteuid():
            raise DiskError(
                f"the cache {self.path} belongs to {_user(owner)}; this is {_user(os.geteuid())}",
                "the files of build roots have user ids, so each user needs a separate cache",
                ELSEWHERE,
            )


@dataclass(frozen=True)
class Workspace(RunFolder):
    """The folder ``artifacts/`` of a project and the fixed places inside it.

    A workspace of a single run has the project's own folder as ``project``. ``shared_cache`` is the cache's folder
    if it is outside the workspace.
    """

    project: Path | None = None
    shared_cache: Path | None = None
    key: ClassVar[str] = "artifacts"

    @property
    def cache(self) -> Cache:
        """The cache, which several projects may share."""
        return Cache(self.shared_cache or self.path / "cache", shared=self.shared_cache is not None)

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
    def virtual_boards(self) -> Path:
        """The project's virtual boards, by name."""
        return self.path / "virtual-boards"

    def build(self, recipe: str, slug: str) -> Path:
        """Return the folder of one recipe's finished build for one target."""
        return self.builds / recipe / slug

    def log_file(self, name: str) -> Path:
        """Return a new, empty log file named after ``name``; its folders (slashes in the name) are made."""
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
        """Hold the lock ``name`` against other runs; the end of the process releases it too.

        ``wait_s`` is in seconds, -1 without end, 0 for no wait; ``say`` receives a message before a wait. The lock is
        in the folder ``beside``, which is the cache if the lock guards a part of it. Raises BusyError after the wait.
        """
        import filelock  # slow to import, and a command that only shows something locks nothing

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
                    "wait for its end, then run the same command again",
                ) from error
        try:
            yield
        finally:
            lock.release()

    def sweep(self) -> list[Path]:
        """Remove the scratch folders of dead runs, here and in the cache, and return them."""
        return [*super().sweep(), *self.cache.sweep()]

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Exclude `alone` of other runs, here and in the cache; any number of runs may do so at once.

        The end of the process ends it too. Raises BusyError while another run is `alone`, DiskError if folders are on
        different disks or this user cannot work in the cache.
        """
        with self._run_lock(fcntl.LOCK_SH), self.cache.in_use():
            self._require_one_disk(self.builds)
            yield

    @contextmanager
    def alone(self, *, cache: bool) -> Iterator[None]:
        """Exclude every other run, to remove things that it might use; raises BusyError while another run is at work.

        With ``cache``, runs of other projects that share the cache are excluded too.
        """
        with self._run_lock(fcntl.LOCK_EX), self.cache.alone() if cache else nullcontext():
            yield


def _user(number: int) -> str:
    """Return a user's name, or the number of a user without a name."""
    try:
        return f"user {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"user {number}"
