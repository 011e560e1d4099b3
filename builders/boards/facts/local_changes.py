"""Changes of a board's owner to what packages brought: edited and missing files, and pins of failed rollouts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from builders.boards.facts.board_facts import BoardFacts

VERIFIED = re.compile(r"(\S+) (missing|[?.A-Z0-9]{9}) +(?:([a-z]) +)?(/.*?)(?: \(.*\))?")
"""A package's name and a line as dpkg(1), --verify-format, has it: ``??5?????? c /etc/demo.conf``."""


@dataclass(frozen=True)
class ChangedFile:
    """A file that is missing, or another than its package brought; the owner may edit a ``conffile``."""

    package: str
    path: str
    conffile: bool
    missing: bool

    def __str__(self) -> str:
        if self.missing:
            return f"{self.path} of {self.package} is missing"
        return f"{self.path} of {self.package} {'was edited' if self.conffile else 'differs from the package'}"


@dataclass(frozen=True)
class Pin:
    """A file of apt's preferences that keeps a version away, which a rollout went back from."""

    path: str
    package: str
    version: str
    reason: str

    def __str__(self) -> str:
        return f"{self.package} {self.version} is kept away: {self.reason}"

    @property
    def remedy(self) -> str:
        """The advice on how to remove it."""
        return f"a rollout that installs this version removes the pin; by hand: sudo rm {self.path}"


def changed_files(facts: BoardFacts) -> list[ChangedFile]:
    """Return the files that ``dpkg -V`` named, in its order."""
    matches = (VERIFIED.fullmatch(line.rstrip()) for line in facts.values.get("changed", ()))
    return [
        ChangedFile(match[1], match[4], match[3] == "c", match[2] == "missing") for match in matches if match
    ]  # fmt: skip


def pins(facts: BoardFacts) -> list[Pin]:
    """Return the pins of failed rollouts."""
    words: Sequence[list[str]] = [line.split(" ", 3) for line in facts.values.get("pinned", ())]
    return [Pin(path, package, version, reason) for path, package, version, reason in map(_four, words)]


def _four(words: list[str]) -> tuple[str, str, str, str]:
    path, package, version, reason = [*words, "", "", "", ""][:4]
    return path, package, version, reason.strip()
