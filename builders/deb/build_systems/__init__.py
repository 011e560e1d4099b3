"""Build systems: the additions of each to Debian's packaging of a recipe."""

from builders.deb.build_systems.registry import KINDS, BuildSystem, build_system, compiler_caches, executables

__all__ = ["KINDS", "BuildSystem", "build_system", "compiler_caches", "executables"]
