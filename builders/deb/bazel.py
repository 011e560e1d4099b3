"""Bazel in a build job: the files that it gets in ``debian/reef``, and what the job needs for it."""

import json
from pathlib import Path

from builders.arch import Architecture
from builders.deb.template import render
from builders.products import CacheMount
from builders.recipe import Git, Recipe, StrategyName
from builders.settings import Settings
from builders.target import Target

DRIVER = Path(__file__).with_name("bazel_driver.py")
RUN = "python3 debian/reef/bazel_driver.py"
STATUS = "reef/workspace-status.sh"
"""What Bazel runs to learn of the sources that it builds, in ``debian/``."""
DOWNLOADS, ACTIONS = "/cache/bazel-downloads", "/cache/bazel-actions"
CACHES = (CacheMount("bazel-downloads", DOWNLOADS), CacheMount("bazel-actions", ACTIONS))
"""Kept between builds: downloads by their digest, finished actions by all that went into them."""
TOOLS = ("python3",)
"""What the driver needs in the root; Bazel itself comes from the recipe's sources or tools."""


def files(recipe: Recipe, target: Target) -> dict[str, str]:
    """Return what Bazel needs, by path in ``debian/``: its flags, the cross toolchain and the driver; else nothing."""
    bazel = recipe.build.bazel
    if bazel is None:
        return {}
    facts = bazel.model_dump(include={"version", "programs", "targets", "memory_per_job_mb"})
    cpu = target.architecture
    made = {
        "reef/bazelrc": render(
            "bazel/bazelrc.j2",
            recipe=recipe,
            bazel=bazel,
            cpu=cpu.bazel,
            downloads=DOWNLOADS,
            actions=ACTIONS,
            status=STATUS,
        ),
        STATUS: render("bazel/workspace-status.sh.j2", revision=_revision(recipe)),
        "reef/bazel.json": json.dumps(facts, indent=1, sort_keys=True) + "\n",
        "reef/bazel_driver.py": DRIVER.read_text(encoding="utf-8"),
    }
    if bazel.toolchain == "reef":
        made["reef/toolchain/BUILD"] = render(
            "bazel/toolchain.j2", triplet=cpu.triplet, cpu=cpu.bazel, constraint=cpu.constraint
        )
    return made


def _revision(recipe: Recipe) -> str:
    """Return the commit of the tree itself, in short; "no_git", TensorFlow's own word, where it has none."""
    ways = [source.way for source in recipe.sources if source.unpack == "."]
    return next((way.commit[:7] for way in ways if isinstance(way, Git)), "no_git")


def environment(settings: Settings, strategy: StrategyName, machine: Architecture, jobs: int) -> dict[str, str]:
    """Return what the driver is told of this run, none of which changes a byte of the result.

    ``machine`` is the CPU that Bazel runs on, ``jobs`` how many compilers the user or the cores allow.
    """
    services = settings.bazel
    facts = {
        "strategy": strategy, "machine": machine.debian, "jobs": jobs, "mirrors": settings.mirrors,
        "executes": services.remote_executor is not None, "upload": services.remote_upload,
        "properties": services.remote_properties,
    }  # fmt: skip
    return {"REEF_BAZEL": json.dumps(facts, sort_keys=True)}
