"""``file-conflicts``: no package of the suite has the same file, unless dpkg knows which package replaces the other."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from builders.checks.acceptance import accept
from builders.checks.static.relations import conflict, relations
from builders.checks.verdict import judged
from builders.model.deb_file import control_of
from builders.model.instances import FOLDER, paths_of
from builders.model.packages import DEBUG_SUFFIX, DebFile, Verdict
from builders.model.recipe import Recipe

FIX = (
    "dpkg refuses to overwrite the file: give each package files of its own; or add replaces: and breaks: for a file "
    "that moved, conflicts: for packages that exclude each other"
)


@dataclass(frozen=True)
class Owner:
    """A package as far as others must heed it: its control fields, and the absolute ``paths`` of its files."""

    control: Mapping[str, str]
    paths: frozenset[str]

    def met_with(self, other: "Owner") -> bool:
        """Return whether dpkg may unpack one beside the other and does not know which replaces it (Policy 7.6.1).

        With Breaks alone, dpkg unpacks the new package while the other's files are still there.
        """
        pair = (self.control, other.control)
        if self.control["Package"] == other.control["Package"] or conflict(*pair, fields=("Conflicts",)):
            return False
        return not any(
            relation.name == second["Package"] and relation.holds_for(second["Version"])
            for first, second in (pair, pair[::-1])
            for relation in relations(first, "Replaces")
        )


def owner_of(deb: DebFile) -> Owner:
    """Return a .deb as owner of its files; raises PackageError."""
    return Owner(control_of(deb.path), frozenset(p for p, found in paths_of(deb).items() if found.kind != FOLDER))


def check_owners(recipe: Recipe | None, debs: Sequence[Owner], others: Iterable[Owner]) -> tuple[Verdict, ...]:
    """Judge each of ``debs`` beside ``others`` for the same CPU.

    Packages of debugging symbols are left out: they depend on the packages that they belong to.
    """
    known = list(others)
    verdicts = []
    for deb in debs:
        if not deb.control["Package"].endswith(DEBUG_SUFFIX):
            faults = [
                f"{path} is also in {other.control['Package']} {other.control['Version']}"
                for other in known
                if (shared := deb.paths & other.paths) and deb.met_with(other)
                for path in sorted(shared)
            ]
            passed = f"{len(deb.paths)} files"
            verdicts.append(judged("file-conflicts", deb.control["Package"], faults, FIX, passed=passed))
    return accept(recipe, verdicts) if recipe else tuple(verdicts)
