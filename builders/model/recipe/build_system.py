"""Keys that a recipe uses for its build system; each kind of build system has its own model."""

from typing import Annotated, ClassVar

import pydantic

from builders.model.yaml_file import Model

Flags = Annotated[list[Annotated[str, pydantic.StringConstraints(pattern=r"^-\S.*$")]], pydantic.Field()]


VariantName = Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]*$")]


class BuildSystemModel(Model):
    """Keys of every kind of build system; ``key`` is the kind's own key below ``build:``."""

    key: ClassVar[str]
    fetches: ClassVar[bool] = False
    """Whether the build system downloads while it builds; such a recipe cannot keep its source."""

    variants: dict[VariantName, Flags] = {}
    """Flags of each variant, as for one CPU. ``variants`` in reef.yml chooses the variant; the first is the default."""
