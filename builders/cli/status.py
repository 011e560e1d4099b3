"""The commands ``list`` and ``explain``: builds and publications as they are, and the reasons for a build."""

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
    """Show the differences between the recorded fingerprint and a build now, and Debian's updates since."""
    project = open_project()
    for build_target in select(project, [recipe], target):
        if build_target.recipe.name != recipe:
            continue
        record = build_target.record
        project.log.note(f"{recipe} for {build_target.target}:")
        if record is None:
            project.log.note("  never built; a build would have this fingerprint:")
            project.log.note(json.dumps(build_target.fingerprint, indent=2))
            continue
        changes = differences(record.fingerprint, build_target.fingerprint)
        for change in changes:
            project.log.note(f"  {change.path}\n    built from: {change.before}\n    now: {change.after}")
        if not changes:
            project.log.note("  up to date: nothing differs")
        for line in drift(project, build_target, record):
            project.log.note(f"  {line}")


def list_all() -> None:
    """Show each recipe for each of its targets: whether it is built, stale and published."""
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
    build_target = next(each for each in select(project, [recipe.name], [target]) if each.recipe is recipe)
    record = build_target.record
    built = "no" if record is None else "yes" if record.fingerprint == build_target.fingerprint else "stale"
    published = _published(project, build_target.target.suite.name)
    digests = {deb.sha256 for deb in published}
    live = record is not None and all(file.sha256 in digests for file in record.published)
    names = {package.name for package in recipe.packages}
    cpu = build_target.target.architecture.debian
    older = any(deb.package in names and deb.architecture == cpu for deb in published)
    shown = "yes" if live else "older" if older else "no"
    version = recipe.debian_version(build_target.target)
    return recipe.name, version, target, build_target.job.strategy, built, shown, recipe.summary
