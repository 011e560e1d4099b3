"""Checks of a recipe: scripts that run where its packages are installed."""

from typing import Annotated, Literal

import pydantic

from builders.model.recipe.source import SourceName
from builders.model.yaml_file import Model


class Check(Model):
    """A script that must succeed where the packages are installed."""

    name: SourceName
    """Name of the check in reports."""
    on: Literal["target"] = "target"
    """Where the script runs. ``target`` is a clean root of the target's suite and CPU."""
    packages: Annotated[list[str], pydantic.Field(min_length=1)]
    """Packages that are installed from the staged repository."""
    script: str
    """The script, a file of the recipe's folder."""
    expect: list[str] = []
    """Lines that the script must print."""
