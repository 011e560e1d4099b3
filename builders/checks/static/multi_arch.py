"""``multi-arch``: dpkg installs a package with ``Multi-Arch: same`` beside the same version of it for another CPU."""

from collections.abc import Sequence

from builders.checks.acceptance import accept
from builders.checks.verdict import judged
from builders.model.instances import differences, is_same, partners, paths_of
from builders.model.packages import DebFile, Verdict
from builders.model.recipe import Recipe

FIX = (
    "a board with both CPUs' packages gets an error of dpkg: install files that differ below /usr/lib/<triplet> or "
    "/usr/include/<triplet>, make them equal, or remove multi_arch: same"
)


def check_instances(recipe: Recipe, debs: Sequence[DebFile], others: Sequence[DebFile]) -> tuple[Verdict, ...]:
    """Judge each of ``debs`` that has an equal version for another CPU among ``others``; raises PackageError."""
    verdicts = []
    for deb in debs:
        found = partners(deb, others)
        if found and is_same(deb):
            mine = paths_of(deb)
            faults = [
                f"{difference} ({deb.architecture} and {other.architecture})"
                for other in found
                for difference in differences(mine, paths_of(other))
            ]
            beside = ", ".join(other.architecture for other in found)
            verdicts.append(judged("multi-arch", deb.package, faults, FIX, passed=f"beside {beside}"))
    return accept(recipe, verdicts)
