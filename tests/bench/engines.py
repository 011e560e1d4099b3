"""Measures the engines side by side: cross, emulated and native builds of one recipe, and TensorFlow Lite cold.

    python -m tests.bench.engines [--strict]  (as root)

The Docker engines are Debian 12's, started for this alone: one for the miniature; for TensorFlow Lite one that holds
nothing but the base image. Sources are present before a clock starts; each cold build has roots, ccache and Debian
packages to make or fetch of its own. Ends with a verdict on each budget; with ``--strict`` in 9 where one is not kept.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from builders import sources
from builders.engines.buildx.builder.nodes import HERE, Node
from builders.engines.buildx.docker import daemon
from builders.engines.buildx.docker.endpoint import Endpoint
from builders.engines.buildx.images import Images
from builders.host.files import remove_tree
from builders.host.log import Log
from builders.model.jobs import Root
from builders.model.target import parse_target
from builders.pipeline.project import Project
from tests.bench.budget import Budget, exit_code, tell
from tests.bench.toolkit import AWAY, RECIPE, TARGET, _command
from tests.support import dockers
from tests.support.checkout import CHECKOUT
from tests.support.dockers import Dockerd

HELLO = CHECKOUT / "tests" / "fixtures" / "recipes" / "reef-hello"
SETTINGS = "maintainer: Reef <reef@example.org>\nbuildx: {base: bootstrap, network: host}\n"
WAYS = {
    "cross": ("trixie/arm64", "cross"),
    "native": ("trixie/amd64", "native"),
    "emulate": ("trixie/arm64", "emulate"),
}


def main() -> None:
    """Take all measurements and print them with the machine."""
    log = Log()
    folder = CHECKOUT / "artifacts" / "tests" / "bench-engines"
    remove_tree(folder)
    with tempfile.TemporaryDirectory() as place:
        config = dockers.configuration(Path(place) / "config")
        with _engine() as engine:
            docker = {"chroot": AWAY, "buildx": dockers.environment(engine, config)}
            rows = [_one_recipe(folder / way, way, docker, log) for way in WAYS]
        with _engine() as engine:
            _load_base(engine, config, log)
            docker = {"chroot": AWAY, "buildx": dockers.environment(engine, config)}
            cold, unchanged = _tensorflow(folder / "tensorflow", docker, log)
    rows += [(*_row(f"{RECIPE}, cold", cold), "", ""), (*_row("nothing changed", unchanged), "", "")]
    budgets = [
        Budget(f"{RECIPE}, cold, buildx of chroot", cold["buildx"] / cold["chroot"], 1.25),
        Budget("nothing changed, buildx", unchanged["buildx"], 1.5, "s"),
    ]
    log.note(f"machine: {psutil.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {os.uname().release}")
    log.table("engines", ("what", "chroot", "buildx", "ratio", "root: chroot", "root: buildx"), rows)
    tell(budgets, log)
    remove_tree(folder)
    sys.exit(exit_code(budgets, sys.argv))


@contextmanager
def _engine() -> Iterator[Dockerd]:
    engine = Dockerd("bookworm")
    try:
        yield engine
    finally:
        engine.remove()


def _load_base(engine: Dockerd, config: Path, log: Log) -> None:
    """Give an engine the base image that a cold build finds there."""
    os.environ["DOCKER_CONFIG"] = str(config)  # where buildx is
    home = Project.open(CHECKOUT, log)
    place = Endpoint(engine.host)
    made = Images(home)
    made._bootstrapped(
        Root(parse_target(TARGET).suite.name, home.machine, home.machine, ()), Node(HERE, place), daemon.connect(place)
    )


def _one_recipe(folder: Path, way: str, engines: Mapping[str, Mapping[str, str]], log: Log) -> tuple[str, ...]:
    """Build the miniature on each engine, its root and all, and take apart what the two steps took."""
    target, strategy = WAYS[way]
    project = _project(folder, HELLO)
    seconds: dict[str, dict[str, float]] = {"root": {}, "run": {}}
    for name, environment in engines.items():
        words = ("build-arm", "--engine", name, "--target", target, "--strategy", strategy, "--force")
        _command(project, *words, extra=environment)
        record = project / "artifacts" / "builds" / HELLO.name / target.replace("/", "-") / "record.json"
        steps = {step["name"]: step["seconds"] for step in json.loads(record.read_text())["steps"]}
        for step, found in seconds.items():
            found[name] = steps[step]
        log.note(f"{HELLO.name}, {way}, {name}: root {steps['root']:.1f} s, build {steps['run']:.1f} s")
    return (
        *_row(f"{HELLO.name}, {way}", seconds["run"]),
        *(f"{seconds['root'][name]:.0f} s" for name in engines),
    )


def _tensorflow(
    folder: Path, engines: Mapping[str, Mapping[str, str]], log: Log
) -> tuple[dict[str, float], dict[str, float]]:
    """Build TensorFlow Lite on each engine, cold but for the base and the sources, then again with nothing changed.

    Return the seconds of both by engine.
    """
    home = Project.open(CHECKOUT, log)
    sources.fetch(home.recipes[RECIPE], home, offline=False)
    cold: dict[str, float] = {}
    unchanged: dict[str, float] = {}
    for name, environment in engines.items():
        project = _project(folder / name, CHECKOUT / "recipes" / RECIPE)
        for kind in ("sources", "trees"):
            (project / "artifacts" / "cache").mkdir(parents=True, exist_ok=True)
            (project / "artifacts" / "cache" / kind).symlink_to(home.workspace.cache.path / kind)
        words = ("build-arm", "--engine", name, "--recipe", RECIPE, "--target", TARGET)
        cold[name] = _command(project, *words, extra=environment)[0].wall_s
        log.note(f"{RECIPE}, cold, {name}: {cold[name]:.0f} s")
        unchanged[name] = min(_command(project, *words, extra=environment)[0].wall_s for _ in range(3))
    return cold, unchanged


def _row(what: str, seconds: Mapping[str, float]) -> tuple[str, ...]:
    ratio = seconds["buildx"] / seconds["chroot"]
    return what, f"{seconds['chroot']:.1f} s", f"{seconds['buildx']:.1f} s", f"{ratio:.2f}"


def _project(folder: Path, recipe: Path) -> Path:
    shutil.copytree(recipe, folder / "recipes" / recipe.name)
    (folder / "reef.yml").write_text(SETTINGS)
    return folder


if __name__ == "__main__":
    main()
