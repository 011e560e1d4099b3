"""The facts of a source from which a recipe is written."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class DebianBinary:
    """A binary package that Debian makes of the source."""

    name: str
    section: str = ""
    summary: str = ""
    description: str = ""
    architecture: str = "any"


@dataclass(frozen=True)
class Rights:
    """The copyright of most files: statements, and the license's short name; ``text`` is empty for common licenses."""

    license: str = ""
    text: str = ""
    statements: tuple[str, ...] = ()


@dataclass(frozen=True)
class Discovered:
    """A source: its entries in ``sources:``, and what it says of itself. What is unknown is empty.

    ``notes`` are sentences for the user.
    """

    sources: tuple[Mapping[str, Any], ...] = ()
    origin: str = ""
    version: str = ""
    epoch: int = 0
    revision: int = 1
    summary: str = ""
    description: str = ""
    homepage: str = ""
    rights: Rights = field(default_factory=Rights)
    system: str = ""
    folder: str = ""
    """Folder of the tree that is built, if not its top."""
    options: tuple[str, ...] = ()
    """Options of the build system."""
    tools: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    binaries: tuple[DebianBinary, ...] = ()
    pure: bool = True
    """Whether a Python project has no module that is compiled."""
    notes: tuple[str, ...] = ()

    def completed(self, other: "Discovered") -> "Discovered":
        """Return these facts; those that are unknown are taken from ``other``."""
        names = (
            "version",
            "epoch",
            "summary",
            "description",
            "homepage",
            "system",
            "folder",
            "options",
            "tools",
            "libraries",
            "binaries",
        )
        found = {name: getattr(self, name) or getattr(other, name) for name in names}
        described = {binary.name: binary for binary in other.binaries}
        found["binaries"] = tuple(described.get(binary.name, binary) for binary in self.binaries) or other.binaries
        rights = self.rights if self.rights.license else other.rights
        return replace(
            self,
            **found,
            sources=(*self.sources, *other.sources),
            rights=rights,
            pure=self.pure and other.pure,
            notes=(*self.notes, *other.notes),
        )


def printable(text: str) -> str:
    """Return a text without the characters that YAML forbids (YAML 1.1, 5.1)."""
    return re.sub(r"[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", text)


def unique(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names without repetitions, in order."""
    return tuple(dict.fromkeys(names))
