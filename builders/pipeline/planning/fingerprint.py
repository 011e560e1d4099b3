"""Fingerprints: readable documents of all that decides a build's result; the plan compares, ``explain`` shows them."""

import hashlib
from collections.abc import Mapping

from builders import deb, sources
from builders.deb import PlannedJob
from builders.host.files import document_digest
from builders.pipeline.planning.records import Fingerprint


def fingerprint(job: PlannedJob, against: Mapping[str, str]) -> Fingerprint:
    """Return the fingerprint of a build: its job, with the sources and the recipe's files as they are now.

    ``against`` holds the `short_digest` of each recipe that it builds against. The engine is not part of it: both
    engines give the same bytes.
    """
    recipe, root = job.recipe, job.root
    # Absent if empty, so that builds from before this key stay up to date.
    substituted = {"substituted": list(recipe.substituted)} if recipe.substituted else {}
    # The bill of materials names who built the packages.
    by = {"by": recipe.build.prebuilt.by} if recipe.build.prebuilt else {}
    return {
        **substituted,
        **by,
        "version": recipe.debian_version(job.target),
        "strategy": job.strategy,
        "sources": sources.describe(recipe),
        "root": {
            "suite": root.suite,
            "build": root.build.debian,
            "host": root.host.debian,
            "packages": sorted(root.packages),
        },
        "debian": {path: _short(text.encode()) for path, text in job.debian.items()},
        # The copy of .debs that somebody else built sees nothing else.
        "files": {
            str(path.relative_to(recipe.folder)): _short(path.read_bytes())
            for path in (() if recipe.build.prebuilt else deb.built_from(recipe.folder))
        },
        "script": {"run": _short(job.script.encode()), "fetch": _short((job.fetch or "").encode())},
        "against": dict(against),
    }


def short_digest(document: Fingerprint) -> str:
    """Return the digest of a recipe's fingerprint for the fingerprints of recipes that build against it."""
    return document_digest(document)[:16]


def _short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
