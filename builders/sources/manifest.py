"""The document that determines a source tree's content: the plan compares it, and its digest names the tree."""

import hashlib
import json
from pathlib import Path
from typing import assert_never

from builders.model.recipe import Archive, DebianPool, Edit, Git, Local, PythonWheel, Recipe, SingleFile, Source, Way
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


def way_digest(way: Way, folder: Path) -> str:
    """Return ``sha256:<hex>``, ``git:<commit>`` or ``tree:<hex>`` of a way; ``folder`` is the recipe's."""
    match way:
        case Archive() | DebianPool() | SingleFile() | PythonWheel():
            return f"sha256:{way.sha256}"
        case Git():
            return f"git:{way.commit}"
        case Local():
            return tree_digest(folder / way.path, way.exclude)
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
    return {
        "name": source.name,
        **_way(source.way, folder),
        "unpack": source.unpack,
        "alternatives": [_way(kinds.way, folder) for kinds in source.alternatives],
    }


def _way(way: Way, folder: Path) -> dict[str, object]:
    document: dict[str, object] = {"kind": kind_of(way), "digest": way_digest(way, folder)}
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
