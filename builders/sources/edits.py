"""Checked edits: each regular expression must match as often as the recipe expects."""

import os
import re
from pathlib import Path

from builders.errors import SourceError
from builders.host.files import disk_errors
from builders.model.recipe import Edit, Recipe
from builders.sources.tree import file_pieces


def apply_edits(recipe: Recipe, tree: Path) -> None:
    """Apply the recipe's edits to ``tree`` in order; files keep their modes.

    ``^`` and ``$`` match at each line; the replacement can contain groups (``\\1``). Raises one SourceError for all
    edits that do not fit, with the file, the expression, the number of matches found and expected, and the reason.
    """
    faults = [fault for edit in recipe.edits if (fault := _apply(edit, tree))]
    if faults:
        raise SourceError(
            f"{len(faults)} of {len(recipe.edits)} edits of {recipe.name} do not fit its sources",
            "\n".join(faults),
            "compare with the file in the new sources: change find: or count: in the recipe, or remove the edit if its "
            "reason no longer applies",
        )


def _apply(edit: Edit, tree: Path) -> str | None:
    """Apply an edit, or return why it cannot be applied."""
    path = (tree / edit.file).resolve()  # a link inside the tree is followed and stays a link
    if not path.is_relative_to(tree.resolve()) or not path.is_file():
        return _misfit(edit, "no such file in the tree")
    with disk_errors(path):
        before = b"".join(file_pieces(path)).decode("utf-8", "surrogateescape")
    try:
        after, found = re.compile(edit.find, re.MULTILINE).subn(edit.replace, before)
    except (re.error, IndexError) as error:
        return _misfit(edit, f"replace: {edit.replace!r} is not a replacement: {error}")
    if found != edit.count:
        return _misfit(edit, f"matches: found {found}, expected {edit.count}")
    with disk_errors(path):
        mode = path.stat().st_mode
        # A new file instead of a write into the old file, which may have other names (hard links).
        fresh = path.with_name(f".{path.name}.edited")
        fresh.write_bytes(after.encode("utf-8", "surrogateescape"))
        fresh.chmod(mode)
        os.replace(fresh, path)
    return None


def _misfit(edit: Edit, problem: str) -> str:
    return f"  {edit.file}: {problem}\n    find: {edit.find!r}\n    reason: {edit.reason}"
