"""The description of a job's root as plain data, which can be written to a file and entered again."""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from builders.engines.chroot import overlay
from builders.engines.relay.handover import VARIABLE

CANNOT_ENTER = 119
"""The exit status of `enter` if a root cannot be entered; `UNENTERED` and the reason are printed before."""
UNENTERED = "reef: the root cannot be entered: "
DOCTOR = "./inv doctor shows what this machine lacks"


def unentered_fix(reason: str) -> str:
    """Return the advice on a root that cannot be entered; only an overlay may fail because of the disk."""
    return f"{DOCTOR}; if the disk of artifacts/ is the cause, {overlay.ELSEWHERE}" if "overlay" in reason else DOCTOR


@dataclass(frozen=True)
class Overlay:
    """An overlay of the folders ``layers`` (the lowest first); changes go to ``scratch``.

    ``destination`` is absolute inside the root, ``/`` for the root itself.
    """

    destination: str
    layers: list[str]
    scratch: str


@dataclass(frozen=True)
class ChrootEntry:
    """Everything needed to enter a job's root."""

    mountpoint: str
    overlays: list[Overlay]
    binds: dict[str, str]
    """Folders of the machine, by destination inside the root."""
    network: bool
    environment: dict[str, str]
    workdir: str
    script: str
    mirror: str | None = None  # entries of failed roots from before the key have none
    """The setting ``debian_mirror``: with a network, apt is given this machine's access to it."""
    security: bool = True
    """Whether apt is given access to Debian's security updates as well."""
    relay: int | None = None
    """The open file through which the relay to a ccache storage receives its socket; closed with the run."""

    def write(self, path: Path) -> None:
        """Write the entry as JSON."""
        path.touch(mode=0o600)  # a mirror's URL may contain a password
        path.write_text(json.dumps(asdict(self), indent=1))

    def elsewhere(self, moved: Mapping[str, str]) -> "ChrootEntry":
        """Return the entry with folders replaced as ``moved`` maps old paths to new ones.

        It is entered after the run, so it keeps nothing of the relay to a ccache storage.
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
    def read(path: Path) -> "ChrootEntry":
        """Read an entry that `write` wrote."""
        data = json.loads(path.read_text())
        data["overlays"] = [Overlay(**overlay) for overlay in data["overlays"]]
        return ChrootEntry(**data)


def enter_words(entry: Path) -> list[str]:
    """Return the argv words that enter the root described by the file ``entry``, inside its namespaces."""
    return [sys.executable, "-m", "builders.engines.chroot.enter", str(entry)]
