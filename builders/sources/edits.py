"""Checked edits: each regular expression must match exactly as often as the recipe says."""

import os
import re
from pathlib import Path

from builders.errors import SourceError
from builders.host.files import disk_errors
from builders.model.recipe import Edit, Recipe
from builders.sources.tree import file_pieces


def apply_edits(recipe: Recipe, tree: Path) -> None:
    """Apply the recipe's edits to ``tree`` in order; files keep their modes.

    ``^`` and ``$`` match at each line; the replacement may name groups (``\\1``). Raises one SourceError that tells
    every edit which does not fit: file, expression, matches found and wanted, and what the edit is for.
    """
    faults = [fault for edit in recipe.edits if (fault := _apply(edit, tree))]
    if faults:
        raise SourceError(
            f"{len(faults)} of {len(recipe.edits)} edits of {recipe.name} do not fit its sources",
            "\n".join(faults),
            "look at the file in the new sources: change find: or count: in the recipe, or drop the edit where its "
            "reason is gone",
        )


def _apply(edit: Edit, tree: Path) -> str | None:
    """Apply one edit, or return what keeps it from being applied."""
    path = (tree / edit.file).resolve()  # a link inside the tree is followed, so that it stays a link
    if not path.is_relative_to(tree.resolve()) or not path.is_file():
        return _told(edit, "no such file in the tree")
    with disk_errors(path):
        before = b"".join(file_pieces(path)).decode("utf-8", "surrogateescape")
    try:
        after, found = re.compile(edit.find, re.MULTILINE).subn(edit.replace, before)
    except (re.error, IndexError) as error:
        return _told(edit, f"replace: {edit.replace!r} is not a replacement: {error}")
    if found != edit.count:
        return _told(edit, f"matches: found {found}, wanted {edit.count}")
    with disk_errors(path):
        mode = path.stat().st_mode
        # A new file in place of the old, never a write into it: another name of it keeps its content.
        fresh = path.with_name(f".{path.name}.edited")
        fresh.write_bytes(after.encode("utf-8", "surrogateescape"))
        fresh.chmod(mode)
        os.replace(fresh, path)
    return None


def _told(edit: Edit, trouble: str) -> str:
    return f"  {edit.file}: {trouble}\n    find: {edit.find!r}\n    reason: {edit.reason}"
