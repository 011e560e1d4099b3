"""What is built, judged and published: files of packages, verdicts, publications."""

from dataclasses import dataclass
from pathlib import Path

from builders.model.jobs import StepRecord
from builders.model.target import Target

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
