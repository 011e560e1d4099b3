"""The source tree of a build, and the origin of its sources."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FetchedSource:
    """A source as it was obtained, for the SBOM.

    ``location`` is the URL or path it came from, of a Python package its package URL (``pkg:pypi/...``). ``digest`` is
    ``sha256:<hex>``, ``git:<commit>`` or ``tree:<hex>``.
    """

    name: str
    kind: str
    location: str
    digest: str


@dataclass(frozen=True)
class SourceTree:
    """A recipe's sources, unpacked and edited in ``path``, which must not change afterwards.

    ``digest`` identifies the content (sources, edits, layout), not the mirror that served it. ``original`` is the same
    tree without the edits, if the recipe keeps its source package.
    """

    recipe: str
    path: Path
    digest: str
    sources: tuple[FetchedSource, ...]
    original: Path | None = None
