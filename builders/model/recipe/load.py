"""Reading recipes, and putting them into build order."""

from collections.abc import Mapping
from pathlib import Path

from builders.errors import InputError, nearest
from builders.model.recipe import policy
from builders.model.recipe.prebuilt_recipe import PrebuiltRecipe
from builders.model.recipe.recipe import Recipe
from builders.model.yaml_file import load_either


def load_recipe(folder: Path) -> Recipe:
    """Return the recipe in ``folder/recipe.yml``; raises InputError with file and line for each fault."""
    path = folder / "recipe.yml"
    read = load_either(path, "prebuilt", PrebuiltRecipe, Recipe, policy.faults)
    recipe = (read.recipe() if isinstance(read, PrebuiltRecipe) else read).in_folder(folder)
    if recipe.name != folder.name:
        raise InputError(
            f"{path}: the recipe's name is {recipe.name!r}, its folder's is {folder.name!r}",
            fix="use the same name for both",
        )
    _require_files(recipe, path)
    return recipe


def _require_files(recipe: Recipe, path: Path) -> None:
    names = [check.script for check in [*recipe.checks, *((recipe.portable and recipe.portable.checks) or ())]]
    names += [gate.script for gate in recipe.gates]
    for package in recipe.packages:
        names += filter(None, (package.symbols, package.udev, package.systemd, package.dkms))
        names += [*package.conffiles.values(), *package.manpages]
    missing = [name for name in names if not (recipe.folder / name).is_file()]
    if missing:
        raise InputError(f"{path}: files of the recipe are missing", ", ".join(missing), f"add them to {recipe.folder}")


def load_recipes(folder: Path) -> dict[str, Recipe]:
    """Return every recipe in the folders of ``folder``, by name, sorted; raises InputError if there is none."""
    found = {file.parent.name: load_recipe(file.parent) for file in sorted(folder.glob("*/recipe.yml"))}
    if not found:
        raise InputError(f"no recipes in {folder}", fix="write a recipe: ./inv new NAME --source WHAT")
    return found


def recipe_named(recipes: Mapping[str, Recipe], name: str) -> Recipe:
    """Return the recipe called ``name``; raises InputError with the nearest name."""
    if name not in recipes:
        raise InputError(f"unknown recipe: {name!r}", nearest(name, recipes), "./inv list shows all recipes")
    return recipes[name]


def choose(recipes: dict[str, Recipe], names: list[str]) -> list[Recipe]:
    """Return the named recipes and those they build against, in build order; all recipes if ``names`` is empty.

    Raises InputError for an unknown name (with the nearest) and for a circle.
    """
    order: list[Recipe] = []
    for name in names or list(recipes):
        _visit(name, recipes, order, ())
    return order


def _visit(name: str, recipes: dict[str, Recipe], order: list[Recipe], above: tuple[str, ...]) -> None:
    recipe = recipe_named(recipes, name)
    if name in above:
        circle = " -> ".join([*above, name])
        raise InputError("recipes build against each other in a circle", circle, "remove one from build.recipes")
    if recipe in order:
        return
    for needed, packages in recipe.build.recipes.items():
        _visit(needed, recipes, order, (*above, name))
        built = [package.name for package in recipes[needed].packages]
        for package in packages:
            if package not in built:
                raise InputError(
                    f"{name} builds against {package}, which is not a package of {needed}",
                    nearest(package, built),
                    f"correct build.recipes of {name}",
                )
    order.append(recipe)
