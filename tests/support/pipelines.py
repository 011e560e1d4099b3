"""A project for pipeline files, and their steps as CI runs them."""

import subprocess
from pathlib import Path
from typing import Any

import yaml

from builders.host.log import Log
from builders.pipeline.project import Project
from tests.support.checkout import CHECKOUT, HELLO


def three_recipes(folder: Path) -> Project:
    """Make a project of the miniature, a recipe that builds against it, and one that prefers to be built natively."""
    recipe = (HELLO / "recipe.yml").read_text()
    variants = {
        "reef-hello": recipe,
        "reef-caller": recipe.replace("build:\n", "build:\n  recipes: {reef-hello: [libreef-greet-dev]}\n"),
        "reef-native": recipe.replace("strategy: [cross, emulate]", "strategy: [native, cross]"),
    }
    for name, text in variants.items():
        place = folder / "recipes" / name
        place.mkdir(parents=True)
        for part in ("files", "checks", "source"):
            (place / part).symlink_to(HELLO / part)
        (place / "recipe.yml").write_text(text.replace("name: reef-hello\nversion", f"name: {name}\nversion"))
    (folder / "inv").touch()
    (folder / "reef.yml").write_text("targets: [trixie/arm64, trixie/armhf, trixie/amd64]\n")
    return Project.open(folder, Log(quiet=True))


def shells(path: Path) -> list[str]:
    """Return every shell script of a pipeline file."""
    document: Any = yaml.safe_load(path.read_text())
    if "jobs" in document:
        return [step["run"] for job in document["jobs"].values() for step in job["steps"] if "run" in step]
    return [line for job in document.values() if isinstance(job, dict) for line in job.get("script", [])]


def committed(name: str) -> Any:
    return yaml.safe_load((CHECKOUT / "ci" / name).read_text())


def run(script: str, folder: Path, inv: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run a step as CI does, with ``inv`` as the script that stands for ./inv."""
    program = folder / "inv"
    program.write_text(f"#!/bin/sh\n{inv}\n")
    program.chmod(0o755)
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script], cwd=folder, env={"PATH": "/usr/bin:/bin", **variables},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
