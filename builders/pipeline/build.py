"""The flat list of verbs; the only module that knows all stages."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from builders import checks, deb, sources
from builders.engines import Engine
from builders.errors import BuildError, CheckError, HostError, InputError, RootError, SourceError
from builders.host.files import disk_errors, sha256_of
from builders.host.measure import measured
from builders.model.jobs import JobResult, StepRecord, Storage
from builders.model.packages import DebFile, Publication, Report, SourcePackage, Verdict
from builders.model.source_tree import SourceTree
from builders.pipeline import repository
from builders.pipeline.gate import trial, tried
from builders.pipeline.planning import records
from builders.pipeline.planning.fingerprint import fingerprint, short_digest
from builders.pipeline.planning.plan import REASONS, BuildTarget, PlannedAction, decide, differences, reasons
from builders.pipeline.planning.records import Record
from builders.pipeline.project import Project


@dataclass(frozen=True)
class Built:
    """A finished build: its record and report, and whether this run built it."""

    build_target: BuildTarget
    record: Record
    report: Report
    fresh: bool


@dataclass(frozen=True)
class Checked:
    """A published build: both its reports, and whether this run tried it on the target CPU."""

    build_target: BuildTarget
    record: Record
    static: Report
    installed: Report
    fresh: bool

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        return self.static.verdicts + self.installed.verdicts


def build(
    project: Project, planned: Sequence[PlannedAction], *, engine: str | None = None, offline: bool = False
) -> list[Built]:
    """Build what is planned, in order, and return the builds that there are then.

    Raises what the stages raise; what was built before a failure stays. With ``offline`` nothing touches the network,
    and what would have to raises RootError and SourceError.
    """
    with project.workspace.in_use():
        runner = project.engines.get(engine)
        for action in planned:
            action.build_target.job.system.storage(project.settings)  # a wrong URL is an error before the first build
        due = [action.build_target for action in planned if action.action == "build"]
        if due:
            project.log.note(f"engine: {runner.name}")
        warn_of_strategies(project, planned)
        for build_target in due:  # before the first long act
            runner.check(build_target.job.root)
            if offline:
                _require_no_network(build_target, runner)
        _warn_of_boards(project, runner, due)
        if due:
            project.workspace.sweep()
        return [_build_one(project, action, runner, offline=offline) for action in planned]


def _require_no_network(build_target: BuildTarget, engine: Engine) -> None:
    """Raise RootError or SourceError where the build would use the network; its sources look for themselves."""
    if not engine.has(build_target.job.root):
        raise RootError(
            f"the build root of {build_target} is not made yet",
            "it is made of Debian's packages from a mirror, and --offline downloads nothing",
            "run once without --offline: it is kept",
        )
    if build_target.job.fetch:
        raise SourceError(
            f"{build_target} cannot be built with --offline",
            "a step of its build fetches what no cache is known to hold whole",
            "leave --offline out",
        )


def warn_of_strategies(project: Project, planned: Sequence[PlannedAction]) -> None:
    """Show the cautions of recipes about the strategies of builds that are due."""
    for action in planned:
        job = action.build_target.job
        if action.action == "build" and (caution := job.recipe.cautions.get(job.strategy)):
            project.log.warn(f"{action.build_target}, {job.strategy}: {caution}")


def _warn_of_boards(project: Project, runner: Engine, due: Sequence[BuildTarget]) -> None:
    """Warn, before hours of building, where publishing could not try here what comes out."""
    for target in dict.fromkeys(build_target.target for build_target in due):
        try:
            runner.check(checks.board_root(target))
        except HostError as error:
            project.log.warn(
                f"publish-apt tries packages for {target} on their CPU, which this machine cannot: {error.what}; "
                f"what to do: {error.fix}"
            )


def _build_one(project: Project, planned: PlannedAction, engine: Engine, *, offline: bool) -> Built:
    folder = project.workspace.build(*planned.build_target.key)
    with build_held(project, *planned.build_target.key):
        # Another run may have built it while this one waited.
        build_target = replace(planned.build_target, record=records.read_record(folder))
        action = decide(build_target, force=planned.forced)
        if action.action == "keep" and build_target.record:
            record = build_target.record
        else:
            project.log.note(f"{build_target}: {', '.join(action.reasons)}")
            record = _make(project, build_target, engine, folder, offline=offline)
        return Built(build_target, record, static_report(build_target, record, folder), action.action == "build")


def _make(project: Project, build_target: BuildTarget, engine: Engine, folder: Path, *, offline: bool) -> Record:
    from builders.deb.sbom import write_sbom  # slow to import, and only a real build needs it

    with measured() as fetching:
        tree = sources.fetch(build_target.recipe, project.workspace, project.settings, project.log, offline=offline)
    first = StepRecord("sources", fetching.seconds, fetching.peak_memory_bytes)
    require_unchanged(build_target, tree)  # it may have waited for long
    with project.workspace.scratch_folder(f"build-{build_target.recipe.name}") as scratch:
        storage = None if offline else build_target.job.system.storage(project.settings)
        result = run_build(project, build_target, engine, tree, scratch, storage=storage)
        require_unchanged(build_target, tree)  # the job saw the recipe's folder as it was at each moment
        debs = deb.collect(result.output)
        write_sbom(
            result.output / f"{build_target.recipe.name}.cdx.json", build_target.recipe, build_target.target,
            debs=debs, sources=tree.sources, root_packages=result.root_packages,
        )  # fmt: skip
        record = Record(
            build_target.fingerprint,
            debs,
            tree.sources,
            steps=(first, *result.steps),
            ccache=deb.cache_hits(result.output),
            engine=engine.name,
            root_packages=result.root_packages,
            source=kept_source(build_target, result),
        )
        records.write_record(result.output, record)
        _replace(result.output, folder, scratch)
    return record.moved(folder)


def kept_source(build_target: BuildTarget, result: JobResult) -> SourcePackage | None:
    """Return the source package that a build left, where its recipe keeps it."""
    return deb.collect_source(result.output) if build_target.recipe.keep_source else None


def require_unchanged(build_target: BuildTarget, tree: SourceTree) -> None:
    """Raise BuildError where the files that a build uses are no longer those of its fingerprint."""
    now = fingerprint(build_target.job, build_target.fingerprint["against"])
    changes = differences(build_target.fingerprint, now)
    why = reasons(changes) if changes else ()
    if not why and tree.digest != sources.digest_of(build_target.fingerprint["sources"]):
        why = (REASONS["sources"],)
    if why:
        raise BuildError(
            f"{build_target} was changed while this run was at work",
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
    if build_target.recipe.build.recipes:
        packages = scratch / "packages"
        packages.mkdir()
        for name in build_target.recipe.build.recipes:
            _copy_debs(project, name, build_target, packages)
    job = build_target.job.with_inputs(
        tree=tree, rendered=rendered, settings=project.settings, jobs=project.jobs(engine, build_target.job.root),
        packages=packages, storage=storage,
    )  # fmt: skip
    return project.engines.run(engine, job, scratch / "out")


def _copy_debs(project: Project, recipe: str, build_target: BuildTarget, packages: Path) -> None:
    """Copy another recipe's finished .debs: whole, and of the very build that the fingerprint names."""
    with build_held(project, recipe, build_target.target.slug):
        record = records.read_record(project.workspace.build(recipe, build_target.target.slug))
        if record is None or short_digest(record.fingerprint) != build_target.fingerprint["against"][recipe]:
            raise BuildError(
                f"{recipe} is no longer built as {build_target.recipe.name} needs it", fix="run the same command again"
            )
        for file in record.debs:
            require_sound(file, recipe)
            shutil.copy2(file.path, packages)


def _replace(new: Path, folder: Path, scratch: Path) -> None:
    """Put a finished build in its place; between the two renames there is none, which only means building again."""
    with disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():
            folder.rename(scratch / "old")
        new.rename(folder)


def static_report(build_target: BuildTarget, record: Record, folder: Path) -> Report:
    """Return the verdicts on a build's .debs that need no board, judged once and kept beside them."""
    path = folder / "static-report.json"
    known = checks.read_report(path, build_target.recipe.name, build_target.target, record.debs)
    if known:
        return known
    lintian = folder / "lintian.log"
    output = lintian.read_text(errors="replace") if lintian.exists() else ""
    recipe, target = build_target.recipe, build_target.target
    report = Report(recipe.name, target, checks.inspect(recipe, target, record.debs, output))
    checks.write_report(report, record.debs, path)
    return report


def require_passed(reports: Sequence[Report]) -> None:
    """Raise CheckError with every failed verdict, if there is one."""
    failed = [report for report in reports if not report.passed]
    if failed:
        raise CheckError(
            "checks failed; nothing is published",
            "\n".join(checks.failures(report) for report in failed),
            "mend the recipe and run build-arm again",
        )


def publish(
    project: Project,
    build_targets: Sequence[BuildTarget],
    *,
    engine: str | None = None,
    suffix: str = "",
    phase: int = 100,
) -> tuple[list[Publication], list[Checked]]:
    """Publish those of ``build_targets`` that are built: stage, install and run them on the target CPU, then switch.

    With ``suffix`` it goes into ``trixie-<suffix>`` instead of ``trixie``; ``phase`` of a hundred boards get what is
    new when they upgrade, until `repository.phase` raises it. Raises InputError where nothing is built, CheckError for
    a failed verdict, PublishError from the repository.
    """
    runner = project.engines.get(engine)  # an unknown name is told before anything is done
    with repository.held(project), _builds_held(project, build_targets):
        ready = _ready(project, build_targets)
        for build_target, record, _ in ready:  # before the first long act
            if not tried(project, build_target, record, suffix=suffix):
                runner.check(checks.board_root(build_target.target))
        debs: dict[str, list[DebFile]] = {}
        for build_target, record, _ in ready:
            debs.setdefault(repository.suffixed(build_target.target.suite.name, suffix), []).extend(record.published)
        with repository.staged(project, debs, phase=phase) as candidate:
            checked = _install_tested(project, ready, candidate, suffix=suffix, engine=runner)
            asked = repository.ask_clients(project, candidate)
            return repository.switch(project, candidate, asked), checked


def _install_tested(
    project: Project, ready: Sequence[tuple[BuildTarget, Record, Report]], candidate: repository.Candidate, *,
    suffix: str, engine: Engine,
) -> list[Checked]:  # fmt: skip
    """Install and run each build from the candidate on its target's CPU; raises CheckError for a failed verdict."""
    project.log.note(f"engine: {engine.name}")
    checked = []
    for build_target, record, static in ready:
        report, fresh = trial(
            project, build_target, record, candidate=candidate.path, suffix=suffix, engine=engine,
            scratch=candidate.scratch,
        )  # fmt: skip
        checked.append(Checked(build_target, record, static, report, fresh))
    require_passed([each.installed for each in checked])
    return checked


@contextmanager
def _builds_held(project: Project, build_targets: Sequence[BuildTarget]) -> Iterator[None]:
    """Keep what is published from being built anew meanwhile.

    A build holds its own lock while it waits for those that it builds against: here the last in build order is taken
    first as well, so that the two never wait for each other.
    """
    with ExitStack() as stack:
        for build_target in reversed(build_targets):
            stack.enter_context(build_held(project, *build_target.key))
        yield


def build_held(project: Project, recipe: str, slug: str) -> AbstractContextManager[None]:
    """Keep a finished build from being built anew, and from being built twice at once."""
    folder = project.workspace.build(recipe, slug)
    return project.workspace.locked(f"build-{recipe}-{slug}", what=f"the build of {folder}", say=project.log.note)


def _ready(project: Project, build_targets: Sequence[BuildTarget]) -> list[tuple[BuildTarget, Record, Report]]:
    """Return what is built, its bytes and its static verdicts sound."""
    found = [(each, records.read_record(project.workspace.build(*each.key))) for each in build_targets]
    ready = [(build_target, record) for build_target, record in found if record]
    if not ready:
        raise InputError("nothing to publish: none of these is built", _names(build_targets), "run build-arm first")
    for build_target, known in found:
        if known is None:
            project.log.warn(f"not published, because not built: {build_target}")
        elif known.fingerprint != build_target.fingerprint:
            project.log.warn(f"publishing an older build of {build_target}: build-arm is due")
    for build_target, record in ready:
        for file in (*record.debs, *(record.source.files if record.source else ())):
            require_sound(file, build_target.recipe.name)
        if given := record.fingerprint.get("substituted"):
            project.log.warn(
                f"{build_target} was built from folders given with --source ({', '.join(given)}), "
                "not from the recipe's pinned sources"
            )
    reports = [static_report(each, record, project.workspace.build(*each.key)) for each, record in ready]
    require_passed(reports)
    return [(build_target, record, report) for (build_target, record), report in zip(ready, reports, strict=True)]


def require_sound(file: DebFile, recipe: str) -> None:
    """Raise CheckError where a file of a package is no longer the bytes that were built."""
    found = sha256_of(file.path)
    if found != file.sha256:
        raise CheckError(
            f"{file.path} is not the file that was built",
            f"recorded sha256 {file.sha256}, found {found}",
            f"build it again: ./inv build-arm --force --recipe {recipe}",
        )


def _names(build_targets: Sequence[BuildTarget]) -> str:
    return ", ".join(map(str, build_targets))
