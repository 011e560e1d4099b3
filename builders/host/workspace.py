"""Every path under ``artifacts/``, the locks on them, and writing that is either whole or absent."""

import fcntl
import os
import pwd
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import filelock

from builders.errors import BusyError, DiskError
from builders.host.files import disk_errors, remove_tree

ELSEWHERE = "name another folder: cache: in reef.yml, or the variable REEF_CACHE"
"""What to do about a folder that cannot be the cache."""
CACHE_NAMES = {"locks", "lost+found", "mounts", "roots", "scratch", "sources", "trees"}
"""What a folder may hold before it becomes a shared cache: what `Cache` makes, or what a new disk holds."""


@dataclass(frozen=True)
class RunFolder:
    """A folder in which several runs of Reef work at once.

    Each has scratch folders of its own there, and one may ask all others to keep out.
    """

    path: Path
    key: ClassVar[str]
    """The key of reef.yml that names it."""

    @property
    def scratch(self) -> Path:
        """Half-made things; whatever lies here without a live lock is rubbish."""
        return self.path / "scratch"

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
    def _run_lock(self, kind: int) -> Iterator[None]:
        """Hold the folder's lock of all runs, shared or exclusive; raises BusyError where another run is in the way."""
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

    def _require_one_disk(self, *folders: Path) -> None:
        """Raise DiskError where what is finished could not be put in place by a rename (EXDEV of rename(2))."""
        disk = self.path.stat().st_dev
        for folder in (*folders, self.scratch):
            if folder.exists() and folder.stat().st_dev != disk:
                raise DiskError(
                    f"{folder} lies on another disk than {self.path}",
                    f"it is {folder.resolve()}; what is made there is put in place by renaming, whole or not at all",
                    f"put the whole folder on the other disk: {self.key}: in reef.yml names it",
                )


@dataclass(frozen=True)
class Cache(RunFolder):
    """What costs time to fetch or to make again: roots, sources, compiled files.

    Where it is ``shared``, checkouts and CI runs of one user work in it at once. Whatever guards its content lies in
    it, so that all of them see it. Losing it costs time only.
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

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep `alone` of other runs out; raises BusyError, and DiskError where this user cannot work here."""
        if self.shared:
            self._require_usable()
        with self._run_lock(fcntl.LOCK_SH):
            self._require_one_disk(self.downloads, self.mounts, self.trees, self.roots)
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every run of every project out; raises BusyError while one is at work, else as `in_use`."""
        if self.shared:
            self._require_usable()
        with self._run_lock(fcntl.LOCK_EX):
            yield

    def _require_usable(self) -> None:
        """Raise DiskError for a folder that holds other things, or that another user works in."""
        lock = self.path / "locks" / "run.lock"
        try:
            foreign = sorted(set(os.listdir(self.path)) - CACHE_NAMES) if self.path.exists() else []
            if foreign and not lock.exists():
                raise DiskError(
                    f"{self.path} is not a cache of Reef", f"it holds {foreign[0]!r}", f"{ELSEWHERE}: an empty one"
                )
            lock.parent.mkdir(parents=True, exist_ok=True)
            with lock.open("a"):
                owner = lock.stat().st_uid
        except OSError as error:
            raise DiskError(f"the cache {self.path} cannot be written", str(error), ELSEWHERE) from error
        if owner != os.geteuid():
            raise DiskError(
                f"the cache {self.path} belongs to {_user(owner)}; this is {_user(os.geteuid())}",
                "the files of build roots carry user ids, so that each user needs a cache of their own",
                ELSEWHERE,
            )


@dataclass(frozen=True)
class Workspace(RunFolder):
    """The folder ``artifacts/`` of a project and the fixed places inside it.

    ``project`` is that folder of the project's own, where this one only serves one of its runs. ``shared_cache`` is the
    cache's folder where that lies elsewhere.
    """

    project: Path | None = None
    shared_cache: Path | None = None
    key: ClassVar[str] = "artifacts"

    @property
    def cache(self) -> Cache:
        """What several projects may share."""
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

    def sweep(self) -> list[Path]:
        """Remove what runs that died left in ``scratch``, here and in the cache, and return it."""
        return [*super().sweep(), *self.cache.sweep()]

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Hold what lies in here and in the cache against `alone`; any number of runs may at once.

        It falls with the process. Raises BusyError while another run has it alone, DiskError where folders lie on
        different disks, or this user cannot work in the cache.
        """
        with self._run_lock(fcntl.LOCK_SH), self.cache.in_use():
            self._require_one_disk(self.builds)
            yield

    @contextmanager
    def alone(self, *, cache: bool) -> Iterator[None]:
        """Keep every other run out, to remove what any might be using; raises BusyError while one is at work.

        With ``cache`` also runs of other projects that share the cache.
        """
        with self._run_lock(fcntl.LOCK_EX), self.cache.alone() if cache else nullcontext():
            yield


def _user(number: int) -> str:
    """Return a user's name, the number where there is none."""
    try:
        return f"user {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"user {number}"
