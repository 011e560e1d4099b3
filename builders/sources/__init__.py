"""Sources: fetched, verified, unpacked and edited as the recipe says; `describe` returns what determines the result.

``downloads/sha256/<hex>`` caches files, with their URL in ``<hex>.url`` and unfinished downloads in
``<hex>.part``; ``downloads/git/<commit>.git`` caches commits. ``trees/<recipe>-<digest>`` is a tree,
``trees/<recipe>-<digest>.json`` its manifest, which must be removed before the tree.
"""

from builders.sources.fetch import fetch, manifest_path
from builders.sources.manifest import describe, digest_of

__all__ = ["describe", "digest_of", "fetch", "manifest_path"]
