"""Control data of packages as text (Debian Policy 5.1, deb822(5)): strict reading, and dpkg's order of fields."""

import hashlib
import re
from collections.abc import Iterable, Mapping

from builders.model.packages import SOURCE

# dpkg's own order for package indices (Dpkg::Control::FieldsCore, CTRL_INDEX_PKG); others follow by name.
BEFORE = (
    "Package", "Package-Type", "Source", "Version", "Kernel-Version", "Built-For-Profiles", "Auto-Built-Package",
    "Architecture", "Subarchitecture", "Installer-Menu-Item", "Build-Essential", "Essential", "Protected", "Origin",
    "Bugs", "Maintainer", "Installed-Size", "Pre-Depends", "Depends", "Recommends", "Suggests", "Enhances",
    "Conflicts", "Breaks", "Replaces", "Provides", "Built-Using", "Static-Built-Using",
)  # fmt: skip
ADDED = ("Filename", "Size", "SHA256")
"""Fields that the index adds to those of the control file."""
AFTER = ("Section", "Priority", "Multi-Arch", "Homepage", "Description", "Description-md5", "Tag", "Task")
PHASE = "Phased-Update-Percentage"
"""Percentage of boards that may take a version when they upgrade; all where the field is absent."""
RANK = {name: number for number, name in enumerate((*BEFORE, *ADDED, *AFTER))}
RESERVED = frozenset(name.lower() for name in (*ADDED, "MD5sum", "SHA1", "SHA512", "Description-md5", PHASE))

FIELD = re.compile(r"([A-Za-z][!-9;-~]*):[ \t]*(.*)")
SECTION = re.compile(r"[A-Za-z0-9+._-]+(/[A-Za-z0-9+._-]+)?")
"""A section, alone or after its archive area. Commas separate the packages of a path in a Contents index."""
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class BadControl(ValueError):
    """The text is not a single well-formed stanza."""


def fields_of(content: bytes) -> dict[str, str]:
    """Return the fields of a .deb's control file in their order, values with their continuation lines.

    Raises BadControl for a second stanza, a repeated or nameless field, bytes that are not UTF-8, control
    characters, a missing Package, Version, Architecture, Maintainer or Description (Debian Policy 5.3), the
    architecture of source packages, a field that only the archive may set, or an invalid Section (2.4).
    """
    fields = parsed(content)
    for name in ("Package", "Version", "Architecture", "Maintainer", "Description"):
        if not fields.get(name):
            raise BadControl(f"the field {name} is missing")
    if fields["Architecture"] == SOURCE:
        raise BadControl(f"the architecture {SOURCE} is for source packages")
    taken = sorted(name for name in fields if name.lower() in RESERVED)
    if taken:
        raise BadControl(f"only the archive may set the field {taken[0]}")
    if (section := fields.get("Section")) and not SECTION.fullmatch(section):
        raise BadControl(f"invalid section: {section[:80]!r}")
    return fields


def parsed(content: bytes) -> dict[str, str]:
    """Return the fields of one stanza in their order; raises BadControl where it is not one well-formed stanza."""
    return _parsed(_text(content))


def stanza(fields: Mapping[str, str], added: Iterable[tuple[str, str]]) -> bytes:
    """Return a package's entry of a Packages file, without the empty line after it.

    It contains only the first line of a description of several lines, with the digest by which apt finds the whole
    description in Translation-en.
    """
    whole = {**fields, **dict(added)}
    summary, newline, _ = fields.get("Description", "").partition("\n")
    if newline:
        whole |= {"Description": summary, "Description-md5": description_md5(fields["Description"].encode()).decode()}
    names = sorted(whole, key=lambda name: (RANK.get(name, len(RANK)), name))
    return written((name, whole[name]) for name in names)


def written(fields: Iterable[tuple[str, str]]) -> bytes:
    """Return fields as the lines of one stanza."""
    return "".join(f"{name}:{_value(value)}\n" for name, value in fields).encode()


def description_md5(description: bytes) -> bytes:
    """Return the digest by which Packages and Translation-en name a description (Debian RepositoryFormat)."""
    return hashlib.md5(description + b"\n", usedforsecurity=False).hexdigest().encode()


def _value(value: str) -> str:
    return value if value.startswith("\n") else f" {value}"


def _text(content: bytes) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise BadControl(f"not UTF-8: {error}") from error
    if UNPRINTABLE.search(text):
        raise BadControl("it contains a control character")
    return text.rstrip("\n")


def _parsed(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    seen: set[str] = set()
    last = ""
    for line in text.split("\n"):
        if line.startswith((" ", "\t")) and last and line.strip():
            fields[last] += f"\n{line.rstrip()}"
        elif match := FIELD.fullmatch(line):
            last = match[1]
            if last.lower() in seen:
                raise BadControl(f"duplicate field {last}")
            seen.add(last.lower())
            fields[last] = match[2].rstrip()
        else:
            raise BadControl(f"neither a field nor a continuation line: {line[:80]!r}")
    return fields
