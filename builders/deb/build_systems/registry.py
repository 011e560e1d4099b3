"""The kinds of build system, by the model that a recipe names them with.

A new kind is a model beside builders/model/recipe/bazel.py, a key for it in BuildSpec, a class beside bazel.py here,
and a line in KINDS. A build system that debhelper knows is a model in builders/model/recipe/debhelper.py and a class in
debhelper.py here.
"""

from collections.abc import Mapping
from typing import Any

from builders.deb.build_systems.bazel import BazelBuild
from builders.deb.build_systems.debhelper import DEBHELPER
from builders.deb.build_systems.portable import RepackBuild, RuntimeBuild
from builders.deb.build_systems.prebuilt import PrebuiltCopy
from builders.deb.build_systems.shell import ShellSteps
from builders.model.jobs import CacheMount
from builders.model.recipe import BazelSpec, BuildSystemModel, PrebuiltSpec, Recipe, RepackSpec, RuntimeSpec

BuildSystem = ShellSteps
"""The type of all kinds."""

KINDS: Mapping[type[BuildSystemModel], Any] = {
    **DEBHELPER,
    BazelSpec: BazelBuild,
    RuntimeSpec: RuntimeBuild,
    RepackSpec: RepackBuild,
    PrebuiltSpec: PrebuiltCopy,
}


def build_system(recipe: Recipe) -> BuildSystem:
    """Return the build system that compiles a recipe."""
    system = recipe.build.kind
    if system is None:
        return ShellSteps(recipe)
    made: BuildSystem = KINDS[type(system)](recipe, system)
    return made


def compiler_caches() -> tuple[CacheMount, ...]:
    """Return the caches of finished work of all build systems, each once."""
    return tuple(dict.fromkeys(cache for kind in (ShellSteps, *KINDS.values()) for cache in kind.caches))


def executables() -> frozenset[str]:
    """Return the files of all build systems that are programs, by path inside ``debian/``."""
    return frozenset(path for kind in KINDS.values() for path in kind.executables)
