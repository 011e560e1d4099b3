"""``version``: the build made the packages that the recipe names, in the version for the suite."""

from collections.abc import Mapping, Sequence

from builders.checks.verdict import judged
from builders.model.packages import DEBUG_SUFFIX, DebFile, Verdict
from builders.model.recipe import PrebuiltDeb, Recipe
from builders.model.target import Target


def check_versions(recipe: Recipe, target: Target, debs: Sequence[DebFile]) -> list[Verdict]:
    """Judge the set of .debs: a verdict for each of them, and for each missing package.

    Packages that somebody else built have versions of their own, which the recipe's digests pin.
    """
    if recipe.build.prebuilt:
        return [_of_prebuilt(deb, {each.sha256: each for each in recipe.build.prebuilt.debs}) for deb in debs]
    expected = recipe.debian_version(target)
    named = {package.name for package in recipe.packages}
    verdicts = [_of_package(deb, expected, named, debs) for deb in debs]
    for name in sorted(named - {deb.package for deb in debs}):
        verdicts.append(
            judged(
                "version",
                name,
                ["the recipe names this package, but the build made none"],
                "look at its files: in the recipe",
            )
        )
    return verdicts


def _of_prebuilt(deb: DebFile, known: Mapping[str, PrebuiltDeb]) -> Verdict:
    named = known.get(deb.sha256)
    faults = [] if named and named.name == deb.package else [f"{deb.path.name} is not a .deb of the recipe"]
    return judged("version", deb.package, faults, "build it again with --force", passed=deb.version)


def _of_package(deb: DebFile, expected: str, named: set[str], debs: Sequence[DebFile]) -> Verdict:
    faults = []
    if deb.version != expected:
        faults.append(f"{deb.path.name} has version {deb.version}, expected: {expected}")
    if deb.package.removesuffix(DEBUG_SUFFIX) not in named:
        faults.append(f"{deb.path.name}: the recipe names no package {deb.package}")
    if sum(other.package == deb.package for other in debs) > 1:
        faults.append(f"more than one .deb of the package {deb.package}")
    return judged("version", deb.package, faults, "build it again with --force", passed=deb.version)
