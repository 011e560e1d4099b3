"""Builds the build targets that are not up to date, in order, each whole or not at all."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from builders import checks, deb, sources
from builders.engines import Engine
from builders.errors import BuildError, HostError, RootError, SourceError
from builders.host.files import disk_errors
from builders.host.measure import measured
from builders.model.context import Context
from builders.model.jobs import JobResult, StepRecord, Storage
from builders.model.packages import Report, SourcePackage
from builders.model.source_tree import FetchedSource, SourceTree
from builders.model.target import Target
from builders.pipeline.build_locks import build_locked
from builders.pipeline.gate import require_sound, static_report
from builders.pipeline.planning import records
from builders.pipeline.planning.fingerprint import fingerprint, short_digest
from builders.pipeline.planning.plan import REASONS, BuildTarget, PlannedAction, decide, differences, reasons
from builders.pipeline.planning.records import Record
from builders.pipeline.prebuilt import require_publishable
from builders.pipeline.project import Project


@dataclass(frozen=True)
class Built:
    """A finished build: its record and report, and whether this run built it."""

    build_target: BuildTarget
    record: Record
    report: Report
    fresh: bool


def build(
    project: Project, planned: Sequence[PlannedAction], *, engine: str | None = None, offline: bool = False
) -> list[Built]:
    """Carry out the planned actions in order, and return all builds, old and new.

    Raises the errors of the stages; builds that finished before a failure stay. With ``offline`` nothing uses the
    network; RootError or SourceError if a build needs it.
    """
    with project.workspace.in_use():
        get_engine = cache(partial(project.engines.get, engine))  # loaded where something is due
        for action in planned:
            action.build_target.job.system.storage(project.settings)  # a wrong URL is an error before the first build
        due = [action.build_target for action in planned if action.action == "build"]
        if due:
            project.log.note(f"engine: {get_engine().name}")
        warn_of_strategies(project, planned)
        for build_target in due:  # before the first long act
            get_engine().check(build_target.job.root)
            if offline:
                _require_no_network(build_target, get_engine())
        if due:
            _warn_of_boards(project, get_engine(), due)
            project.workspace.sweep()
        return [_build_one(project, action, get_engine, offline=offline) for action in planned]


def _require_no_network(build_target: BuildTarget, engine: Engine) -> None:
    """Raise RootError or SourceError if the build needs the network; `sources.fetch` checks its own part."""
    if not engine.has(build_target.job.root):
        raise RootError(
            f"the build root of {build_target} does not exist yet",
            "it is made from packages of a Debian mirror, and --offline downloads nothing",
            "run once without --offline; later runs use the same root",
        )
    if build_target.job.fetch:
        raise SourceError(
            f"{build_target} cannot be built with --offline",
            "its build has a step that needs the network, and no cache is known to hold all its files",
            "leave --offline out",
        )


def warn_of_strategies(context: Context, planned: Sequence[PlannedAction]) -> None:
    """Show the cautions of recipes about the strategies of builds that are due."""
    for action in planned:
        job = action.build_target.job
        for strategy, caution in job.recipe.cautions.items() if action.action == "build" else ():
            if strategy == job.strategy:
                context.log.warn(f"{action.build_target}, {strategy}: {caution}")


def _warn_of_boards(context: Context, runner: Engine, due: Sequence[BuildTarget]) -> None:
    """Warn, before hours of building, of packages that this machine cannot install for their test."""
    for target in dict.fromkeys(build_target.target for build_target in due):
        try:
            runner.check(checks.board_root(target))
        except HostError as error:
            context.log.warn(
                f"publish-apt installs packages for {target} on their CPU, which this machine cannot do: {error.what}; "
                f"what to do: {error.fix}"
            )


def _build_one(project: Project, planned: PlannedAction, get_engine: Callable[[], Engine], *, offline: bool) -> Built:
    folder = project.workspace.build(*planned.build_target.key)
    with build_locked(project, *planned.build_target.key):
        # Another run may have built it while this one waited.
        build_target = replace(planned.build_target, record=records.read_record(folder))
        action = decide(build_target, force=planned.forced)
        if action.action == "keep" and build_target.record:
            record = build_target.record
        else:
            project.log.note(f"{build_target}: {', '.join(action.reasons)}")
            record = _make(project, build_target, get_engine(), folder, offline=offline)
        for text in deb.warnings(folder):
            project.log.warn(f"{build_target}: {text}")
        return Built(build_target, record, static_report(build_target, record, folder), action.action == "build")


def _make(project: Project, build_target: BuildTarget, engine: Engine, folder: Path, *, offline: bool) -> Record:
    with measured() as fetching:
        tree = sources.fetch(build_target.recipe, project, offline=offline)
    first = StepRecord("sources", fetching.seconds, fetching.peak_memory_bytes)
    require_unchanged(build_target, tree)  # this run may have waited for a lock
    require_publishable(build_target.recipe, tree)
    with project.workspace.scratch_folder(f"build-{build_target.recipe.name}") as scratch:
        storage = None if offline else build_target.job.system.storage(project.settings)
        result = run_build(project, build_target, engine, tree, scratch, storage=storage)
        require_unchanged(build_target, tree)  # the job read the recipe's folder while it ran
        debs = deb.collect(result.output)
        used = (*tree.sources, *_native_sources(project, build_target))
        deb.write_sbom(
            result.output, build_target.recipe, build_target.target, debs=debs, sources=used,
            root_packages=result.root_packages,
        )  # fmt: skip
        record = Record(
            build_target.fingerprint,
            debs,
            used,
            steps=(first, *result.steps),
            ccache=deb.cache_hits(result.output),
            engine=engine.name,
            root_packages=result.root_packages,
            source=kept_source(build_target, result),
        )
        records.write_record(result.output, record)
        _replace(result.output, folder, scratch)
    return record.moved(folder)


def _native_sources(context: Context, build_target: BuildTarget) -> tuple[FetchedSource, ...]:
    """Return the sources of the native packages that portable ones are made from; none for other builds."""
    native = build_target.recipe.native(build_target.target)
    if native == build_target.target:
        return ()
    return _needed_record(context, build_target.recipe.name, native, build_target).sources


def kept_source(build_target: BuildTarget, result: JobResult) -> SourcePackage | None:
    """Return the source package that a build left, None for a recipe without ``keep_source``."""
    return deb.collect_source(result.output) if build_target.recipe.keep_source else None


def require_unchanged(build_target: BuildTarget, tree: SourceTree) -> None:
    """Raise BuildError if the files that a build uses are no longer those of its fingerprint."""
    now = fingerprint(build_target.job, build_target.fingerprint["against"])
    changes = differences(build_target.fingerprint, now)
    why = reasons(changes) if changes else ()
    if not why and tree.digest != sources.digest_of(build_target.fingerprint["sources"]):
        why = (REASONS["sources"],)
    if why:
        raise BuildError(
            f"the files of {build_target} changed during this run",
            "\n".join(why),
            "run the same command again",
        )


def run_build(
    project: Project, build_target: BuildTarget, engine: Engine, tree: SourceTree, scratch: Path, *,
    storage: Storage | None = None,
) -> JobResult:  # fmt: skip
    """Run the job of a build; its output is the folder ``out`` of ``scratch``. Raises RootError, BuildError."""
    rendered = scratch / "rendered"
    build_target.job.write_debian(rendered)
    packages = None
    if needed := build_target.recipe.needs(build_target.target):
        packages = scratch / "packages"
        packages.mkdir()
        for name, target in needed:
            _copy_debs(project, name, target, build_target, packages)
    job = build_target.job.with_inputs(
        tree=tree, rendered=rendered, settings=project.settings, jobs=project.jobs(engine, build_target.job.root),
        packages=packages, storage=storage,
    )  # fmt: skip
    try:
        return project.engines.run(engine, job, scratch / "out")
    except BuildError as error:
        raise deb.explained(build_target.recipe, error) from error


def _copy_debs(context: Context, recipe: str, target: Target, build_target: BuildTarget, packages: Path) -> None:
    """Copy the .debs of another build; raises BuildError."""
    with build_locked(context, recipe, target.slug):
        for file in _needed_record(context, recipe, target, build_target).debs:
            require_sound(file, recipe)
            shutil.copy2(file.path, packages)


def _needed_record(context: Context, recipe: str, target: Target, build_target: BuildTarget) -> Record:
    """Return the record of a needed build; raises BuildError unless it is the build that the fingerprint names."""
    record = records.read_record(context.workspace.build(recipe, target.slug))
    if record is None or short_digest(record.fingerprint) != build_target.fingerprint["against"][recipe]:
        raise BuildError(
            f"another run changed the build of {recipe} that {build_target.recipe.name} needs",
            "its .debs are not those that this run planned with",
            "run the same command again",
        )
    return record


def _replace(new: Path, folder: Path, scratch: Path) -> None:
    """Put a finished build into ``folder``; between the two renames there is no build, and a run would build again."""
    with disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():
            folder.rename(scratch / "old")
        new.rename(folder)
