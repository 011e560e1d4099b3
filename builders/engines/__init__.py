"""Engines run build jobs. An engine is anything with the members of `Engine`."""

from pathlib import Path
from typing import Protocol

from builders.log import Log
from builders.products import BuildJob, JobResult, Root

BASE_ENVIRONMENT = {
    "PATH": "/usr/lib/ccache:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "DEBIAN_FRONTEND": "noninteractive",
}
"""The environment of every job on every engine."""


def environment(job: BuildJob) -> dict[str, str]:
    """Return all variables of a job: those of every job, what makes QEMU a board's CPU, and the job's own on top."""
    return BASE_ENVIRONMENT | job.root.build.emulation | dict(job.environment)


class Engine(Protocol):
    """Runs declarative jobs in Debian roots; roots, mounts and caches are its own affair."""

    name: str

    def check(self, root: Root) -> None:
        """Raise HostError where this machine lacks what a job in ``root`` needs; changes nothing but binfmt."""

    def cores(self, root: Root) -> int:
        """Return how many processors a job in ``root`` has to itself."""

    def run(self, job: BuildJob, output: Path, log: Log) -> JobResult:
        """Run ``job`` and put what it left in its output folder into ``output`` (made, must not exist).

        A failed job's root is kept for ``invoke shell``. Raises RootError where the root cannot be made or entered,
        BuildError where a script fails (last lines, the log's place, how to enter the root).
        """
