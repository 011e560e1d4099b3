"""Recipes as users write them: the models of recipe.yml, and how they are read."""

from builders.model.recipe.acceptance import RUN, VERDICTS, Acceptance
from builders.model.recipe.bazel import BazelSpec
from builders.model.recipe.build_system import BuildSystemModel
from builders.model.recipe.check import Check
from builders.model.recipe.load import choose, load_recipe, load_recipes, recipe_named
from builders.model.recipe.package import Package
from builders.model.recipe.portable import PortableFolders, RepackSpec, RuntimeSpec
from builders.model.recipe.recipe import BuildSpec, Recipe, StrategyName
from builders.model.recipe.repack import for_target
from builders.model.recipe.source import (
    Archive,
    DebianPool,
    Edit,
    Git,
    Local,
    PythonWheel,
    SingleFile,
    Source,
    Way,
)

__all__ = [
    "RUN",
    "VERDICTS",
    "Acceptance",
    "Archive",
    "BazelSpec",
    "BuildSpec",
    "BuildSystemModel",
    "Check",
    "DebianPool",
    "Edit",
    "Git",
    "Local",
    "Package",
    "PortableFolders",
    "PythonWheel",
    "Recipe",
    "RepackSpec",
    "RuntimeSpec",
    "SingleFile",
    "Source",
    "StrategyName",
    "Way",
    "choose",
    "for_target",
    "load_recipe",
    "load_recipes",
    "recipe_named",
]
