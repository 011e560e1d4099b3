"""Chooses the engine that runs a project's jobs."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from builders.engines import Engine, EngineName
from builders.engines.buildx.docker import ping
from builders.errors import InputError
from builders.host.workspace import Workspace
from builders.model.arch import Architecture
from builders.model.context import Context
from builders.model.jobs import BuildJob, JobResult

if TYPE_CHECKING:  # a run with nothing to do loads no engine
    from builders.engines.buildx.engine import BuildxEngine

ENGINES: tuple[EngineName, ...] = ("chroot", "buildx")


@dataclass(frozen=True)
class Engines:
    """The engines of a project on this machine."""

    context: Context

    def name(self, asked: str | None = None) -> EngineName:
        """Return the name of the engine that ``asked`` (by default the setting in reef.yml) means on this machine.

        ``auto`` is buildx if reef.yml names nodes or a Docker engine with buildx answers, otherwise chroot. Raises
        InputError for an unknown name.
        """
        text = asked or self.context.settings.engine
        if text == "auto":
            return "buildx" if self.context.settings.buildx.nodes or ping.answers() else "chroot"
        for name in ENGINES:
            if text == name:
                return name
        raise InputError(
            f"unknown engine: {text!r}",
            f"known: {', '.join(('auto', *ENGINES))}",
            "choose one with --engine, or engine: in reef.yml",
        )

    def get(self, asked: str | None = None, workspace: Workspace | None = None) -> Engine:
        """Return the engine that ``asked`` means; raises InputError for an unknown name.

        With another ``workspace``, each job runs in a root made for it, with empty caches.
        """
        name = self.name(asked)
        match name:
            case "chroot":
                from builders.engines.chroot.engine import ChrootEngine

                return ChrootEngine(self._on(workspace))
            case "buildx":
                return self.buildx(workspace)
            case _:
                assert_never(name)

    def buildx(self, workspace: Workspace | None = None) -> "BuildxEngine":
        """Return the buildx engine, which also manages nodes and base images."""
        from builders.engines.buildx.engine import BuildxEngine

        return BuildxEngine(self._on(workspace), fresh=workspace is not None)

    def _on(self, workspace: Workspace | None) -> Context:
        return replace(self.context, workspace=workspace) if workspace else self.context

    def all(self) -> list[Engine]:
        """Return every engine: an earlier run may have used another engine.

        Buildx comes first, because it finds a failed job's image by a file that the chroot engine removes.
        """
        return [self.get("buildx"), self.get("chroot")]

    def machine_for(self, target: Architecture, asked: str | None) -> Architecture:
        """Return the CPU of the machine that builds for ``target``: the same CPU if a node has it."""
        nodes = self.context.settings.buildx.nodes if self.name(asked) == "buildx" else []
        native = any(target.debian in node.architectures for node in nodes)
        return target if native else self.context.machine

    def run(self, engine: Engine, job: BuildJob, output: Path) -> JobResult:
        """Run ``job`` as `Engine.run` does, after every engine has removed the root of the job's last failure."""
        for other in self.all():
            other.forget(job.name)
        return engine.run(job, output, self.context.log)
