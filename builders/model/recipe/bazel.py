"""Bazel as a recipe's build system: what a recipe says of it."""

from typing import Annotated, Literal

import pydantic

from builders.errors import nearest
from builders.model.arch import ARCHITECTURES
from builders.model.recipe.build_system import BuildSystemModel, Flags
from builders.model.yaml_file import RelativePath


class Bazel(BuildSystemModel):
    """What Bazel builds: a fetch with the network fills its repository cache, then it builds without one.

    Downloads and finished actions are kept between builds, so that a build which was ended goes on where it stopped.
    """

    key = "bazel"

    version: Annotated[str, pydantic.StringConstraints(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")]
    """What ``bazel --version`` must tell; another one is refused before anything is built."""
    programs: dict[str, RelativePath] = {}
    """Bazel's own program for each CPU that it runs on: its place in the tree, where a source with a digest put it.
    Where the machine's CPU is not named the root's ``bazel`` is used, which a package among ``tools`` brings."""
    targets: Annotated[
        list[Annotated[str, pydantic.StringConstraints(pattern=r"^(@[\w.~-]*)?//\S*$")]], pydantic.Field(min_length=1)
    ]
    flags: dict[Literal["all", "native", "cross", "emulate"], Flags] = {}
    """Flags of ``bazel build``, for every build and for one strategy; they come after those of the tree's .bazelrc.

    ``cross`` also gets Reef's own toolchain for the root's cross compiler, unless the recipe names another."""
    toolchain: Literal["reef", "own"] = "reef"
    """What ``cross`` compiles with: ``own`` leaves toolchains and platforms to the recipe's flags."""
    memory_per_job_mb: Annotated[int, pydantic.Field(ge=1)] = 1500
    """What one compiler may need at its worst, in MB (10^6 bytes): as many run at once as the memory has room for."""

    @pydantic.field_validator("programs")
    @classmethod
    def _known(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if name not in ARCHITECTURES:
                raise ValueError(f"unknown architecture {name!r}; {nearest(name, ARCHITECTURES)}")
        return value
