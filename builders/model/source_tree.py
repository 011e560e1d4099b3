"""What the sources stage hands to a build."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FetchedSource:
    """One source as it was really obtained, for the SBOM: ``location`` is the URL or path that answered,
    ``digest`` is ``sha256:<hex>``, ``git:<commit>`` or ``tree:<hex>``."""

    name: str
    kind: str
    location: str
    digest: str


@dataclass(frozen=True)
class SourceTree:
    """A recipe's sources, unpacked and edited under ``path``; read-only for everyone after.

    ``digest`` identifies the wanted content (sources, edits, layout), not which mirror served it. ``original`` is the
    same tree without the edits, where the recipe keeps its source package.
    """

    recipe: str
    path: Path
    digest: str
    sources: tuple[FetchedSource, ...]
    original: Path | None = None
