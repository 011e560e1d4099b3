"""The front: Invoke's tasks call these functions; errors become messages and exit codes, results become tables."""

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
from builders.model.recipe import StrategyName
from builders.pipeline import build, gate
from builders.pipeline.build import Built
from builders.pipeline.planning.plan import PlannedAction, plan
from builders.pipeline.planning.selection import select
from builders.pipeline.project import Project

STRATEGIES: dict[str, StrategyName] = {"native": "native", "cross": "cross", "emulate": "emulate"}


def strategy_named(name: str | None) -> StrategyName | None:
    """Return the strategy called ``name``; raises InputError for an unknown one."""
    if name is not None and name not in STRATEGIES:
        raise InputError(f"unknown strategy: {name!r}", f"known: {', '.join(STRATEGIES)}")
    return STRATEGIES[name] if name else None


def build_arm(context: Context, request: BuildRequest) -> None:
    """Build what is not up to date (or only show what that is), and show the result in a table."""
    if request.offline and request.verify:
        raise InputError(
            "--offline and --verify do not go together", "what is compared is built in fresh roots",
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
        gate.require_passed([each.report for each in built])
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
        folder = os.path.relpath(project.workspace.build(*one.build_target.key))
        project.log.note(f"{one.build_target}: {folder} ({steps_told(one.record.steps)})")


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
