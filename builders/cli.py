"""The front: Invoke's tasks call these functions; errors become messages and exit codes, results become tables."""

import functools
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import invoke

from builders import pipeline, state
from builders.errors import InputError, ReefError
from builders.log import Log
from builders.pipeline import Built
from builders.plan import differences
from builders.products import Report
from builders.project import Project
from builders.recipe import StrategyName
from builders.workspace import disk_error

FOLDER = Path(__file__).parent.parent
INTERRUPTED = 130
STRATEGIES: dict[str, StrategyName] = {"native": "native", "cross": "cross", "emulate": "emulate"}


def task(function: Callable[..., Any]) -> Any:
    """Make an Invoke task that tells a ReefError in its three parts and exits with its code."""

    @functools.wraps(function)
    def guarded(*words: Any, **options: Any) -> Any:
        try:
            return function(*words, **options)
        except ReefError as error:
            _tell(error)
            raise invoke.Exit(code=error.exit_code) from error
        except KeyboardInterrupt:
            print("\ninterrupted: nothing half-made is kept; run the same command to go on", file=sys.stderr)
            raise invoke.Exit(code=INTERRUPTED) from None
        except OSError as error:
            told = disk_error(error, FOLDER)
            _tell(told)
            raise invoke.Exit(code=told.exit_code) from error

    iterable = [name for name in ("recipe", "target") if name in function.__annotations__]
    return invoke.task(guarded, iterable=iterable)


def _tell(error: ReefError) -> None:
    print(f"\nerror: {error.what}", file=sys.stderr)
    for line in error.detail.splitlines():
        print(f"  {line}", file=sys.stderr)
    if error.fix:
        print(f"  what to do: {error.fix}", file=sys.stderr)


def open_project(log: Log | None = None) -> Project:
    """Open the project that this checkout is."""
    return Project.open(FOLDER, log or Log())


def strategy_named(name: str | None) -> StrategyName | None:
    """Return the strategy called ``name``; raises InputError for an unknown one."""
    if name is not None and name not in STRATEGIES:
        raise InputError(f"unknown strategy: {name!r}", f"known: {', '.join(STRATEGIES)}")
    return STRATEGIES[name] if name else None


def build_arm(
    recipe: list[str], target: list[str], *, strategy: str | None, engine: str | None,
    show_plan: bool, offline: bool, force: bool, verify: bool,
) -> None:  # fmt: skip
    """Build what is not up to date (or only show what that is), and tell the result in a table."""
    project = open_project()
    wanted = project.wanted(recipe, target, strategy_named(strategy))
    todo = pipeline.steps(project, wanted, force=force)
    if show_plan:
        rows = [
            (s.action, s.wanted.recipe.name, str(s.wanted.target), s.wanted.strategy, "; ".join(s.reasons)) for s in todo
        ]
        project.log.table("plan", ("action", "recipe", "target", "strategy", "reason"), rows)
        return
    built = pipeline.build(project, wanted, engine=engine, offline=offline, force=force)
    _build_table(project, built)
    pipeline.require_passed([one.report for one in built])
    if verify:
        pipeline.verify(project, wanted, engine=engine, offline=offline)


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
        memory = one.record.peak_memory_bytes
        project.log.note(f"{one.wanted.recipe.name} for {one.wanted.target}: {folder} (peak memory {size(memory)})")


def _verdicts(report: Report, package: str) -> str:
    mine = [verdict for verdict in report.verdicts if verdict.subject == package]
    failed = [verdict.check for verdict in mine if not verdict.passed]
    return f"FAILED: {', '.join(failed)}" if failed else f"{len(mine)} passed"


def size(amount: int) -> str:
    """Return a number of bytes for people: ``1.2 MB``."""
    value = float(amount)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def explain(recipe: str, target: list[str]) -> None:
    """Show, value by value, how the wanted fingerprint differs from the recorded one."""
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
