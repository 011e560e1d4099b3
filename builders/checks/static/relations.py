"""``depends``: relations between packages are true on a board, and what conflicts with what."""

import re
from collections.abc import Iterator, Mapping
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
        """Tell whether ``version`` satisfies the relation's restriction, in dpkg's order of versions."""
        if self.operator is None or self.version is None:
            return True
        left, right = Version(version), Version(self.version)
        return {
            "<<": left < right, "<=": left <= right, "=": left == right, ">=": left >= right, ">>": left > right,
        }[self.operator]  # fmt: skip


def relations(control: Mapping[str, str], *fields: str) -> list[Relation]:
    """Return every relation of the named fields, alternatives included; parts that are not one are left out."""
    found = (_parsed(part) for field in fields for part in _parts(control.get(field, "")))
    return [relation for relation in found if relation]


def conflict(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Tell whether two packages, given by their control fields, cannot be installed together (Policy 7.3, 7.4)."""
    return _refuses(one, other) or _refuses(other, one)


def check_depends(contents: Contents, target: Target) -> Verdict:
    """Judge a package's relations: Depends is there where libraries are needed, and everything named is installable.

    Names of cross packages (``libc6-arm64-cross``), of another CPU (``libc6:amd64``) and substitution variables that
    were never filled in (deb-substvars(5)) are refused.
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
    linked = [elf for elf in contents.elves if elf.needed]
    if linked and not (control.get("Depends", "").strip() or control.get("Pre-Depends", "").strip()):
        yield f"Depends is empty, but {linked[0].path} needs {', '.join(linked[0].needed)}"
    for field, value in control.items():
        if "${" in value and field != "Description":
            yield f"{field}: a substitution variable was not filled in: {value.strip()}"
    for field in FIELDS:
        for part in _parts(control.get(field, "")):
            if "${" not in part:
                yield from (f"{field}: {part}: {why}" for why in _wrong(part, architecture))


def _wrong(part: str, architecture: Architecture) -> Iterator[str]:
    relation = _parsed(part)
    if relation is None:
        yield "not a relation as Debian Policy 7.1 has it"
        return
    if CROSS.search(relation.name):
        yield "a cross package, which no board can install"
    if relation.architecture not in (None, "any", architecture.debian):
        yield f"names the architecture {relation.architecture}, the board's is {architecture.debian}"


def _parts(value: str) -> list[str]:
    return [part for text in re.split(r"[,|]", value) if (part := " ".join(text.split()))]


def _parsed(part: str) -> Relation | None:
    match = RELATION.match(part)
    return Relation(match["name"], match["architecture"], match["operator"], match["version"]) if match else None


def _refuses(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """A relation without a version also meets what ``other`` provides; one with a version, versioned provides only."""
    for relation in relations(one, "Conflicts", "Breaks"):
        if relation.name == other["Package"] and relation.holds_for(other["Version"]):
            return True
        for provided in relations(other, "Provides"):
            if relation.name == provided.name and (
                relation.version is None or (provided.version is not None and relation.holds_for(provided.version))
            ):
                return True
    return False
