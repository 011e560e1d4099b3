"""The part of a project that the operations of the repository need."""

from pathlib import Path
from typing import Protocol

from builders.host.log import Log
from builders.host.workspace import Workspace
from builders.model.arch import Architecture
from builders.model.jobs import BuildJob, JobResult
from builders.model.settings import Settings


class RepositoryContext(Protocol):
    """A project as this stage uses it: ``folder`` contains reef.yml, ``machine`` is this machine's CPU."""

    @property
    def folder(self) -> Path: ...

    @property
    def settings(self) -> Settings: ...

    @property
    def workspace(self) -> Workspace: ...

    @property
    def log(self) -> Log: ...

    @property
    def machine(self) -> Architecture: ...

    def run_in_root(self, job: BuildJob, output: Path) -> JobResult:
        """Run a job in a clean root; raises RootError, BuildError, HostError."""


def state_folder(context: RepositoryContext) -> Path:
    """Return the folder of what publishing remembers between runs. Losing it only costs time."""
    return context.workspace.path / "state" / "apt"
