"""Packages that somebody else built: nothing is rendered or compiled, the job copies .debs and runs lintian."""

from dataclasses import dataclass
from typing import ClassVar

from builders.deb.build_systems.shell import ShellSteps
from builders.model.arch import Architecture
from builders.model.jobs import CacheMount, Storage
from builders.model.recipe import PrebuiltSpec, StrategyName
from builders.model.settings import Settings


@dataclass(frozen=True)
class PrebuiltCopy(ShellSteps):
    """Copies the .debs of the source tree unchanged."""

    prebuilt: PrebuiltSpec

    caches: ClassVar[tuple[CacheMount, ...]] = ()
    compiles = False

    def environment(
        self,
        settings: Settings,  # noqa: ARG002 - other kinds need these
        strategy: StrategyName,  # noqa: ARG002
        machine: Architecture,  # noqa: ARG002
        jobs: int,  # noqa: ARG002
    ) -> dict[str, str]:
        return {}

    def storage(self, settings: Settings) -> Storage | None:  # noqa: ARG002 - other kinds need it
        return None
