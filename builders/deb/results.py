"""The output of a build job: .debs, ccache's counters, and the bill of materials that is made from them."""

from collections.abc import Sequence
from pathlib import Path

from builders.errors import PackageError
from builders.host.files import write_whole
from builders.model.bundled import BundledPackage, read_bundled
from builders.model.packages import DebFile
from builders.model.recipe import Recipe
from builders.model.source_tree import FetchedSource
from builders.model.target import Target

BUNDLED, RUNTIME = "bundled.tsv", "runtime.tsv"
"""Lists of Debian packages, written by portable_driver.py: those in a runtime, those in the runtime of a repack."""

WARNINGS = "warnings.txt"
"""Sentences for the user, written by steps of the job."""


def collect(output: Path) -> tuple[DebFile, ...]:
    """Return the .debs that a build job left, sorted by name; raises PackageError if there is none."""
    from builders.model.deb_file import read_deb  # slow to import, and only a real build leaves any

    found = tuple(read_deb(path) for path in sorted(output.glob("*.deb")))
    if not found:
        raise PackageError(
            "the build made no package",
            f"no .deb in {output}",
            "read the end of the build's log; the recipe's packages: must name its files",
        )
    return found


def cache_hits(output: Path) -> tuple[int, int]:
    """Return ccache's hits and its hits plus misses during a build (counters as in ``ccache --print-stats``)."""
    counts = dict(line.split("\t")[:2] for line in (output / "ccache.tsv").read_text().splitlines() if "\t" in line)
    hits = int(counts.get("direct_cache_hit", 0)) + int(counts.get("preprocessed_cache_hit", 0))
    return hits, hits + int(counts.get("cache_miss", 0))


def warnings(output: Path) -> list[str]:
    """Return the sentences that a build job left for the run to show."""
    path = output / WARNINGS
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def write_sbom(
    folder: Path,
    recipe: Recipe,
    target: Target,
    *,
    debs: Sequence[DebFile],
    sources: Sequence[FetchedSource],
    root_packages: Sequence[str],
) -> None:
    """Write the bill of materials of one recipe's build as ``folder/<recipe>.cdx.json``; raises DiskError."""
    from builders.deb.sbom import sbom  # slow to import, and only a real build needs it

    path = folder / f"{recipe.name}.cdx.json"
    bundled = _bundled(folder)
    write_whole(path, sbom(recipe, target, debs=debs, sources=sources, root_packages=root_packages, bundled=bundled))


def _bundled(folder: Path) -> list[BundledPackage]:
    """Return the Debian packages that a runtime bundles, or that the runtime of portable packages bundles."""
    found = [folder / name for name in (BUNDLED, RUNTIME) if (folder / name).is_file()]
    return [package for path in found for package in read_bundled(path)]
