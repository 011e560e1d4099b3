"""What a recipe says of the build system that compiles it; each kind has a model of its own."""

from typing import Annotated, ClassVar

import pydantic

from builders.model.yaml_file import Model

Flags = Annotated[list[Annotated[str, pydantic.StringConstraints(pattern=r"^-\S.*$")]], pydantic.Field()]


VariantName = Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]*$")]


class BuildSystemModel(Model):
    """Fields that every kind of build system has; ``key`` is the kind's key below ``build:``."""

    key: ClassVar[str]

    variants: dict[VariantName, Flags] = {}
    """Flags by which builds can differ, as for one CPU; reef.yml's ``variants:`` chooses, else the first is built."""
