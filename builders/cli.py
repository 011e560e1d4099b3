"""The front: Invoke's tasks call these functions; errors become messages and exit codes, results become tables."""

import functools
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

from invoke.exceptions import Exit
from invoke.tasks import task as invoke_task

from builders import cleaning, doctor, pipeline, process, reproduce, state
from builders.apt import api as apt
from builders.cli_line import remember
from builders.document import Model
from builders.drift import drift
from builders.errors import CheckError, HostError, InputError, ReefError, SourceError, TimeError, nearest
from builders.files import disk_error, write_whole
from builders.log import Log, size
from builders.pipeline import Built
from builders.plan import differences
from builders.products import Report, StepRecord, Verdict
from builders.project import Project
from builders.recheck import Rechecked, recheck
from builders.recipe import Recipe, StrategyName
from builders.settings import Settings
from builders.timebox import TimeBoxOver, parse_duration, time_box
from builders.upstream import Upstream

CHECKOUT = Path(__file__).parent.parent
FOLDER = Path(os.environ.get("REEF_FOLDER") or CHECKOUT).resolve()
"""The project: reef.yml, recipes and artifacts. This checkout, unless the variable names a folder of the user's own."""
INTERRUPTED = 130
STRATEGIES: dict[str, StrategyName] = {"native": "native", "cross": "cross", "emulate": "emulate"}

SCHEMAS: dict[str, type[Model]] = {"recipe": Recipe, "upstream": Upstream, "reef": Settings}
"""Models of the files that users write, by the files' names."""


def task(**help_texts: str) -> Callable[[Callable[..., None]], Any]:
    """Make an Invoke task of a function; ``help_texts`` says what each of its options means.

    A ReefError is told in its three parts and ends the run with the error's exit code, Ctrl-C with 130.
    """

    def decorate(function: Callable[..., None]) -> Any:
        repeatable = [name for name, kind in function.__annotations__.items() if kind == list[str]]

        @functools.wraps(function)
        def guarded(*words: Any, **options: Any) -> None:
            signal.signal(signal.SIGTERM, _interrupt)  # a CI job's end cleans up as Ctrl-C does
            try:
                _require_values(repeatable)
                function(*words, **options)
            except ReefError as error:
                _tell(error)
                raise Exit(code=error.exit_code) from error
            except TimeBoxOver as over:
                late = _time_over(over)
                _tell(late)
                raise Exit(code=late.exit_code) from None
            except KeyboardInterrupt:
                print("\ninterrupted: nothing half-made is kept; run the same command to go on", file=sys.stderr)
                raise Exit(code=INTERRUPTED) from None
            except OSError as error:
                told = disk_error(error, FOLDER)
                _tell(told)
                raise Exit(code=told.exit_code) from error

        return invoke_task(guarded, name=function.__name__.rstrip("_"), help=help_texts, iterable=repeatable)

    return decorate


def _require_values(repeatable: Sequence[str]) -> None:
    """Raise InputError where the command line names a repeatable option without a value: Invoke takes it for none."""
    for word, following in pairwise([*sys.argv, "--"]):
        if word.startswith("--") and word[2:] in repeatable and following.startswith("-"):
            raise InputError(f"{word} wants a value", fix="name one, or leave it out")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _tell(error: ReefError) -> None:
    print(f"\nerror: {error.what}", file=sys.stderr)
    for line in error.detail.splitlines():
        print(f"  {line}", file=sys.stderr)
    if error.fix:
        print(f"  what to do: {error.fix}", file=sys.stderr)


def _time_over(over: TimeBoxOver) -> TimeError:
    return TimeError(
        "the time box is over" + (f" during: {over.at}" if over.at else ""),
        "nothing half-made is kept; downloads, compiled files and Bazel's actions that were done stay",
        "run the same command again: it goes on from there",
    )


def open_project(log: Log | None = None, *, without_recipes: bool = False) -> Project:
    """Open the project in `FOLDER`; ``without_recipes`` for what works before there is one."""
    return Project.open(FOLDER, log or Log(), without_recipes=without_recipes)


def number(option: str, text: str) -> int:
    """Return the whole number given to an option; raises InputError (Invoke's own parser ends in a traceback)."""
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{option} wants a whole number, not {text!r}") from None


def strategy_named(name: str | None) -> StrategyName | None:
    """Return the strategy called ``name``; raises InputError for an unknown one."""
    if name is not None and name not in STRATEGIES:
        raise InputError(f"unknown strategy: {name!r}", f"known: {', '.join(STRATEGIES)}")
    return STRATEGIES[name] if name else None


def build_arm(
    recipe: list[str], target: list[str], *, strategy: str | None, engine: str | None,
    base: str | None, show_plan: bool, offline: bool, force: bool, verify: bool, source: Sequence[str] = (),
    within: str | None = None,
) -> None:  # fmt: skip
    """Build what is not up to date (or only show what that is), and tell the result in a table.

    ``within`` is the time box, as in ``5h``.
    """
    if offline and verify:
        raise InputError("--offline and --verify do not go together", "what is compared is built in fresh roots")
    seconds = parse_duration(within) if within is not None else None
    remember(recipe, target, engine)
    project = open_project().with_base(base).with_sources(source)
    name = project.engines.name(engine)  # an unknown name is told before a plan is
    wanted = project.wanted(recipe, target, strategy_named(strategy), rebuild=force, engine=name)
    todo = pipeline.steps(project, wanted, force=force)
    if show_plan:
        rows = [
            (s.action, s.wanted.recipe.name, str(s.wanted.target), s.wanted.strategy, "; ".join(s.reasons))
            for s in todo
        ]
        project.log.table("plan", ("action", "recipe", "target", "strategy", "reason"), rows)
        pipeline.warn_of_strategies(project, todo)
        if doubt := project.engines.get(name).doubt():
            project.log.warn(doubt)
        return
    with time_box(seconds, project.log):
        built = pipeline.build(project, wanted, engine=engine, offline=offline, force=force)
        _build_table(project, built)
        pipeline.require_passed([one.report for one in built])
        if verify:
            reproduce.verify(project, wanted, engine=engine)


def _build_table(project: Project, built: Sequence[Built]) -> None:
    rows = []
    for one in built:
        hits, compiled = one.record.ccache
        share = f"{hits}/{compiled}" if compiled else "-"
        for deb in one.record.debs:
            rows.append(
                (
                    deb.package, deb.version, deb.architecture, size(deb.size),
                    f"{one.record.seconds:.0f} s" if one.fresh else "up to date", share, deb.sha256[:16],
                    _verdicts(one.report, deb.package),
                )
            )  # fmt: skip
    columns = ("package", "version", "cpu", "size", "time", "ccache", "sha256", "checks")
    project.log.table("built", columns, rows)
    for one in built:
        folder = os.path.relpath(project.workspace.build(*one.wanted.key))
        project.log.note(f"{one.wanted.recipe.name} for {one.wanted.target}: {folder} ({steps_told(one.record.steps)})")


def steps_told(steps: Sequence[StepRecord]) -> str:
    """Return how long each step took and the most memory that any of them held."""
    times = ", ".join(f"{step.name} {step.seconds:.0f} s" for step in steps)
    return f"{times}; peak memory {size(max((step.peak_memory_bytes for step in steps), default=0))}"


def about(package: str, recipe: str, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the verdicts that a package stands or falls with: those on itself and those on its whole recipe."""
    return [verdict for verdict in verdicts if verdict.subject in (package, recipe)]


def _verdicts(report: Report, package: str) -> str:
    mine = about(package, report.recipe, report.verdicts)
    failed = [verdict.check for verdict in mine if not verdict.passed]
    return f"FAILED: {', '.join(failed)}" if failed else f"{len(mine)} passed"


def explain(recipe: str, target: list[str]) -> None:
    """Show, value by value, how the wanted fingerprint differs from the recorded one, and what else became old."""
    project = open_project()
    for one in project.wanted([recipe], target):
        if one.recipe.name != recipe:
            continue
        record = state.read_record(project.workspace.build(*one.key))
        project.log.note(f"{recipe} for {one.target}:")
        if record is None:
            project.log.note("  never built; the fingerprint that a build would have:")
            project.log.note(json.dumps(one.fingerprint, indent=2))
            continue
        changes = differences(record.fingerprint, one.fingerprint)
        for change in changes:
            project.log.note(f"  {change.path}\n    built from: {change.before}\n    wanted now: {change.after}")
        if not changes:
            project.log.note("  up to date: nothing differs")
        for line in drift(project, one, record):
            project.log.note(f"  {line}")


def list_all() -> None:
    """Show recipes, the targets they serve, and what is built, stale and published."""
    project = open_project()
    rows = []
    for recipe in project.recipes.values():
        for suite in recipe.targets.suites:
            for architecture in recipe.targets.architectures:
                rows.append(_listed(project, recipe, f"{suite}/{architecture}"))
    columns = ("recipe", "version", "target", "strategy", "built", "published", "summary")
    project.log.table("recipes", columns, rows)


def _listed(project: Project, recipe: Recipe, target: str) -> tuple[str, ...]:
    one = next(w for w in project.wanted([recipe.name], [target]) if w.recipe is recipe)
    record = state.read_record(project.workspace.build(*one.key))
    built = "no" if record is None else "yes" if record.fingerprint == one.fingerprint else "stale"
    published = apt.published(project.workspace.apt, one.target.suite.name)
    there = {deb.sha256 for deb in published}
    live = record is not None and all(file.sha256 in there for file in record.published)
    names = {package.name for package in recipe.packages}
    older = any(deb.package in names and deb.architecture == one.target.architecture.debian for deb in published)
    shown = "yes" if live else "older" if older else "no"
    version = recipe.debian_version(one.target)
    return recipe.name, version, target, one.strategy, built, shown, recipe.summary


def diagnose(*, fix: bool) -> None:
    """Show everything the host needs; raises HostError where something is missing."""
    project = open_project(without_recipes=True)
    needs = doctor.examine(project, fix=fix)
    rows = [("ok" if not need.trouble else "MISSING", need.name, need.reason) for need in needs]
    project.log.table("what this machine needs", ("state", "what", "reason"), rows)
    missing = [need for need in needs if need.trouble]
    if missing:
        raise HostError(
            f"{len(missing)} of {len(needs)} needs are not met",
            "\n".join(f"{need.name}: {need.trouble}\n  what to do: {need.fix}" for need in missing),
        )


def recheck_upstream(recipe: list[str], source: list[str], *, offline: bool) -> None:
    """Compare what recipes rely on with upstream's sources; CheckError where they differ, SourceError where some
    could not be had (what could be is compared and told first)."""
    project = open_project()
    with project.workspace.in_use():
        results = recheck(project, recipe, folders_named(source), offline=offline)
    rows = [(one.recipe, one.source, str(one.compared or "-"), _compared(one)) for one in results]
    project.log.table("what recipes rely on", ("recipe", "source", "compared", "verdict"), rows)
    faults = [f"{one.recipe}, {one.source}: {fault}" for one in results for fault in one.faults]
    unreachable = [f"{one.source} of {one.recipe}: {one.unreachable}" for one in results if one.unreachable]
    if faults:
        raise CheckError(
            "upstream's sources are not what the recipes rely on",
            "\n".join([*faults, *unreachable]),
            "look at them, then change the recipe and its upstream.yml",
        )
    if unreachable:
        raise SourceError(
            "not everything could be compared", "\n".join(unreachable), "name a checkout: --source NAME=FOLDER"
        )


def _compared(one: Rechecked) -> str:
    if one.unreachable:
        return "not reachable"
    return f"DIFFERS: {len(one.faults)}" if one.faults else "as read"


def folders_named(words: list[str]) -> dict[str, Path]:
    """Return the folders that ``NAME=FOLDER`` words name; raises InputError for what is no such word or no folder."""
    found = {}
    for word in words:
        name, equals, folder = word.partition("=")
        if not name or not equals or not Path(folder).is_dir():
            raise InputError(f"not a source's folder: {word!r}", "NAME=FOLDER is wanted, and the folder must be there")
        found[name] = Path(folder).resolve()
    return found


def write_schema() -> None:
    """Write the JSON schemas of recipe.yml, upstream.yml and reef.yml for editors, beside the project's recipes."""
    project = open_project(without_recipes=True)
    for name, model in SCHEMAS.items():
        path = project.folder / project.settings.recipes / f"{name}.schema.json"
        write_whole(path, json.dumps(model.model_json_schema(), indent=1) + "\n")
        print(os.path.relpath(path))


def enter_shell(job: str | None) -> None:
    """Enter the kept root of a failed job."""
    project = open_project(without_recipes=True)
    kept = {name: engine for engine in project.engines.all() for name in engine.kept_roots()}
    if job is None and len(kept) == 1:
        [job] = kept
    if job is None and not kept:
        raise InputError("no root of a failed job is kept", fix="a job that fails keeps its root until its next run")
    if job is None:
        raise InputError("which root?", f"kept: {', '.join(sorted(kept))}", "./inv shell --job NAME")
    name = job.replace("/", "-")
    if name not in kept:
        detail = nearest(name, kept) if kept else "none is kept"
        raise InputError(f"no root is kept for {job!r}", detail, "a job that fails keeps its root until its next run")
    with project.workspace.in_use():
        status = kept[name].enter(job)
    if status:
        raise Exit(code=status)


def pin(suite: list[str]) -> None:
    """Ask the registry for the digests of the base images and note them."""
    project = open_project()
    suites = suite or sorted({name for one in project.recipes.values() for name in one.targets.suites})
    file, digests = project.engines.buildx().pin(suites)
    project.log.table(f"pinned in {file}", ("base image", "digest"), sorted(digests.items()))


def builders(*, create: bool, remove: bool) -> None:
    """Show where the buildx engine builds, after making the builders of reef.yml that are missing, if asked; or remove
    those. Raises HostError where a place cannot build now."""
    if create and remove:
        raise InputError("one thing at a time", "--create and --remove do not go together")
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
        raise HostError(f"{len(troubles)} of {len(places)} places cannot build", "\n".join(troubles))


def clean(what: list[str]) -> None:
    """Remove parts of ``artifacts/`` and say how much that freed."""
    cleaning.clean(open_project(without_recipes=True), what)


def run_tools(*commands: list[str]) -> None:
    """Run development tools of this environment in turn, on the user's terminal, all of them whatever one finds; raises
    CheckError naming those that failed."""
    failed = []
    for command in commands:
        program = Path(sys.executable).parent / command[0]
        if not program.exists():
            raise HostError(f"{command[0]} is not installed", fix="use ./inv, which installs it")
        if process.interactive([str(program), *command[1:]], cwd=CHECKOUT):
            failed.append(" ".join(command))
    if failed:
        raise CheckError(f"{len(failed)} of {len(commands)} found something", "\n".join(failed))
