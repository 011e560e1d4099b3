"""Sources: fetched, verified, unpacked and edited as the recipe says; `describe` returns what determines the result.

``downloads/sha256/<hex>`` caches files, with their URL in ``<hex>.url`` and unfinished downloads in
``<hex>.part``; ``downloads/git/<commit>.git`` caches commits. ``trees/<recipe>-<digest>`` is a tree,
``trees/<recipe>-<digest>.json`` its manifest, which must be removed before the tree.
"""

from typing import TYPE_CHECKING

from builders.sources.manifest import describe, digest_of, manifest_path

if TYPE_CHECKING:
    from builders.model.context import Context
    from builders.model.recipe import Recipe
    from builders.model.source_tree import SourceTree

__all__ = ["describe", "digest_of", "fetch", "manifest_path"]


def fetch(recipe: "Recipe", context: "Context", *, offline: bool) -> "SourceTree":
    """Return the recipe's source tree, made unless it exists; see `fetch_tree.fetch`."""
    from builders.sources import fetch_tree  # slow to import, and a run with nothing to build fetches nothing

    return fetch_tree.fetch(recipe, context, offline=offline)
