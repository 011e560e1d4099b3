"""The front: Invoke's tasks call these functions; errors become messages and exit codes, results become tables."""

import os
from collections.abc import Sequence

from builders.cli.app import open_project
from builders.cli.command_line import remember
from builders.errors import InputError
from builders.host.log import size
from builders.host.time_limit import parse_duration, time_box
from builders.model.jobs import StepRecord
from builders.model.packages import Report, Verdict
from builders.model.recipe import StrategyName
from builders.pipeline import build, gate
from builders.pipeline.build import Built
from builders.pipeline.planning.plan import plan
from builders.pipeline.planning.selection import select
from builders.pipeline.project import Project

STRATEGIES: dict[str, StrategyName] = {"native": "native", "cross": "cross", "emulate": "emulate"}


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
    build_targets = select(project, recipe, target, strategy_named(strategy), rebuild=force, engine=name)
    planned = plan(build_targets, force=force)
    if show_plan:
        rows = [
            (action.action, job.recipe.name, str(job.target), job.strategy, "; ".join(action.reasons))
            for action in planned
            for job in [action.build_target.job]
        ]
        project.log.table("plan", ("action", "recipe", "target", "strategy", "reason"), rows)
        build.warn_of_strategies(project, planned)
        if doubt := project.engines.get(name).doubt():
            project.log.warn(doubt)
        return
    with time_box(seconds, project.log):
        built = build.build(project, planned, engine=engine, offline=offline)
        _build_table(project, built)
        gate.require_passed([one.report for one in built])
        if verify:
            from builders.pipeline import reproduce  # slow to import

            reproduce.verify(project, build_targets, engine=engine)


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
