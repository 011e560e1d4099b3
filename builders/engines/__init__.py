"""Engines run build jobs. An engine is anything with the members of `Engine`; `select` makes the engines of a project.

These two modules are all that others may import of this folder.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol

from builders.host.log import Log
from builders.host.needs import Need
from builders.model.arch import Architecture
from builders.model.jobs import BuildJob, JobResult, Root

EngineName = Literal["chroot", "buildx"]

AGED_DAYS = 60
"""A root older than this is reported; Debian's point releases come about every two months."""


class Engine(Protocol):
    """Runs declarative jobs in Debian roots; roots, mounts and caches are its own affair."""

    name: EngineName

    caches_hidden: bool
    """Whether only jobs see the caches; else they are folders of the workspace."""

    def check(self, root: Root) -> None:
        """Raise HostError where this machine lacks what a job in ``root`` needs; changes nothing but binfmt."""

    def doubt(self) -> str:
        """Return why no job can run, as far as a few milliseconds tell; empty if nothing speaks against it."""

    def needs(self, foreign: Collection[Architecture], *, fix: bool) -> Iterator[Need]:
        """Yield what the machine must have for jobs, also for those that run programs of the ``foreign`` CPUs.

        With ``fix``, QEMU is first registered with the kernel where it is not (as root).
        """

    def has(self, root: Root) -> bool:
        """Tell whether ``root`` is made: a job in it then downloads nothing of Debian's."""

    def installed(self, root: Root) -> tuple[str, ...] | None:
        """Return the packages in ``root`` (``name:architecture=version``), None if it is not made or cannot be read."""

    def cores(self, root: Root) -> int:
        """Return how many processors a job in ``root`` has to itself."""

    def run(self, job: BuildJob, output: Path, log: Log) -> JobResult:
        """Run ``job`` and put what it left in its output folder into ``output`` (made, must not exist).

        A failed job's root is kept for ``invoke shell``. Raises RootError where the root cannot be made or entered,
        BuildError where a script fails (last lines, the log's place, how to enter the root).
        """

    def kept_roots(self) -> list[str]:
        """Return the names of the failed jobs whose roots this engine keeps, with ``-`` for ``/``."""

    def enter(self, job: str) -> int:
        """Enter the kept root of a failed job with an interactive shell and return its status; raises RootError."""

    def forget(self, job: str) -> None:
        """Remove the kept root of a failed job, if there is one."""

    def hidden_caches(self) -> Iterator[tuple[str, Sequence[tuple[str, str]]]]:
        """Yield each place that has hidden caches, and their names and sizes as the place reports them."""

    def clean(self) -> list[str]:
        """Remove what the project left outside the workspace and return a description of each thing."""
