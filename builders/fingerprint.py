"""What decides a build's result, as a readable document: compared by the plan, shown by ``invoke explain``."""

import hashlib
from collections.abc import Mapping

from builders import deb, sources
from builders.deb.job import build_root
from builders.deb.job import scripts as job_scripts
from builders.deb.source_package import built_from
from builders.host.files import document_digest
from builders.model.arch import Architecture
from builders.model.recipe import Recipe, StrategyName
from builders.model.settings import Settings
from builders.model.target import Target
from builders.state import Fingerprint


def fingerprint(
    recipe: Recipe,
    target: Target,
    *,
    strategy: StrategyName,
    machine: Architecture,
    settings: Settings,
    against: Mapping[str, Fingerprint],
) -> Fingerprint:
    """Return the fingerprint that a build would have; ``against`` holds those of the recipes it builds against.

    The engine is not part of it: both engines give the same bytes.
    """
    root = build_root(recipe, target, strategy, machine)
    scripts = job_scripts(recipe, target, strategy)
    # Absent where it says nothing, so that what was built before it was known stays built.
    substituted = {"substituted": list(recipe.substituted)} if recipe.substituted else {}
    return {
        **substituted,
        "version": recipe.debian_version(target),
        "strategy": strategy,
        "sources": sources.describe(recipe),
        "root": {
            "suite": root.suite,
            "build": root.build.debian,
            "host": root.host.debian,
            "packages": sorted(root.packages),
        },
        "debian": {path: _short(text.encode()) for path, text in deb.debian_files(recipe, target, settings).items()},
        "files": {
            str(path.relative_to(recipe.folder)): _short(path.read_bytes()) for path in built_from(recipe.folder)
        },
        "script": {name: _short((text or "").encode()) for name, text in zip(("run", "fetch"), scripts, strict=True)},
        "against": {name: short_digest(document) for name, document in against.items()},
    }


def short_digest(document: Fingerprint) -> str:
    """Return what stands for the fingerprint of a recipe in those of the recipes that build against it."""
    return document_digest(document)[:16]


def _short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
