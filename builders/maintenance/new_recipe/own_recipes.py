"""Reef's own recipes that recipes of users need: copied into a project, where they are the user's."""

from pathlib import Path

from builders.maintenance.new_recipe.writer import copied_whole, require_name
from builders.pipeline.project import Project

OWN = Path(__file__).with_name("own")
"""Their folders; an installed Reef has copies here, its checkout links."""


def is_own(name: str) -> bool:
    """Return whether ``name`` is one of these recipes."""
    return (OWN / name / "recipe.yml").is_file()


def add_own(project: Project, name: str) -> Path:
    """Copy the recipe ``name`` into the project and return its folder; raises InputError if it exists."""
    recipes = project.folder / project.settings.recipes
    require_name(name, recipes)
    return copied_whole(recipes, OWN / name)
