"""Facts of a board, as ``scripts/probe.sh`` prints them: lines of a name, a tab and a value."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from builders.boards.connection import BoardError


@dataclass(frozen=True)
class InstalledPackage:
    """A package that dpkg knows on a board; ``status`` is dpkg's abbreviation, as ``ii``."""

    name: str
    version: str
    architecture: str
    status: str
    automatic: bool = False

    @property
    def whole(self) -> bool:
        """Whether it is installed and configured; ``hi`` is held and so."""
        return self.status[1:2] == "i"


@dataclass(frozen=True)
class Disk:
    """The room on the file system of a folder: free bytes and inodes (None: it has no limit), and its mount point."""

    free_bytes: int
    free_inodes: int | None
    mount: str


@dataclass(frozen=True)
class BoardFacts:
    """All facts of a board; it was asked and answered at these moments of this machine, in seconds since 1970."""

    values: Mapping[str, Sequence[str]]
    asked: float
    answered: float

    def document(self) -> dict[str, Any]:
        """Return the facts for a JSON file; `read` reads them again."""
        return {"asked": self.asked, "answered": self.answered, "facts": {n: list(v) for n, v in self.values.items()}}

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "BoardFacts":
        """Return the facts of a `document`; raises KeyError, TypeError, ValueError or AttributeError for others."""
        values = {str(name): [str(value) for value in values] for name, values in document["facts"].items()}
        return cls(values, float(document["asked"]), float(document["answered"]))

    def text(self, name: str) -> str:
        """Return a fact, an empty text if the board does not know it."""
        return (self.values.get(name) or [""])[0].strip()

    def words(self, name: str) -> tuple[str, ...]:
        """Return the words of a fact."""
        return tuple(self.text(name).split())

    def number(self, name: str) -> int | None:
        """Return a fact that is a whole number, None if it is unknown."""
        text = self.text(name)
        return int(text) if text.isdigit() else None

    @property
    def architecture(self) -> str:
        """The architecture of the board's packages: of a 32-bit system on a 64-bit kernel, armhf."""
        return self.text("architecture")

    @property
    def clock_offset_s(self) -> float:
        """Seconds by which the board's clock is certainly ahead of this machine's; negative: behind."""
        clock = self.number("time") or 0
        return max(clock - self.answered, 0) + min(clock + 1 - self.asked, 0)

    @cached_property
    def packages(self) -> dict[str, InstalledPackage]:
        """The packages of the board's own architecture that were asked for, by name; removed packages included."""
        automatic = {name.partition(":")[0] for name in self.words("automatic")}
        found = {}
        for line in self.values.get("package", ()):
            name, version, architecture, status = [*line.split(" "), "", "", ""][:4]
            if architecture in (self.architecture, "all"):
                found[name] = InstalledPackage(name, version, architecture, status, name in automatic)
        return found

    @property
    def versions(self) -> dict[str, str]:
        """The version of each package that is installed and configured."""
        return {package.name: package.version for package in self.packages.values() if package.whole}

    @property
    def held(self) -> tuple[str, ...]:
        """Packages that the board's owner holds (apt-mark(8))."""
        return tuple(name.partition(":")[0] for name in self.words("held"))

    @property
    def interrupted(self) -> bool:
        """Whether an earlier run of dpkg was interrupted."""
        return bool(self.number("journal")) or bool(self.text("audit"))

    @property
    def services(self) -> dict[str, str]:
        """The state of each service that was asked for and is installed, as ``active``."""
        found = {}
        for line in self.values.get("service", ()):
            name, *words = line.split()
            properties = dict(word.split("=", 1) for word in words if "=" in word)
            if properties.get("LoadState") == "loaded":
                found[name] = properties.get("ActiveState", "")
        return found

    @property
    def files(self) -> dict[str, str]:
        """The SHA-256 (hex) of each file that was asked for and exists, by its path."""
        lines = (line.split(None, 1) for line in self.values.get("file", ()) if line.strip())
        return {path: digest for digest, path in lines}

    @property
    def receipts(self) -> dict[str, str]:
        """The state of each rollout that the board remembers, by the rollout's stamp; the newest is the last."""
        return dict(sorted(line.split(" ", 1) for line in self.values.get("receipt", ()) if " " in line))

    def disk(self, name: str) -> Disk | None:
        """Return the room of a file system: ``root``, ``usr``, ``var`` or ``archives``."""
        words = self.text(f"disk_{name}").split(" ", 2)
        if len(words) != 3 or not words[0].isdigit():
            return None
        return Disk(int(words[0]) * 1024, int(words[1]) if words[1].isdigit() else None, words[2])


def parse_facts(board: str, output: str, asked: float, answered: float) -> BoardFacts:
    """Return the facts that a probe printed; raises BoardError if its output is incomplete."""
    values: dict[str, list[str]] = defaultdict(list)
    for line in output.splitlines():
        name, tab, value = line.partition("\t")
        if tab:
            values[name].append(value)
    if "end" not in values:
        raise BoardError(
            f"{board}: its answer is incomplete", output[-2000:], "look at the board; its disk or memory may be broken"
        )
    return BoardFacts(dict(values), asked, answered)
