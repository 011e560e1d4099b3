"""What it takes to enter a job's root, as plain data that can be written down and entered again."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


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

    def write(self, path: Path) -> None:
        """Write the entry as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1))

    @staticmethod
    def read(path: Path) -> "Entry":
        """Read what `write` wrote."""
        data = json.loads(path.read_text())
        data["overlays"] = [Overlay(**overlay) for overlay in data["overlays"]]
        return Entry(**data)
