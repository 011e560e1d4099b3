"""The context of all work on a project: what its stages are given, whatever else they take."""

from dataclasses import dataclass
from pathlib import Path

from builders.host.log import Log
from builders.host.workspace import Workspace
from builders.model.arch import Architecture
from builders.model.settings import Settings


@dataclass(frozen=True)
class Context:
    """A project's settings and workspace, this machine's CPU, and the log of the run; ``folder`` holds reef.yml."""

    folder: Path
    settings: Settings
    workspace: Workspace
    machine: Architecture
    log: Log
