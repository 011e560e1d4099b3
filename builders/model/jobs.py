"""Jobs of engines: the root, the job and its result."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builders.model.arch import Architecture


@dataclass(frozen=True)
class Root:
    """A Debian root in which jobs run. As in Debian, programs run on ``build`` and results are for ``host``."""

    suite: str
    build: Architecture
    host: Architecture
    packages: tuple[str, ...]


@dataclass(frozen=True)
class Input:
    """A folder of the machine that the job sees at ``destination`` (absolute, inside the root).

    Several inputs with the same destination are merged, the last on top. A job may write there; the folder itself
    never changes.
    """

    path: Path
    destination: str


@dataclass(frozen=True)
class CacheMount:
    """A folder kept between jobs (ccache, apt archives), mounted at ``destination`` and shared by its name."""

    name: str
    destination: str


CCACHE = CacheMount("ccache", "/cache/ccache")
"""Compiled files, by the digest of their inputs."""
APT_CACHE = CacheMount("apt", "/cache/apt")
"""Packages that apt downloaded.

apt compares downloads with its signed indices, but of packages in this cache it compares only the sizes. The engine
therefore verifies that they are unchanged.
"""


@dataclass(frozen=True)
class JobLimits:
    """Bounds on a job: ``time_s`` in seconds of wall time for each script; None means unbounded."""

    time_s: float | None = None


@dataclass(frozen=True)
class Storage:
    """A server that shares compiled files between machines; ``what`` is its kind in messages.

    ``scheme`` is ``http``, ``redis`` or ``tcp`` (bytes as they are, for gRPC), ``path`` a prefix of names (http) or a
    database's number (redis), ``layout`` ccache's naming of files over http. Only the engine knows ``user`` and
    ``password``: no job, log or record contains them.
    """

    scheme: str
    tls: bool
    host: str
    port: int
    path: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    layout: str = "subdirs"
    read_only: bool = False
    what: str = "ccache storage"

    def __str__(self) -> str:
        return f"{self.scheme}{'s' if self.tls else ''}://{self.host}:{self.port}"


@dataclass(frozen=True)
class BuildJob:
    """All that an engine needs to run a job; the same for every engine.

    ``fetch`` (optional) runs first and is the only script with a network; ``script`` runs with none but loopback,
    through which it reaches ``storage`` (if any) and nothing else. Both are POSIX shell, run with ``sh -eu`` as the
    root's user 0 in ``workdir``. ``output`` is an empty folder of the root; its content is the result.
    """

    name: str
    root: Root
    script: str
    fetch: str | None = None
    inputs: tuple[Input, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    caches: tuple[CacheMount, ...] = ()
    workdir: str = "/build"
    output: str = "/build/out"
    limits: JobLimits = JobLimits()
    storage: Storage | None = None


@dataclass(frozen=True)
class StepRecord:
    """A timed step: ``seconds`` of wall time, ``peak_memory_bytes`` summed over its processes."""

    name: str
    seconds: float
    peak_memory_bytes: int


@dataclass(frozen=True)
class JobResult:
    """A finished job: ``output`` is the folder of the machine with its result, ``steps`` its steps (``root`` first, if
    its root was made), ``root_packages`` the packages in its root (``name:architecture=version``)."""

    job: str
    output: Path
    steps: tuple[StepRecord, ...]
    root_packages: tuple[str, ...] = ()
