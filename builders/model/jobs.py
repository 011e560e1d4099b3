"""What an engine runs: the root, the job and what it leaves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builders.model.arch import Architecture


@dataclass(frozen=True)
class Root:
    """A Debian root to run a job in: Debian's meaning of build (runs here) and host (results are for it)."""

    suite: str
    build: Architecture
    host: Architecture
    packages: tuple[str, ...]


@dataclass(frozen=True)
class Input:
    """A folder of the machine that the job sees at ``destination`` (absolute, inside the root).

    Several inputs with one destination lie over each other, the last on top. A job may write there; the
    folder itself stays untouched.
    """

    path: Path
    destination: str


@dataclass(frozen=True)
class CacheMount:
    """A folder kept between jobs (ccache, apt archives), seen at ``destination`` and shared by name."""

    name: str
    destination: str


CCACHE = CacheMount("ccache", "/cache/ccache")
"""Compiled files, by what went into them."""


APT_CACHE = CacheMount("apt", "/cache/apt")
"""Packages that apt downloaded, for the jobs that install some.

apt compares what it downloads with its signed indices, and what lies here already with their sizes alone: that it still
is what was downloaded is the engine's affair.
"""


@dataclass(frozen=True)
class JobLimits:
    """Bounds on a job: ``time_s`` in seconds of wall time for each script; None means unbounded."""

    time_s: float | None = None


@dataclass(frozen=True)
class Storage:
    """A server that keeps compiled files for many machines (``what``: ccache's remote storage, or a Bazel server).

    ``scheme`` is ``http``, ``redis`` or ``tcp`` (bytes as they are, for gRPC), ``path`` a prefix of names (http) or a
    database's number (redis), ``layout`` how ccache names files over http. ``user`` and ``password`` are the engine's:
    no job, log or record has them.
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
    """All that an engine needs to run one job; the same for every engine.

    ``fetch`` (optional) runs first and is the only script with a network; ``script`` runs with none but loopback,
    through which it reaches ``storage`` (if any) and nothing else. Both are POSIX shell, run with ``sh -eu`` as the
    root's user 0 in ``workdir``. ``output`` is an empty folder of the root whose content is handed back.
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
    """One timed step: ``seconds`` of wall time, ``peak_memory_bytes`` summed over its processes."""

    name: str
    seconds: float
    peak_memory_bytes: int


@dataclass(frozen=True)
class JobResult:
    """A finished job: ``output`` is the folder of the machine that holds what it produced, ``steps`` what it took (with
    a step ``root`` where that was made first), ``root_packages`` what was installed in its root
    (``name:architecture=version``)."""

    job: str
    output: Path
    steps: tuple[StepRecord, ...]
    root_packages: tuple[str, ...] = ()
