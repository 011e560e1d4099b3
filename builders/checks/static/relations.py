"""``depends``: relations between packages hold on a board. Also conflicts between packages."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from debian.debian_support import Version

from builders.checks.static.contents import Contents
from builders.checks.verdict import judged
from builders.model.arch import Architecture
from builders.model.packages import Verdict
from builders.model.target import Target

FIELDS = (
    "Pre-Depends", "Depends", "Recommends", "Suggests", "Enhances", "Breaks", "Conflicts", "Replaces", "Provides",
)  # fmt: skip
"""The relation fields of binary packages (Debian Policy 7.2 to 7.6). Built-Using names sources, not packages."""
RELATION = re.compile(
    r"^(?P<name>[a-z0-9][a-z0-9+.-]+)(:(?P<architecture>[a-z0-9-]+))?"
    r"\s*(\(\s*(?P<operator><<|<=|=|>=|>>)\s*(?P<version>\S+?)\s*\))?$"
)
ALL_OF = ("Breaks", "Conflicts", "Replaces", "Provides")
"""The fields without alternatives (deb-control(5)): dpkg refuses a package that has some."""
CROSS = re.compile(r"-cross(-base)?$|^crossbuild-")
FIX = "correct the relation in the recipe, or let ${shlibs:Depends} compute it for the target's architecture"


@dataclass(frozen=True)
class Relation:
    """One alternative of a relation field (Debian Policy 7.1)."""

    name: str
    architecture: str | None = None
    operator: str | None = None
    version: str | None = None

    def holds_for(self, version: str) -> bool:
        """Whether ``version`` satisfies the relation's restriction, in dpkg's order of versions."""
        if self.operator is None or self.version is None:
            return True
        left, right = Version(version), Version(self.version)
        return {
            "<<": left < right, "<=": left <= right, "=": left == right, ">=": left >= right, ">>": left > right,
        }[self.operator]  # fmt: skip


def relations(control: Mapping[str, str], *fields: str) -> list[Relation]:
    """Return every relation of the named fields, alternatives included, without parts that are not valid."""
    found = (_parsed(part) for field in fields for part in _parts(control.get(field, "")))
    return [relation for relation in found if relation]


def conflict(
    first: Mapping[str, str], second: Mapping[str, str], fields: Sequence[str] = ("Conflicts", "Breaks")
) -> bool:
    """Whether two packages, given by their control fields, cannot be installed together (Policy 7.3, 7.4)."""
    return _refuses(first, second, fields) or _refuses(second, first, fields)


def check_depends(contents: Contents, target: Target) -> Verdict:
    """Judge a package's relations: needed libraries have a Depends, and all named packages can be installed.

    Names of cross packages (``libc6-arm64-cross``), names with another CPU (``libc6:amd64``) and substitution
    variables without a value (deb-substvars(5)) are faults.
    """
    return judged(
        "depends",
        contents.deb.package,
        _faults(contents, target.architecture),
        FIX,
        passed=" ".join(contents.control.get("Depends", "").split()),
    )


def _faults(contents: Contents, architecture: Architecture) -> Iterator[str]:
    control = contents.control
    own = {elf.path.rpartition("/")[2] for elf in contents.elves}
    linked = [elf for elf in contents.elves if not own.issuperset(elf.needed)]
    if linked and not (control.get("Depends", "").strip() or control.get("Pre-Depends", "").strip()):
        yield f"Depends is empty, but {linked[0].path} needs {', '.join(linked[0].needed)}"
    for field, value in control.items():
        if "${" in value and field != "Description":
            yield f"{field}: a substitution variable without a value: {value.strip()}"
    for field in FIELDS:
        if field in ALL_OF and "|" in control.get(field, ""):
            yield f"{field}: alternatives, which dpkg refuses in this field"
        for part in _parts(control.get(field, "")):
            if "${" not in part:
                yield from (f"{field}: {part}: {why}" for why in _wrong(part, architecture))


def _wrong(part: str, architecture: Architecture) -> Iterator[str]:
    if not part:
        yield "an empty relation, at which apt fails for the whole repository"
        return
    relation = _parsed(part)
    if relation is None:
        yield "not a relation by Debian Policy 7.1"
        return
    if CROSS.search(relation.name):
        yield "a cross package, which no board can install"
    if relation.architecture not in (None, "any", architecture.debian):
        yield f"names the architecture {relation.architecture}, the board's is {architecture.debian}"


def _parts(value: str) -> list[str]:
    """Return the relations of a field, also empty ones; none of an empty field, which is valid."""
    return [" ".join(text.split()) for text in re.split(r"[,|]", value)] if value.strip() else []


def _parsed(part: str) -> Relation | None:
    match = RELATION.match(part)
    return Relation(match["name"], match["architecture"], match["operator"], match["version"]) if match else None


def _refuses(package: Mapping[str, str], other: Mapping[str, str], fields: Sequence[str]) -> bool:
    """Whether ``package`` excludes ``other``, by its name or, with a version only by a versioned one, its Provides."""
    for relation in relations(package, *fields):
        if relation.name == other["Package"] and relation.holds_for(other["Version"]):
            return True
        for provided in relations(other, "Provides"):
            if relation.name == provided.name and (
                relation.version is None or (provided.version is not None and relation.holds_for(provided.version))
            ):
                return True
    return False
