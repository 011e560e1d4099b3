"""The Debian source package of a recipe with ``keep_source``: its inputs beside the tree, and its files."""

import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path

from builders.deb.templates import extended
from builders.errors import PackageError
from builders.model.packages import SourcePackage
from builders.model.recipe import Recipe

NOT_BUILT_FROM = ("recipe.yml", "upstream.yml", "checks", "gates")
"""Parts of a recipe's folder that the build does not see; recipe.yml reaches it as the files of ``debian/``."""
KEPT_RECIPE = "reef/recipe"
"""The recipe's files in a kept source, below ``debian/``: whoever builds it elsewhere has no recipe's folder."""


def built_from(folder: Path) -> Iterator[Path]:
    """Yield the files of a recipe's folder that its build may use, sorted."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and name.parts[0] not in NOT_BUILT_FROM and "__pycache__" not in name.parts:
            yield path


def copy_recipe(recipe: Recipe, folder: Path) -> None:
    """Copy each file of `built_from` into ``folder/debian``, as mode 0755 if its owner may execute it, else 0644."""
    for path in built_from(recipe.folder):
        copy = folder / "debian" / KEPT_RECIPE / path.relative_to(recipe.folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        copy.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def patch_header(recipe: Recipe) -> str:
    """Return the header of the patch that holds the recipe's edits (DEP 3)."""
    reasons = [
        textwrap.fill(f"{edit.file}: {' '.join(edit.reason.split())}", 78, break_long_words=False)
        for edit in recipe.edits
    ]
    return "Description: edits of the recipe, made by Reef\n" + extended("\n\n".join(reasons)) + "\n"


def collect_source(output: Path) -> SourcePackage:
    """Return the source package that a build job left; raises PackageError if it is missing or incomplete."""
    from builders.model.deb_file import read_dsc  # slow to import, and only a real build leaves one

    found = sorted(output.glob("*.dsc"))
    if len(found) != 1:
        raise PackageError(
            f"the build made {len(found)} source packages, expected 1",
            f"in {output}",
            "read the build's log: dpkg-source makes the package at its start",
        )
    return read_dsc(found[0])
