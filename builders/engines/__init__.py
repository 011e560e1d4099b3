"""Engines run build jobs. An engine is anything with the members of `Engine`; `select` makes the engines of a project.

Other rooms import nothing of this folder but these two modules. Programs inside a root's namespaces start through this
file, so it imports nothing at run time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from builders.host.log import Log
    from builders.host.needs import Need
    from builders.model.arch import Architecture
    from builders.model.jobs import BuildJob, JobResult, Root


EngineName = Literal["chroot", "buildx"]
"""The engines; `select` makes them, and ``engine`` in builders/model/settings/settings.py accepts their names."""

AGED_DAYS = 60
"""A root older than this is reported; Debian's point releases come about every two months."""


class Engine(Protocol):
    """Runs declarative jobs in Debian roots; no other room sees its roots, mounts and caches."""

    name: EngineName

    caches_hidden: bool
    """Whether only jobs see the caches; otherwise they are folders of the workspace."""

    def check(self, root: Root) -> None:
        """Raise HostError if this machine does not meet the needs of a job in ``root``; may register QEMU."""

    def doubt(self) -> str:
        """Return why no job can run, from a look of a few milliseconds; empty if it finds no reason."""

    def needs(self, foreign: Collection[Architecture], *, fix: bool) -> Iterator[Need]:
        """Yield the machine's needs for jobs, including jobs that run programs of the ``foreign`` CPUs.

        With ``fix`` (as root), QEMU is registered with the kernel first.
        """

    def has(self, root: Root) -> bool:
        """Return whether ``root`` is made, so that a job in it downloads no Debian packages."""

    def installed(self, root: Root) -> tuple[str, ...] | None:
        """Return the packages in ``root`` (``name:architecture=version``), None if it is not made or cannot be read."""

    def cores(self, root: Root) -> int:
        """Return how many processors a job in ``root`` has to itself."""

    def run(self, job: BuildJob, output: Path, log: Log) -> JobResult:
        """Run ``job``; the content of its output folder becomes ``output``, which must not exist yet.

        A failed job's root is kept until the job's next run. Raises RootError if the root cannot be made or entered,
        BuildError if a script fails (with its last lines, its log file and the command that enters the root).
        """

    def kept_roots(self) -> list[str]:
        """Return the names of the failed jobs whose roots this engine keeps, with ``-`` in place of ``/``."""

    def enter(self, job: str) -> int:
        """Enter the kept root of a failed job with an interactive shell and return its status; raises RootError."""

    def forget(self, job: str) -> None:
        """Remove the kept root of a failed job, if any."""

    def hidden_caches(self) -> Iterator[tuple[str, Sequence[tuple[str, str]]]]:
        """Yield each place with hidden caches, and the caches' names and sizes as the place reports them."""

    def clean(self) -> list[str]:
        """Remove the project's traces outside the workspace and return a description of each."""
