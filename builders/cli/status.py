"""The commands ``list`` and ``explain``: builds and publications as they are, and the reasons for a build."""

import json
from collections.abc import Sequence
from functools import cache, partial

from builders.cli.app import open_project
from builders.errors import InputError
from builders.maintenance.debian_updates import drift
from builders.model.packages import DebFile
from builders.model.recipe import Recipe, for_target
from builders.model.target import Target, parse_target
from builders.pipeline.planning.plan import differences
from builders.pipeline.planning.records import Records
from builders.pipeline.planning.selection import select
from builders.pipeline.project import Project

MOST_SHOWN = 50
"""Published packages of no recipe that ``list`` shows."""


def explain(recipe: str, target: list[str]) -> None:
    """Show the differences between the recorded fingerprint and a build now, and Debian's updates since."""
    project = open_project()
    for build_target in select(project, [recipe], target):
        if build_target.recipe.name != recipe or build_target.target not in project.targets(target):
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
    project = open_project(without_recipes=True)
    records, published = Records(project.workspace), cache(partial(_published, project))
    rows = [
        _listed(project, for_target(recipe, target, project.recipes), target, records, published(target.suite.name))
        for recipe in project.recipes.values()
        for target in recipe.served
    ]
    columns = ("recipe", "version", "target", "strategy", "built", "published", "summary")
    if rows:
        project.log.table("recipes", columns, rows)
    else:
        project.log.note(f"no recipes in {project.settings.recipes}: ./inv new --help says how to write one")
    for recipe in project.recipes.values():
        if recipe.build.prebuilt:
            project.log.note(f"{recipe.name}: built by {recipe.build.prebuilt.by}")
    _show_others(project)
    _show_bundled(project, records)


def _show_others(project: Project) -> None:
    """Show the published packages that no recipe here makes, such as those given with --deb, and who built them."""
    if not project.workspace.apt.is_dir():
        return
    from builders.apt.repository.publication import published_beside  # slow to import

    made = {
        package.name
        for recipe in project.recipes.values()
        for target in recipe.served
        for package in for_target(recipe, target, project.recipes).packages
    }
    found = published_beside(project.workspace.apt, made)
    rows = [
        (entry.package, entry.version, entry.architecture, suite, entry.maintainer)
        for suite, entry in found[:MOST_SHOWN]
    ]
    if rows:
        columns = ("package", "version", "cpu", "suite", "built by")
        project.log.table("published without a recipe", columns, rows)
    if len(found) > MOST_SHOWN:
        project.log.note(f"and {len(found) - MOST_SHOWN} more")


def _show_bundled(project: Project, records: Records) -> None:
    """Show for each build that bundles Debian packages whether Debian has newer versions."""
    outdated: dict[str, list[str]] = {}
    for path in sorted(project.workspace.builds.glob("*/*/bundled.tsv")):
        try:
            name, target = path.parent.parent.name, parse_target(path.parent.name.replace("-", "/", 1))
        except InputError:
            continue  # a folder that Reef did not make
        record = records.of(name, target)
        if record is None:
            continue
        from builders.maintenance import debian_index  # slow to import, and most projects bundle nothing

        suite = record.fingerprint["root"]["suite"]
        found = debian_index.compare(project, path, suite, target.architecture)
        for line in (f"{name} {target}: {found.sentence}", *(f"  {package}" for package in found.newer)):
            project.log.note(line)
        if found.newer:
            outdated.setdefault(name, []).append(f"--target {target}")
    for name, targets in outdated.items():
        project.log.note(
            f"raise the version in the recipe {name} (Reef's docs/portable.md), then build and publish again:"
        )
        project.log.note(f"  ./inv clean --what roots build-arm {' '.join(targets)} publish-apt")


def _published(project: Project, suite: str) -> Sequence[DebFile]:
    """Return the packages that a suite holds."""
    if not project.workspace.apt.is_dir():
        return ()
    from builders.apt.repository.publication import published  # slow to import

    return published(project.workspace.apt, suite)


def _listed(
    project: Project, recipe: Recipe, target: Target, records: Records, published: Sequence[DebFile]
) -> tuple[str, ...]:
    record = records.of(recipe.name, target)
    digests = {deb.sha256 for deb in published}
    live = record is not None and all(file.sha256 in digests for file in record.published)
    names, cpu = {package.name for package in recipe.packages}, target.architecture
    older = any(deb.package in names and deb.architecture in (cpu.debian, "all") for deb in published)
    shown = "yes" if live else "older" if older else "no"
    if record is None:  # without a record, no fingerprint is needed, and no rendered debian/ for it
        built, strategy = "no", recipe.strategy_for(project.engines.machine_for(cpu, None), target)
    else:
        selected = select(project, [recipe.name], [str(target)])
        [build_target] = [each for each in selected if each.key == (recipe.name, target.slug)]
        built = "yes" if record.fingerprint == build_target.fingerprint else "stale"
        strategy = build_target.job.strategy
    return recipe.name, recipe.debian_version(target), str(target), strategy, built, shown, recipe.summary
