"""What it takes to enter a job's root, as plain data that can be written down and entered again."""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from builders.engines.chroot import overlay
from builders.engines.relay.handover import VARIABLE

CANNOT_ENTER = 119
"""The status that entering a root ends with where it fails, after it said `UNENTERED` and why."""
UNENTERED = "reef: the root cannot be entered: "
UNENTERED_FIX = f"see ./inv doctor; if the disk of artifacts/ is the cause, {overlay.ELSEWHERE}"


@dataclass(frozen=True)
class Overlay:
    """Folders lying over each other (``layers``, the lowest first), changes going to ``scratch``.

    ``destination`` is absolute inside the root, ``/`` for the root itself.
    """

    destination: str
    layers: list[str]
    scratch: str


@dataclass(frozen=True)
class Entry:
    """Everything needed to enter a job's root; plain data, so that it can be written down and entered again."""

    mountpoint: str
    overlays: list[Overlay]
    binds: dict[str, str]
    """Destination inside the root -> folder of the machine."""
    network: bool
    environment: dict[str, str]
    workdir: str
    script: str
    relay: int | None = None
    """The open file through which the relay to a ccache storage is handed its socket; ends with the run."""

    def write(self, path: Path) -> None:
        """Write the entry as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1))

    def elsewhere(self, moved: Mapping[str, str]) -> "Entry":
        """Return the entry with the folders that are keys of ``moved`` at the places that are their values.

        It is entered when the run is over, so nothing of the relay to a ccache storage is left in it.
        """

        def new(path: str) -> str:
            for before, after in moved.items():
                if Path(path).is_relative_to(before):
                    return str(Path(after) / Path(path).relative_to(before))
            return path

        return replace(
            self,
            mountpoint=new(self.mountpoint),
            overlays=[
                Overlay(o.destination, [new(layer) for layer in o.layers], new(o.scratch)) for o in self.overlays
            ],
            binds={destination: new(folder) for destination, folder in self.binds.items()},
            environment={name: value for name, value in self.environment.items() if name != VARIABLE},
            relay=None,
        )

    @staticmethod
    def read(path: Path) -> "Entry":
        """Read what `write` wrote."""
        data = json.loads(path.read_text())
        data["overlays"] = [Overlay(**overlay) for overlay in data["overlays"]]
        return Entry(**data)


def enter_words(entry: Path) -> list[str]:
    """Return the argv words that enter the root described by the file ``entry``, inside its namespaces."""
    return [sys.executable, "-m", "builders.engines.chroot.enter", str(entry)]
