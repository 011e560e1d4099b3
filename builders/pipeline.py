"""The flat list of verbs; the only module that knows all stages."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from builders import checks, deb, repository, sources, state
from builders.deb.job import build_root, cache_hits, scripts
from builders.engines import Engine
from builders.errors import BuildError, CheckError, HostError, InputError, RootError, SourceError
from builders.fingerprint import short_digest
from builders.host.files import disk_errors, sha256_of
from builders.host.measure import measured
from builders.model.jobs import BuildJob, JobResult, StepRecord, Storage
from builders.model.packages import DebFile, Publication, Report, SourcePackage, Verdict
from builders.model.source_tree import SourceTree
from builders.plan import REASONS, Step, Wanted, differences, plan, reasons
from builders.project import Project
from builders.state import Record
from builders.trial import trial, tried


@dataclass(frozen=True)
class Built:
    """What became of one wanted build: its record, and whether this run built it."""

    wanted: Wanted
    record: Record
    report: Report
    fresh: bool


@dataclass(frozen=True)
class Checked:
    """One build that was published: both its reports, and whether this run tried it on the target CPU."""

    wanted: Wanted
    record: Record
    static: Report
    installed: Report
    fresh: bool

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        return self.static.verdicts + self.installed.verdicts


def steps(project: Project, wanted: Sequence[Wanted], *, force: bool = False) -> list[Step]:
    """Return what `build` would do, and why."""
    return plan(wanted, state.read_all(project.workspace, [one.key for one in wanted]), force=force)


def build(
    project: Project, wanted: Sequence[Wanted], *, engine: str | None = None, offline: bool = False, force: bool = False
) -> list[Built]:
    """Build what is not up to date, in order, and return what there is now.

    Raises what the stages raise; what was built before a failure stays. With ``offline`` nothing touches the network,
    and what would have to raises RootError and SourceError.
    """
    with project.workspace.in_use():
        todo = steps(project, wanted, force=force)
        runner = project.engines.get(engine)
        for one in wanted:
            _storage(project, one)  # a wrong URL is told at once
        due = [step.wanted for step in todo if step.action == "build"]
        if due:
            project.log.note(f"engine: {runner.name}")
        warn_of_strategies(project, todo)
        for one in due:  # before the first long act
            runner.check(build_root(one.recipe, one.target, one.strategy, project.machine))
            if offline:
                _require_no_network(project, one, runner)
        _warn_of_boards(project, runner, due)
        if due:
            project.workspace.sweep()
        return [_build_one(project, step, runner, offline=offline) for step in todo]


def _require_no_network(project: Project, one: Wanted, engine: Engine) -> None:
    """Raise RootError or SourceError where the build of ``one`` would use the network; its sources look for
    themselves."""
    name = f"{one.recipe.name} for {one.target}"
    if not engine.has(build_root(one.recipe, one.target, one.strategy, project.machine)):
        raise RootError(
            f"the build root of {name} is not made yet",
            "it is made of Debian's packages from a mirror, and --offline downloads nothing",
            "run once without --offline: it is kept",
        )
    _, fetching = scripts(one.recipe, one.target, one.strategy)
    if fetching:
        raise SourceError(
            f"{name} cannot be built with --offline",
            "a step of its build fetches what no cache is known to hold whole",
            "leave --offline out",
        )


def warn_of_strategies(project: Project, todo: Sequence[Step]) -> None:
    """Tell what recipes say of the strategies that builds which are due will take."""
    for step in todo:
        one = step.wanted
        if step.action == "build" and (caution := one.recipe.cautions.get(one.strategy)):
            project.log.warn(f"{one.recipe.name} for {one.target}, {one.strategy}: {caution}")


def _warn_of_boards(project: Project, runner: Engine, due: Sequence[Wanted]) -> None:
    """Warn, before hours of building, where publishing could not try here what comes out."""
    for target in dict.fromkeys(one.target for one in due):
        try:
            runner.check(checks.board_root(target))
        except HostError as error:
            project.log.warn(
                f"publish-apt tries packages for {target} on their CPU, which this machine cannot: {error.what}; "
                f"what to do: {error.fix}"
            )


def _build_one(project: Project, step: Step, engine: Engine, *, offline: bool) -> Built:
    wanted = step.wanted
    folder = project.workspace.build(*wanted.key)
    with build_held(project, *wanted.key):
        record = state.read_record(folder)
        # Another run may have built it while this one waited.
        stale = record is None or record.fingerprint != wanted.fingerprint
        fresh = stale or (step.action == "build" and step.reasons == ("asked for with --force",))
        if fresh:
            project.log.note(f"{wanted.recipe.name} for {wanted.target}: {', '.join(step.reasons)}")
            record = _make(project, wanted, engine, folder, offline=offline)
        if record is None:
            raise AssertionError("a build that is not stale has a record")
        return Built(wanted, record, static_report(wanted, record, folder), fresh)


def _make(project: Project, wanted: Wanted, engine: Engine, folder: Path, *, offline: bool) -> Record:
    from builders.deb.sbom import write_sbom  # slow to import, and only a real build needs it

    with measured() as fetching:
        tree = sources.fetch(wanted.recipe, project.workspace, project.settings, project.log, offline=offline)
    first = StepRecord("sources", fetching.seconds, fetching.peak_memory_bytes)
    require_unchanged(project, wanted, tree)  # it may have waited for long
    with project.workspace.scratch_folder(f"build-{wanted.recipe.name}") as scratch:
        storage = None if offline else _storage(project, wanted)
        result = run_build(project, wanted, engine, tree, scratch, storage=storage)
        require_unchanged(project, wanted, tree)  # the job saw the recipe's folder as it was at each moment
        debs = deb.collect(result.output)
        write_sbom(
            result.output / f"{wanted.recipe.name}.cdx.json", wanted.recipe, wanted.target,
            debs=debs, sources=tree.sources, root_packages=result.root_packages,
        )  # fmt: skip
        steps = (first, *result.steps)
        record = Record(
            wanted.fingerprint, debs, tree.sources, steps, cache_hits(result.output), engine.name,
            result.root_packages, kept_source(wanted, result),
        )  # fmt: skip
        state.write_record(result.output, record)
        _replace(result.output, folder, scratch)
    finished = state.read_record(folder)
    if finished is None:
        raise BuildError(f"the build in {folder} changed while it was recorded", fix="run the same command again")
    return finished


def kept_source(wanted: Wanted, result: JobResult) -> SourcePackage | None:
    """Return the source package that a build left, where its recipe keeps one."""
    return deb.collect_source(result.output) if wanted.recipe.keep_source else None


def require_unchanged(project: Project, wanted: Wanted, tree: SourceTree) -> None:
    """Raise BuildError where the files that ``wanted`` is built from are no longer those that its fingerprint tells."""
    changes = differences(wanted.fingerprint, project.now(wanted))
    why = reasons(changes) if changes else ()
    if not why and tree.digest != sources.digest_of(wanted.fingerprint["sources"]):
        why = (REASONS["sources"],)
    if why:
        raise BuildError(
            f"{wanted.recipe.name} for {wanted.target} was changed while this run was at work",
            "\n".join(why),
            "run the same command again",
        )


def _storage(project: Project, wanted: Wanted) -> Storage | None:
    """Return the server that shares what a build compiles, where one is set."""
    return deb.build_system(wanted.recipe).storage(project.settings)


def run_build(
    project: Project, wanted: Wanted, engine: Engine, tree: SourceTree, scratch: Path, *, storage: Storage | None = None
) -> JobResult:
    """Run the job that builds ``wanted``, in the new folder ``out`` of ``scratch``; raises RootError, BuildError."""
    jobs = project.jobs(engine, build_root(wanted.recipe, wanted.target, wanted.strategy, project.machine))
    job = _job(project, wanted, tree, scratch, storage, jobs=jobs)
    return project.engines.run(engine, job, scratch / "out")


def _job(
    project: Project, wanted: Wanted, tree: SourceTree, scratch: Path, storage: Storage | None, *, jobs: int
) -> BuildJob:
    rendered = scratch / "rendered"
    deb.write(deb.debian_files(wanted.recipe, wanted.target, project.settings), rendered)
    if wanted.recipe.keep_source:
        deb.copy_recipe(wanted.recipe, rendered)
    packages = None
    if wanted.recipe.build.recipes:
        packages = scratch / "packages"
        packages.mkdir()
        for name in wanted.recipe.build.recipes:
            _copy_debs(project, name, wanted, packages)
    return deb.build_job(
        wanted.recipe, wanted.target, strategy=wanted.strategy, tree=tree, rendered=rendered,
        settings=project.settings, machine=project.machine, jobs=jobs, packages=packages,
        storage=storage,
    )  # fmt: skip


def _copy_debs(project: Project, recipe: str, wanted: Wanted, packages: Path) -> None:
    """Copy another recipe's finished .debs, whole and as they were built; the build that ``wanted`` tells, no other."""
    with build_held(project, recipe, wanted.target.slug):
        record = state.read_record(project.workspace.build(recipe, wanted.target.slug))
        if record is None or short_digest(record.fingerprint) != wanted.fingerprint["against"][recipe]:
            raise BuildError(
                f"{recipe} is no longer built as {wanted.recipe.name} needs it", fix="run the same command again"
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


def static_report(wanted: Wanted, record: Record, folder: Path) -> Report:
    """Return the verdicts on a build's .debs that need no board, judged once and kept beside them."""
    path = folder / "static-report.json"
    known = checks.read_report(path, wanted.recipe.name, wanted.target, record.debs)
    if known:
        return known
    lintian = folder / "lintian.log"
    output = lintian.read_text(errors="replace") if lintian.exists() else ""
    report = Report(
        wanted.recipe.name, wanted.target, checks.inspect(wanted.recipe, wanted.target, record.debs, output)
    )
    checks.write_report(report, record.debs, path)
    return report


def require_passed(reports: Sequence[Report]) -> None:
    """Raise CheckError telling every failed verdict, where there is one."""
    failed = [report for report in reports if not report.passed]
    if failed:
        raise CheckError(
            "checks failed; nothing is published",
            "\n".join(checks.failures(report) for report in failed),
            "mend the recipe and run build-arm again",
        )


def publish(
    project: Project, wanted: Sequence[Wanted], *, engine: str | None = None, suffix: str = "", phase: int = 100
) -> tuple[list[Publication], list[Checked]]:
    """Publish what is built of ``wanted``: staged, installed and run from there on the target CPU, then made live.

    With ``suffix`` it goes into ``trixie-<suffix>`` instead of ``trixie``; ``phase`` of a hundred boards get what is
    new when they upgrade, until `repository.phase` raises it. Raises InputError where nothing is built, CheckError for
    a failed verdict, PublishError from the repository.
    """
    runner = project.engines.get(engine)  # an unknown name is told before anything is done
    with repository.held(project), _builds_held(project, wanted):
        ready = _ready(project, wanted)
        for one, record, _ in ready:  # before the first long act
            if not tried(project, one, record, suffix=suffix):
                runner.check(checks.board_root(one.target))
        debs: dict[str, list[DebFile]] = {}
        for one, record, _ in ready:
            debs.setdefault(repository.suffixed(one.target.suite.name, suffix), []).extend(record.published)
        with repository.staged(project, debs, phase=phase) as candidate:
            checked = _install_tested(project, ready, candidate, suffix=suffix, engine=runner)
            asked = repository.ask_clients(project, candidate)
            return repository.switch(project, candidate, asked), checked


def _install_tested(
    project: Project, ready: Sequence[tuple[Wanted, Record, Report]], candidate: repository.Candidate, *,
    suffix: str, engine: Engine,
) -> list[Checked]:  # fmt: skip
    """Install and run each build from the candidate on its target's CPU; raises CheckError for a failed verdict."""
    project.log.note(f"engine: {engine.name}")
    checked = []
    for one, record, static in ready:
        report, fresh = trial(
            project, one, record, candidate=candidate.path, suffix=suffix, engine=engine, scratch=candidate.scratch
        )
        checked.append(Checked(one, record, static, report, fresh))
    require_passed([one.installed for one in checked])
    return checked


@contextmanager
def _builds_held(project: Project, wanted: Sequence[Wanted]) -> Iterator[None]:
    """Keep what is published from being built anew meanwhile.

    A build holds its own lock while it waits for those that it builds against: here the last in build order is taken
    first as well, so that the two never wait for each other.
    """
    with ExitStack() as stack:
        for one in reversed(wanted):
            stack.enter_context(build_held(project, *one.key))
        yield


def build_held(project: Project, recipe: str, slug: str) -> AbstractContextManager[None]:
    """Keep a finished build from being built anew, and from being built twice at once."""
    folder = project.workspace.build(recipe, slug)
    return project.workspace.locked(f"build-{recipe}-{slug}", what=f"the build of {folder}", say=project.log.note)


def _ready(project: Project, wanted: Sequence[Wanted]) -> list[tuple[Wanted, Record, Report]]:
    """Return what is built, its bytes and its static verdicts sound."""
    records = state.read_all(project.workspace, [one.key for one in wanted])
    ready = [(one, records[one.key]) for one in wanted if one.key in records]
    if not ready:
        raise InputError("nothing to publish: none of these is built", _names(wanted), "run build-arm first")
    for one in wanted:
        if one.key not in records:
            project.log.warn(f"not published, because not built: {one.recipe.name} for {one.target}")
        elif records[one.key].fingerprint != one.fingerprint:
            project.log.warn(f"publishing an older build of {one.recipe.name} for {one.target}: build-arm is due")
    for one, record in ready:
        for file in (*record.debs, *(record.source.files if record.source else ())):
            require_sound(file, one.recipe.name)
        if given := record.fingerprint.get("substituted"):
            project.log.warn(
                f"{one.recipe.name} for {one.target} was built from folders given with --source ({', '.join(given)}), "
                "not from the recipe's pinned sources"
            )
    reports = [static_report(one, record, project.workspace.build(*one.key)) for one, record in ready]
    require_passed(reports)
    return [(one, record, report) for (one, record), report in zip(ready, reports, strict=True)]


def require_sound(file: DebFile, recipe: str) -> None:
    """Raise CheckError where a file of a package is no longer the bytes that were built."""
    found = sha256_of(file.path)
    if found != file.sha256:
        raise CheckError(
            f"{file.path} is not the file that was built",
            f"recorded sha256 {file.sha256}, found {found}",
            f"build it again: ./inv build-arm --force --recipe {recipe}",
        )


def _names(wanted: Sequence[Wanted]) -> str:
    return ", ".join(f"{one.recipe.name} for {one.target}" for one in wanted)
