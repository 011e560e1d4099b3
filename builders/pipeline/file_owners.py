"""The gate for files of other packages: those that are published in a suite, and those that arrive with a package."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from builders import checks
from builders.errors import PublishError
from builders.model.arch import ARCHITECTURES
from builders.model.packages import DEBUG_SUFFIX, DebFile, Verdict
from builders.model.recipe import Recipe
from builders.pipeline.project import Project

Place = tuple[str, str]
"""A suite and a CPU."""


@dataclass(frozen=True)
class ArrivingBuild:
    """New packages of a recipe for a suite and a CPU; ``owners`` are those without debug symbols."""

    recipe: Recipe
    suite: str
    architecture: str
    owners: "Sequence[checks.Owner]"


def beside_owners(project: Project, builds: Sequence[ArrivingBuild]) -> list[tuple[Verdict, ...]]:
    """Return each build's verdicts ``file-conflicts`` beside the published packages and the builds before it."""
    sought: dict[str, dict[str, set[str]]] = {}
    for build in builds:
        paths = sought.setdefault(build.suite, {}).setdefault(build.architecture, set())
        paths.update(*(owner.paths for owner in build.owners))
    known: dict[Place, list[checks.Owner]] = {}
    for suite, by_cpu in sought.items():
        for architecture, found in _published(project, suite, by_cpu).items():
            known[suite, architecture] = [owner for owner, _ in found]
    result = []
    for build in builds:
        others = known[build.suite, build.architecture]
        result.append(checks.check_owners(build.recipe, build.owners, others) if build.owners else ())
        others += build.owners
    return result


def require_promotable(project: Project, suite: str, debs: Sequence[DebFile], judged: Collection[str]) -> None:
    """Raise PublishError where ``debs`` have files of packages that ``suite`` has and whose SHA-256 is not ``judged``.

    Faults that recipes of the project accept do not count.
    """
    owners = {deb.sha256: checks.owner_of(deb) for deb in debs if not deb.package.endswith(DEBUG_SUFFIX)}
    recipes = {package.name: recipe for recipe in project.recipes.values() for package in recipe.packages}
    arriving = {
        name: [owners[deb.sha256] for deb in debs if deb.sha256 in owners and deb.architecture in (name, "all")]
        for name in ARCHITECTURES
    }
    sought = {name: set[str]().union(*(owner.paths for owner in mine)) for name, mine in arriving.items()}
    faults: dict[str, None] = {}
    fix = ""
    for name, found in _published(project, suite, sought).items():
        others = [owner for owner, sha256 in found if sha256 not in judged]
        for owner in arriving[name]:
            package = owner.control["Package"]
            for verdict in checks.check_owners(recipes.get(package), [owner], others):
                faults |= dict.fromkeys(f"{package}: {fault}" for fault in verdict.faults if not verdict.passed)
                fix = verdict.fix or fix
    if faults:
        raise PublishError(f"packages cannot be promoted to {suite} with files of others", "\n".join(faults), fix)


def _published(
    project: Project, suite: str, sought: Mapping[str, set[str]]
) -> "dict[str, list[tuple[checks.Owner, str]]]":
    """Return the published packages with one of the ``sought`` paths by CPU, each with the SHA-256 of its .deb."""
    from builders.apt import api as apt  # slow to import, and an up-to-date build publishes nothing

    found = apt.published_files(project.workspace.apt, suite, sought, state=apt.state_folder(project))
    return {
        name: [(checks.Owner(each.control, each.paths), each.sha256) for each in packages]
        for name, packages in found.items()
    }
