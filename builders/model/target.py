"""Targets: a Debian suite and an architecture, written ``SUITE/ARCHITECTURE``."""

from dataclasses import dataclass

from builders.errors import InputError, nearest
from builders.model.arch import ARCHITECTURES, Architecture


@dataclass(frozen=True, order=True)
class Suite:
    """A Debian release that boards run.

    ``release`` is Debian's release number (``13``); ``glibc``, ``glibcxx`` and ``cxxabi`` are the newest symbol
    versions that the suite's own libc6 and libstdc++6 define. A package must not need newer ones. ``systemd`` is the
    version of its systemd. ``mirrored`` says whether Debian's mirrors still hold the suite, so that roots can be made.
    """

    name: str
    release: int
    glibc: tuple[int, ...]
    glibcxx: tuple[int, ...]
    cxxabi: tuple[int, ...]
    systemd: int
    mirrored: bool = True

    @property
    def usr_merged(self) -> bool:
        """Whether packages ship nothing in /lib, which is a link to /usr/lib (from trixie on only base-files may)."""
        return self.release >= 13


SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        # Mendel, the system of Coral's Dev Boards, is buster underneath.
        Suite("buster", 10, (2, 28), (3, 4, 25), (1, 3, 11), systemd=241, mirrored=False),
        Suite("bullseye", 11, (2, 31), (3, 4, 28), (1, 3, 12), systemd=247),
        Suite("bookworm", 12, (2, 36), (3, 4, 30), (1, 3, 13), systemd=252),
        Suite("trixie", 13, (2, 41), (3, 4, 33), (1, 3, 15), systemd=257),
    )
}

MIRRORED = [suite.name for suite in SUITES.values() if suite.mirrored]
"""The suites of which roots can be made."""


@dataclass(frozen=True, order=True)
class Target:
    """The suite and CPU of a package; ``str()`` returns ``trixie/arm64``, ``slug`` ``trixie-arm64`` for file names."""

    suite: Suite
    architecture: Architecture

    def __str__(self) -> str:
        return f"{self.suite.name}/{self.architecture.debian}"

    @property
    def slug(self) -> str:
        return f"{self.suite.name}-{self.architecture.debian}"


FORM = "write a target as SUITE/ARCHITECTURE, as in trixie/arm64"


def parse_target(text: str) -> Target:
    """Return the target written ``SUITE/ARCHITECTURE``; raises InputError with the nearest known name."""
    suite_name, slash, architecture_name = text.partition("/")
    if not slash:
        raise InputError(f"not a target: {text!r}", fix=FORM)
    if suite_name not in SUITES:
        raise InputError(f"unknown suite: {suite_name!r}", nearest(suite_name, SUITES), FORM)
    if architecture_name not in ARCHITECTURES:
        raise InputError(
            f"unknown architecture: {architecture_name!r}", nearest(architecture_name, ARCHITECTURES), FORM
        )
    return Target(SUITES[suite_name], ARCHITECTURES[architecture_name])
