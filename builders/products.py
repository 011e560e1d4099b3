"""The frozen nouns that stages hand to each other; they hold facts and do nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builders.arch import Architecture
from builders.target import Target


@dataclass(frozen=True)
class FetchedSource:
    """One source as it was really obtained, for the SBOM: ``location`` is the URL or path that answered,
    ``digest`` is ``sha256:<hex>``, ``git:<commit>`` or ``tree:<hex>``."""

    name: str
    kind: str
    location: str
    digest: str


@dataclass(frozen=True)
class SourceTree:
    """A recipe's sources, unpacked and edited under ``path``; read-only for everyone after.

    ``digest`` identifies the wanted content (sources, edits, layout), not which mirror served it. ``original`` is the
    same tree without the edits, where the recipe keeps its source package.
    """

    recipe: str
    path: Path
    digest: str
    sources: tuple[FetchedSource, ...]
    original: Path | None = None


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
class Limits:
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
    limits: Limits = Limits()
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


SOURCE = "source"
"""The architecture of what belongs to a source package."""


@dataclass(frozen=True, slots=True)
class PackageFile:
    """What identifies one file of a package, wherever it is stored: ``size`` in bytes, ``sha256`` in hex.

    The architecture is SOURCE for a .dsc and for the files that it names.
    """

    package: str
    version: str
    architecture: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class DebFile(PackageFile):
    """A .deb, a .dsc or a file that it names, on this machine's disk."""

    path: Path


@dataclass(frozen=True)
class SourcePackage:
    """One Debian source package: its ``dsc``, and the ``parts`` that this names, which lie beside it."""

    dsc: DebFile
    parts: tuple[DebFile, ...]

    @property
    def files(self) -> tuple[DebFile, ...]:
        """All files, the .dsc first."""
        return (self.dsc, *self.parts)


@dataclass(frozen=True)
class Verdict:
    """What one named check says of one subject (a .deb's package name, or the whole build)."""

    check: str
    subject: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True)
class Report:
    """Every verdict on one recipe's packages for one target; ``steps`` is what judging took, where a job did it."""

    recipe: str
    target: Target
    verdicts: tuple[Verdict, ...]
    steps: tuple[StepRecord, ...] = ()

    @property
    def passed(self) -> bool:
        return all(verdict.passed for verdict in self.verdicts)


@dataclass(frozen=True)
class Publication:
    """A signed repository as it lies on disk after ``publish``; ``release_sha256`` is InRelease's digest,
    ``key_expires`` in seconds since 1970 (None: never)."""

    path: Path
    suite: str
    packages: tuple[DebFile, ...]
    key_fingerprint: str
    release_sha256: str
    changed: bool
    key_expires: int | None = None
