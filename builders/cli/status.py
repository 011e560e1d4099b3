"""What the commands ``list`` and ``explain`` show: what is built, stale and published, and why it is stale."""

import json
from collections.abc import Sequence

from builders.cli.app import open_project
from builders.maintenance.debian_updates import drift
from builders.model.packages import DebFile
from builders.model.recipe import Recipe
from builders.pipeline.planning.plan import differences
from builders.pipeline.planning.selection import select
from builders.pipeline.project import Project


def explain(recipe: str, target: list[str]) -> None:
    """Show, value by value, how the wanted fingerprint differs from the recorded one, and what else became old."""
    project = open_project()
    for one in select(project, [recipe], target):
        if one.recipe.name != recipe:
            continue
        record = one.record
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


def _published(project: Project, suite: str) -> Sequence[DebFile]:
    """Return the packages that a suite holds."""
    if not project.workspace.apt.is_dir():
        return ()
    from builders.apt.repository.publication import published  # slow to import

    return published(project.workspace.apt, suite)


def _listed(project: Project, recipe: Recipe, target: str) -> tuple[str, ...]:
    one = next(each for each in select(project, [recipe.name], [target]) if each.recipe is recipe)
    record = one.record
    built = "no" if record is None else "yes" if record.fingerprint == one.fingerprint else "stale"
    published = _published(project, one.target.suite.name)
    there = {deb.sha256 for deb in published}
    live = record is not None and all(file.sha256 in there for file in record.published)
    names = {package.name for package in recipe.packages}
    older = any(deb.package in names and deb.architecture == one.target.architecture.debian for deb in published)
    shown = "yes" if live else "older" if older else "no"
    version = recipe.debian_version(one.target)
    return recipe.name, version, target, one.job.strategy, built, shown, recipe.summary
