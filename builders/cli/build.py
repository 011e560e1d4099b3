"""The command ``build-arm``, and the tables that it shares with publishing."""

import os
from collections.abc import Sequence

from builders.cli.app import Context, open_project
from builders.cli.command_line import BuildRequest, remember
from builders.engines import EngineName
from builders.errors import InputError
from builders.host.log import size
from builders.host.time_limit import parse_duration, time_box
from builders.model.jobs import StepRecord
from builders.model.packages import Report, Verdict
from builders.model.recipe import Recipe, StrategyName
from builders.pipeline import build, gate, together
from builders.pipeline.build import Built
from builders.pipeline.planning.plan import PlannedAction, plan
from builders.pipeline.planning.records import Record
from builders.pipeline.planning.selection import select
from builders.pipeline.project import Project

STRATEGIES: dict[str, StrategyName] = {"native": "native", "cross": "cross", "emulate": "emulate"}


def strategy_named(name: str | None) -> StrategyName | None:
    """Return the strategy called ``name``; raises InputError for an unknown one."""
    if name is not None and name not in STRATEGIES:
        raise InputError(
            f"unknown strategy: {name!r}", f"known: {', '.join(STRATEGIES)}", "name one of these with --strategy"
        )
    return STRATEGIES[name] if name else None


def build_arm(context: Context, request: BuildRequest) -> None:
    """Build what is not up to date, or with --plan only show it. The result is a table."""
    if request.offline and request.verify:
        raise InputError(
            "--offline and --verify exclude each other", "--verify makes fresh roots, from a mirror",
            "leave one of them out",
        )  # fmt: skip
    seconds = parse_duration(request.time_box) if request.time_box is not None else None
    remember(context, request)
    project = open_project().with_base(request.base).with_sources(request.source)
    engine = project.engines.name(request.engine)  # an unknown name is an error before a plan is made
    build_targets = select(
        project, request.recipe, request.target, strategy_named(request.strategy), rebuild=request.force, engine=engine
    )
    planned = plan(build_targets, force=request.force)
    if request.plan:
        _show_plan(project, planned, engine)
        return
    with time_box(seconds, project.log):
        built = build.build(project, planned, engine=engine, offline=request.offline)
        _build_table(project, built)
        prebuilt = gate.all_prebuilt(each.build_target for each in built)
        gate.require_passed([each.report for each in built], prebuilt=prebuilt)
        beside = together.built_together((each.build_target, each.record, each.fresh) for each in built)
        gate.require_passed(beside, prebuilt=prebuilt)
        if request.verify:
            from builders.pipeline import reproduce  # slow to import

            reproduce.verify(project, build_targets, engine=engine)


def _show_plan(project: Project, planned: Sequence[PlannedAction], engine: EngineName) -> None:
    rows = [
        (action.action, job.recipe.name, str(job.target), job.strategy, "; ".join(action.reasons))
        for action in planned
        for job in [action.build_target.job]
    ]
    project.log.table("plan", ("action", "recipe", "target", "strategy", "reason"), rows)
    build.warn_of_strategies(project, planned)
    if doubt := project.engines.get(engine).doubt():
        project.log.warn(doubt)


def _build_table(project: Project, built: Sequence[Built]) -> None:
    rows = []
    for each in built:
        hits, compiled = each.record.ccache
        share = f"{hits}/{compiled}" if compiled else "-"
        time = f"{each.record.seconds:.0f} s" if each.fresh else "up to date"
        rows += [
            (
                deb.package, deb.version, deb.architecture, size(deb.size), time, share, deb.sha256[:16],
                _verdicts(each.report, deb.package),
            )
            for deb in each.record.debs
        ]  # fmt: skip
    columns = ("package", "version", "cpu", "size", "time", "ccache", "sha256", "checks")
    project.log.table("built", columns, rows)
    name_accepted(project, [verdict for each in built for verdict in each.report.verdicts])
    name_builders(project, [(each.build_target.recipe, each.record) for each in built])
    for each in built:
        folder = os.path.relpath(project.workspace.build(*each.build_target.key))
        project.log.note(f"{each.build_target}: {folder} ({step_summary(each.record.steps)})")


def step_summary(steps: Sequence[StepRecord]) -> str:
    """Return the time of each step and the peak memory of all."""
    times = ", ".join(f"{step.name} {step.seconds:.0f} s" for step in steps)
    return f"{times}; peak memory {size(max((step.peak_memory_bytes for step in steps), default=0))}"


def relevant(package: str, recipe: str, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the verdicts on a package and on its whole recipe: if one of them failed, the package failed."""
    return [verdict for verdict in verdicts if verdict.subject in (package, recipe)]


def _verdicts(report: Report, package: str) -> str:
    mine = relevant(package, report.recipe, report.verdicts)
    failed = [verdict.check for verdict in mine if not verdict.passed]
    return f"FAILED: {', '.join(failed)}" if failed else count_passed(mine)


def count_passed(verdicts: Sequence[Verdict]) -> str:
    """Return the number of verdicts that passed, and of those that passed only because the recipe accepts faults."""
    accepting = sum(bool(verdict.accepted) for verdict in verdicts)
    return f"{len(verdicts)} passed" + (f", {accepting} with accepted faults" if accepting else "")


def name_accepted(project: Project, verdicts: Sequence[Verdict]) -> None:
    """Name the faults that recipes accept, with their reasons, and warn of acceptances that match nothing."""
    for verdict in verdicts:
        for line in verdict.accepted:
            project.log.note(f"{verdict.check} of {verdict.subject}: {line}")
        for line in verdict.stale:
            project.log.warn(f"{verdict.check}: {line}")


def name_builders(project: Project, builds: Sequence[tuple[Recipe, Record]]) -> None:
    """Say who built packages that come from elsewhere: the maintainer in each, and whom the recipe names."""
    for recipe, record in builds:
        if spec := recipe.build.prebuilt:
            from builders.model.deb_file import control_of  # slow to import

            for deb in record.debs:
                maintainer = control_of(deb.path).get("Maintainer", "")
                named = "" if maintainer in spec.by else f"; maintainer {maintainer}"
                project.log.note(f"{deb.package} {deb.version} ({deb.architecture}): built by {spec.by}{named}")
