"""Bazel in a build job: a driver in ``debian/reef``, which fetches with the network and then builds without one."""

import json
from dataclasses import dataclass
from pathlib import Path

from builders.deb.build_systems.shell import ShellSteps
from builders.deb.templates import render
from builders.model.arch import Architecture
from builders.model.jobs import CacheMount, Storage
from builders.model.recipe import BazelSpec, Git, Recipe, StrategyName
from builders.model.settings import Settings, bazel_storage
from builders.model.target import Target

DRIVER = Path(__file__).with_name("bazel_driver.py")
RUN = "python3 debian/reef/bazel_driver.py"
STATUS = "reef/workspace-status.sh"
"""The program in ``debian/`` that Bazel runs to get the revision of the sources."""
DOWNLOADS, ACTIONS = "/cache/bazel-downloads", "/cache/bazel-actions"


@dataclass(frozen=True)
class BazelBuild(ShellSteps):
    """Runs Bazel between the recipe's own steps; Bazel itself comes from the recipe's sources or tools."""

    bazel: BazelSpec

    caches = (*ShellSteps.caches, CacheMount("bazel-downloads", DOWNLOADS), CacheMount("bazel-actions", ACTIONS))
    packages = ("python3",)
    executables = (STATUS,)

    def fetch(self) -> tuple[str, ...]:
        return (*super().fetch(), f"{RUN} fetch")

    def compile(self) -> str:
        return f"{RUN} build\n{super().compile()}"

    def files(self, target: Target) -> dict[str, str]:
        facts = self.bazel.model_dump(include={"version", "programs", "targets", "memory_per_job_mb"})
        cpu = target.architecture
        made = {
            "reef/bazelrc": render(
                "bazel/bazelrc.j2",
                recipe=self.recipe,
                bazel=self.bazel,
                cpu=cpu.bazel,
                downloads=DOWNLOADS,
                actions=ACTIONS,
                status=STATUS,
            ),
            STATUS: render("bazel/workspace-status.sh.j2", revision=_revision(self.recipe)),
            "reef/bazel.json": json.dumps(facts, indent=1, sort_keys=True) + "\n",
            "reef/bazel_driver.py": DRIVER.read_text(encoding="utf-8"),
        }
        if self.bazel.toolchain == "reef":
            made["reef/toolchain/BUILD"] = render(
                "bazel/toolchain.j2", triplet=cpu.triplet, cpu=cpu.bazel, constraint=cpu.constraint
            )
        return made

    def environment(
        self, settings: Settings, strategy: StrategyName, machine: Architecture, jobs: int
    ) -> dict[str, str]:
        services = settings.bazel
        facts = {
            "strategy": strategy, "machine": machine.debian, "jobs": jobs, "mirrors": settings.mirrors,
            "executes": services.remote_executor is not None, "upload": services.remote_upload,
            "properties": services.remote_properties,
        }  # fmt: skip
        shared = super().environment(settings, strategy, machine, jobs)
        return {**shared, "REEF_BAZEL": json.dumps(facts, sort_keys=True)}

    def storage(self, settings: Settings) -> Storage | None:
        return bazel_storage(settings.bazel)


def _revision(recipe: Recipe) -> str:
    """Return the first 7 digits of the tree's commit, or "no_git", TensorFlow's own word, for a tree without one."""
    ways = [source.way for source in recipe.sources if source.unpack == "."]
    return next((way.commit[:7] for way in ways if isinstance(way, Git)), "no_git")
