"""Recipes as users write them: the models of recipe.yml, and how they are read."""

from builders.model.recipe.bazel import BazelSpec
from builders.model.recipe.build_system import BuildSystemModel
from builders.model.recipe.load import choose, load_recipe, load_recipes, recipe_named
from builders.model.recipe.package import Package
from builders.model.recipe.recipe import BuildSpec, Check, Recipe, StrategyName
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
    "PythonWheel",
    "Recipe",
    "SingleFile",
    "Source",
    "StrategyName",
    "Way",
    "choose",
    "load_recipe",
    "load_recipes",
    "recipe_named",
]
