"""Faults in versions and relations that dpkg refuses (lib/dpkg/parsehelp.c, fields.c; tried with 1.21.22).

apt fails on some of it too, and then for every package of the repository: on an empty relation as in ``a, , b``.
"""

import re
from collections.abc import Iterator, Mapping

MOST_EPOCH = 2**31 - 1
"""dpkg's greatest epoch."""
ANY_OF = ("Pre-Depends", "Depends", "Recommends", "Suggests", "Enhances")
"""The relations that dpkg lets have alternatives."""
ALL_OF = ("Breaks", "Conflicts", "Replaces", "Provides")
RELATION = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9+._-]*(?::[A-Za-z0-9][A-Za-z0-9-]*)?"
    r"\s*(?:\(\s*(?:<<|<=|<|=|>>|>=|>|)\s*(?P<version>[^\s()<=>]+)\s*\))?"
)


def version_fault(version: str) -> str:
    """Return what is wrong with a version, else an empty text."""
    epoch, colon, rest = version.rpartition(":") if version.count(":") < 2 else version.partition(":")
    upstream, hyphen, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    if colon and not re.fullmatch("[0-9]+", epoch):
        return "its epoch is not a number"
    if colon and int(epoch) > MOST_EPOCH:
        return f"its epoch is greater than {MOST_EPOCH}"
    if hyphen and not revision:
        return "its revision is empty"
    if not re.match("[0-9]", upstream):
        return "it does not start with a digit"
    if not re.fullmatch("[A-Za-z0-9.+~:-]+", upstream) or not re.fullmatch("[A-Za-z0-9.+~]*", revision):
        return "it has a character that versions cannot have"
    return ""


def relation_faults(values: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with the relations of a package; ``values`` are its fields by their name in small letters."""
    for field in (*ANY_OF, *ALL_OF):
        value = values.get(field.lower(), "")
        if "|" in value and field in ALL_OF:
            yield f"{field}: alternatives are not possible in this field"
        for part in re.split("[,|]", value) if value.strip() else ():
            if fault := _fault(part.strip()):
                yield f"{field}: {fault}"


def _fault(part: str) -> str:
    if not part:
        return "an empty relation: two commas or bars in a row, or one at an end"
    match = RELATION.fullmatch(part)
    if match is None:
        return f"{part!r} is no relation"
    fault = version_fault(match["version"]) if match["version"] else ""
    return f"{part!r}: the version: {fault}" if fault else ""
