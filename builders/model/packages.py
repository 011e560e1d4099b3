"""Files of packages, the verdicts on them, and their publication."""

from dataclasses import dataclass
from pathlib import Path

from builders.model.jobs import StepRecord
from builders.model.target import Target

DEBUG_SUFFIX = "-dbgsym"
"""How the name of an automatic package of debugging symbols ends."""
SOURCE = "source"
"""The architecture of files of a source package."""


@dataclass(frozen=True, slots=True)
class PackageFile:
    """The identity of a package's file, wherever it is stored: ``size`` in bytes, ``sha256`` in hex.

    The architecture is SOURCE for a .dsc and for the files that it lists.
    """

    package: str
    version: str
    architecture: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class DebFile(PackageFile):
    """A .deb, a .dsc or a file listed in a .dsc, on this machine's disk."""

    path: Path


@dataclass(frozen=True)
class SourcePackage:
    """A Debian source package: its ``dsc``, and the ``parts`` that the .dsc lists, in the same folder."""

    dsc: DebFile
    parts: tuple[DebFile, ...]

    @property
    def files(self) -> tuple[DebFile, ...]:
        """All files, the .dsc first."""
        return (self.dsc, *self.parts)


@dataclass(frozen=True)
class Verdict:
    """The result of a check on a subject (a package's name, or the whole build).

    ``detail`` shows the ``faults`` that fail it, and ``fix``, the advice. ``accepted`` has a line for each reason by
    which the recipe accepts faults, ``stale`` one for each that matched none.
    """

    check: str
    subject: str
    passed: bool
    detail: str = ""
    faults: tuple[str, ...] = ()
    fix: str = ""
    accepted: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """All verdicts on a recipe's packages for a target; ``steps`` are those of the job that checked them, if any."""

    recipe: str
    target: Target
    verdicts: tuple[Verdict, ...]
    steps: tuple[StepRecord, ...] = ()

    @property
    def passed(self) -> bool:
        return all(verdict.passed for verdict in self.verdicts)


@dataclass(frozen=True)
class Publication:
    """A signed repository on disk after ``publish``.

    ``release_sha256`` is InRelease's digest, ``key_expires`` in seconds since 1970 (None: never).
    """

    path: Path
    suite: str
    packages: tuple[DebFile, ...]
    key_fingerprint: str
    release_sha256: str
    changed: bool
    key_expires: int | None = None
