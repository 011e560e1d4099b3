"""Sources: had from where the recipe says, verified, unpacked, edited; `describe` says what decides the result.

``downloads/sha256/<hex>`` caches files, with the URL that gave them in ``<hex>.url`` and unfinished downloads in
``<hex>.part``; ``downloads/git/<commit>.git`` caches commits. ``trees/<recipe>-<digest>`` is a tree,
``trees/<recipe>-<digest>.json`` its manifest: who removes a tree removes the manifest first.
"""

from builders.sources.fetch import fetch, manifest_path
from builders.sources.manifest import describe, digest_of

__all__ = ["describe", "digest_of", "fetch", "manifest_path"]
