"""Recipes as users write them: the models of recipe.yml, and how they are read."""

from builders.model.recipe.acceptance import RUN, VERDICTS, Acceptance
from builders.model.recipe.bazel import BazelSpec
from builders.model.recipe.build import BuildSpec
from builders.model.recipe.build_system import BuildSystemModel
from builders.model.recipe.check import Check, Gate
from builders.model.recipe.data_files import data_regex, is_bpf, without_files
from builders.model.recipe.debhelper import (
    AutotoolsSpec,
    CMakeSpec,
    DebhelperSpec,
    DetectedSpec,
    MakeSpec,
    MesonSpec,
    PythonSpec,
)
from builders.model.recipe.load import choose, load_recipe, load_recipes, recipe_named
from builders.model.recipe.package import Package
from builders.model.recipe.portable import PortableFolders, RepackSpec, RuntimeSpec
from builders.model.recipe.prebuilt import Prebuilt, PrebuiltDeb, PrebuiltSpec, named_facts, without_epoch
from builders.model.recipe.prebuilt_recipe import PrebuiltRecipe
from builders.model.recipe.recipe import Recipe, Serves, StrategyName
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
    "AutotoolsSpec",
    "BazelSpec",
    "BuildSpec",
    "BuildSystemModel",
    "CMakeSpec",
    "Check",
    "DebhelperSpec",
    "DebianPool",
    "DetectedSpec",
    "Edit",
    "Gate",
    "Git",
    "Local",
    "MakeSpec",
    "MesonSpec",
    "Package",
    "PortableFolders",
    "Prebuilt",
    "PrebuiltDeb",
    "PrebuiltRecipe",
    "PrebuiltSpec",
    "PythonSpec",
    "PythonWheel",
    "Recipe",
    "RepackSpec",
    "RuntimeSpec",
    "Serves",
    "SingleFile",
    "Source",
    "StrategyName",
    "Way",
    "choose",
    "data_regex",
    "for_target",
    "is_bpf",
    "load_recipe",
    "load_recipes",
    "named_facts",
    "recipe_named",
    "without_epoch",
    "without_files",
]
