"""The document that determines a source tree's content: the plan compares it, and its digest names the tree."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import assert_never

from builders.model.recipe import Archive, DebianPool, Edit, Git, Local, PythonWheel, Recipe, SingleFile, Source, Way
from builders.sources.exclusion import Exclusion
from builders.sources.kinds.folder import tree_digest

LAYOUT = 1
"""Raised when the same document results in another tree: modes, times, the order of unpacking."""


def describe(recipe: Recipe) -> dict[str, object]:
    """Return all that determines the content of the recipe's tree, ready for JSON, without using a network.

    It contains digests rather than URLs, and no reasons of edits. The digest of a local folder is that of its files, or
    ``absent`` if the folder does not exist. Raises SourceError if it cannot be read.
    """
    return {
        "layout": LAYOUT,
        "sources": [_source(source, recipe.folder) for source in recipe.sources],
        "edits": [_edit(edit) for edit in recipe.edits],
    }


def digest_of(document: dict[str, object]) -> str:
    """Return the sha256 (hex) of a document's canonical JSON: sorted keys, no spaces, UTF-8."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def way_digest(way: Way, folder: Path, excluded: Sequence[str] = ()) -> str:
    """Return ``sha256:<hex>``, ``git:<commit>`` or ``tree:<hex>`` of a way; ``folder`` is the recipe's.

    Of a folder, what ``excluded`` names does not count.
    """
    match way:
        case Archive() | DebianPool() | SingleFile() | PythonWheel():
            return f"sha256:{way.sha256}"
        case Git():
            return f"git:{way.commit}"
        case Local():
            return tree_digest(folder / way.path, way.exclude, Exclusion(excluded))
        case _:
            assert_never(way)


def kind_of(way: Way) -> str:
    """Return the recipe's key for this way."""
    match way:
        case Archive():
            return "archive"
        case SingleFile():
            return "file"
        case DebianPool():
            return "debian"
        case PythonWheel():
            return "python"
        case Git():
            return "git"
        case Local():
            return "local"
        case _:
            assert_never(way)


def _source(source: Source, folder: Path) -> dict[str, object]:
    document: dict[str, object] = {
        "name": source.name,
        **_way(source.way, folder, source.excluded),
        "unpack": source.unpack,
        "alternatives": [_way(kinds.way, folder, source.excluded) for kinds in source.alternatives],
    }
    # Keys that a recipe does not use are absent: its builds stay up to date when Reef learns a key.
    return document | ({"exclude": source.excluded} if source.exclude else {})


def _way(way: Way, folder: Path, excluded: Sequence[str]) -> dict[str, object]:
    document: dict[str, object] = {"kind": kind_of(way), "digest": way_digest(way, folder, excluded)}
    if isinstance(way, Git) and way.submodules:
        document["submodules"] = True
    if isinstance(way, Archive | DebianPool):
        document["strip"] = way.strip
    if isinstance(way, SingleFile):
        document |= {"name": way.name, "executable": way.executable}
    return document


def _edit(edit: Edit) -> dict[str, object]:
    return {"file": edit.file, "find": edit.find, "replace": edit.replace, "count": edit.count}


def manifest_path(tree: Path) -> Path:
    """Return the path of a tree's manifest. It is written after the tree, and must be removed before the tree."""
    return Path(f"{tree}.json")
