"""The commands that look after a project and its machine."""

import json
import os
import sys
from pathlib import Path

from builders.boards.api import InventoryFile
from builders.cli.app import CHECKOUT, open_project
from builders.errors import CheckError, HostError, InputError, SourceError, nearest
from builders.host import process
from builders.host.files import write_whole
from builders.maintenance import doctor
from builders.maintenance.clean import clean as remove
from builders.maintenance.upstream_check import Rechecked, recheck
from builders.model.recipe import PrebuiltRecipe, Recipe
from builders.model.recipe.upstream import Upstream
from builders.model.schema import Schema, either_schema, json_schema
from builders.model.settings import Settings
from builders.model.yaml_file import Model

SCHEMAS: dict[str, type[Model]] = {"recipe": Recipe, "upstream": Upstream, "reef": Settings, "boards": InventoryFile}
"""Models of the files that users write, by the files' names."""


def diagnose(*, fix: bool) -> None:
    """Show the needs of this machine; raises HostError if one is not met."""
    project = open_project(without_recipes=True, anywhere=True)
    needs = doctor.examine(project, fix=fix)
    rows = [("ok" if not need.trouble else "MISSING", need.name, need.reason) for need in needs]
    project.log.table("what this machine needs", ("state", "what", "reason"), rows)
    missing = [need for need in needs if need.trouble]
    if missing:
        raise HostError(
            f"{len(missing)} of {len(needs)} needs are not met",
            "\n".join(f"{need.name}: {need.trouble}\n  what to do: {need.fix}" for need in missing),
            "do what each need says; ./inv set-up installs missing Debian packages",
        )


def recheck_upstream(recipe: list[str], source: list[str], *, offline: bool) -> None:
    """Compare the facts that recipes rely on with upstream's sources.

    Raises CheckError for differences, and SourceError for sources that are not available, after all comparisons.
    """
    project = open_project()
    with project.workspace.in_use():
        results = recheck(project, recipe, folders_named(source), offline=offline)
    rows = [(result.recipe, result.source, str(result.compared or "-"), _compared(result)) for result in results]
    project.log.table("what recipes rely on", ("recipe", "source", "compared", "verdict"), rows)
    faults = [f"{result.recipe}, {result.source}: {fault}" for result in results for fault in result.faults]
    unreachable = [
        f"{result.source} of {result.recipe}: {result.unreachable}" for result in results if result.unreachable
    ]
    if faults:
        raise CheckError(
            "upstream's sources differ from what the recipes rely on",
            "\n".join([*faults, *unreachable]),
            "read these places, then change the recipe and its upstream.yml",
        )
    if unreachable:
        raise SourceError(
            "some sources could not be compared", "\n".join(unreachable), "name a checkout: --source NAME=FOLDER"
        )


def _compared(result: Rechecked) -> str:
    if result.unreachable:
        return "not reachable"
    return f"DIFFERS: {len(result.faults)}" if result.faults else "as read"


def folders_named(words: list[str]) -> dict[str, Path]:
    """Return the folders of ``NAME=FOLDER`` words by their names; raises InputError for other words."""
    found = {}
    for word in words:
        name, equals, folder = word.partition("=")
        if not name or not equals or not Path(folder).is_dir():
            raise InputError(
                f"not a source's folder: {word!r}", "expected NAME=FOLDER, with an existing folder", "correct --source"
            )
        found[name] = Path(folder).resolve()
    return found


def schema_of(name: str) -> Schema:
    """Return the JSON schema of the YAML file ``name``. A recipe has one of two kinds of keys."""
    return either_schema("prebuilt", PrebuiltRecipe, Recipe) if name == "recipe" else json_schema(SCHEMAS[name])


def write_schema() -> None:
    """Write the JSON schemas of the YAML files for editors, beside the project's recipes."""
    project = open_project(without_recipes=True)
    for name in SCHEMAS:
        path = project.folder / project.settings.recipes / f"{name}.schema.json"
        write_whole(path, json.dumps(schema_of(name), indent=1) + "\n")
        print(os.path.relpath(path))


def enter_shell(job: str | None) -> None:
    """Enter the kept root of a failed job."""
    project = open_project(settings_alone=True)
    kept = {name: engine for engine in project.engines.all() for name in engine.kept_roots()}
    if job is None and len(kept) == 1:
        [job] = kept
    if job is None and not kept:
        raise InputError("no root of a failed job is kept", fix="a job that fails keeps its root until its next run")
    if job is None:
        raise InputError(
            f"the roots of {len(kept)} failed jobs are kept", ", ".join(sorted(kept)), "choose: ./inv shell --job NAME"
        )
    name = job.replace("/", "-")
    if name not in kept:
        kept_jobs = f"kept: {', '.join(sorted(kept))}" if kept else "no root of a failed job is kept"
        fix = nearest(name, kept) if kept else "run the command that failed again: a job that fails keeps its root"
        raise InputError(f"no root is kept for {job!r}", kept_jobs, fix)
    with project.workspace.in_use():
        status = kept[name].enter(job)
    if status:
        sys.exit(status)


def pin(suite: list[str]) -> None:
    """Record the digests of the base images, as the registry has them now."""
    project = open_project()
    served = {target.suite for recipe in project.recipes.values() for target in recipe.served}
    suites = suite or sorted(suite.name for suite in served if suite.mirrored)
    file, digests = project.engines.buildx().pin(suites)
    project.log.table(f"pinned in {file}", ("base image", "digest"), sorted(digests.items()))


def builders(*, create: bool, remove: bool) -> None:
    """Show where the buildx engine builds, or remove the builders of reef.yml.

    With ``create``, missing builders of reef.yml are made first. Raises HostError if a place cannot build now.
    """
    if create and remove:
        raise InputError("--create and --remove exclude each other", fix="run a command for each")
    project = open_project(without_recipes=True)
    engine = project.engines.buildx()
    if remove:
        for builder in engine.remove_builders():
            project.log.note(f"removed builder {builder}")
        return
    if create:
        for builder in engine.create_builders():
            project.log.note(f"created builder {builder}")
    places = engine.node_states()
    rows = [(place.name, place.driver, place.where, place.native, place.state) for place in places]
    project.log.table("builders", ("name", "driver", "where", "runs natively", "state"), rows)
    if troubles := [f"{place.name}: {place.trouble}" for place in places if place.trouble]:
        raise HostError(
            f"{len(troubles)} of {len(places)} places cannot build",
            "\n".join(troubles),
            "make them reachable, or correct buildx.nodes in reef.yml",
        )


def clean(what: list[str]) -> None:
    """Remove parts of ``artifacts/`` and show the freed space."""
    remove(open_project(without_recipes=True), what)


def run_tools(*commands: list[str]) -> None:
    """Run development tools of this environment on the user's terminal, one after another.

    All of them run. Raises CheckError naming those that failed.
    """
    if CHECKOUT is None:
        raise AssertionError("only a checkout has these commands")
    failed = []
    for command in commands:
        program = Path(sys.executable).parent / command[0]
        if not program.exists():
            raise HostError(f"{command[0]} is not installed", f"no file {program}", "run ./inv, which installs it")
        if process.interactive([str(program), *command[1:]], cwd=CHECKOUT):
            failed.append(" ".join(command))
    if failed:
        raise CheckError(
            f"{len(failed)} of {len(commands)} tools failed", "\n".join(failed), "correct what they report above"
        )
