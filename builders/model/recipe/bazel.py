"""Bazel as a recipe's build system: the keys below ``build.bazel``."""

from typing import Annotated, Literal

import pydantic

from builders.errors import nearest
from builders.model.arch import ARCHITECTURES
from builders.model.recipe.build_system import BuildSystemModel, Flags
from builders.model.yaml_file import RelativePath


class BazelSpec(BuildSystemModel):
    """Targets that Bazel builds: it first fetches with a network, then builds without a network.

    Downloads and finished actions are cached, so that an interrupted build resumes where it stopped.
    """

    key = "bazel"
    fetches = True

    version: Annotated[str, pydantic.StringConstraints(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")]
    """Required version of Bazel; another version is refused before the build."""
    programs: dict[str, RelativePath] = {}
    """Path of Bazel's program in the tree, by the CPU of the build machine; a source must provide it. For a CPU that is
    not listed, the root's ``bazel`` is used, from a package of ``tools``."""
    targets: Annotated[
        list[Annotated[str, pydantic.StringConstraints(pattern=r"^(@[\w.~-]*)?//\S*$")]], pydantic.Field(min_length=1)
    ]
    """Targets that Bazel builds."""
    flags: dict[Literal["all", "native", "cross", "emulate"], Flags] = {}
    """Flags of ``bazel build``, for all builds and by strategy, after the flags of the tree's .bazelrc."""
    toolchain: Literal["reef", "own"] = "reef"
    """Toolchain of ``cross`` builds: Reef's, for the root's cross compiler, or the recipe's ``own``, in its flags."""
    memory_per_job_mb: Annotated[int, pydantic.Field(ge=1)] = 1500
    """Memory that one compiler needs at most, in MB (1,000,000 bytes). It limits how many run at once."""

    @pydantic.field_validator("programs")
    @classmethod
    def _known(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if name not in ARCHITECTURES:
                raise ValueError(f"unknown architecture {name!r}; {nearest(name, ARCHITECTURES)}")
        return value
