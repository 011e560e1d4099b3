"""Portable packages: a recipe's native packages, packaged a second time to run on older suites.

They bring their shared libraries, C library and dynamic loader along, in the package of a runtime recipe. Nothing is
compiled again.
"""

import posixpath
from dataclasses import dataclass
from typing import Annotated

import pydantic

from builders.errors import nearest
from builders.model.arch import ARCHITECTURES, Architecture
from builders.model.recipe.acceptance import Acceptance
from builders.model.recipe.build_system import BuildSystemModel
from builders.model.recipe.check import Check
from builders.model.recipe.package import PackageName, Relation
from builders.model.target import SUITES
from builders.model.yaml_file import Model


@dataclass(frozen=True)
class PortableFolders:
    """The folders of libraries on a board, for a CPU and the ``version`` of a runtime; all are absolute paths."""

    architecture: Architecture
    version: str

    @property
    def public(self) -> str:
        """The folder in which the board's own programs look for libraries."""
        return f"/usr/lib/{self.architecture.triplet}"

    @property
    def private(self) -> str:
        """The folder of portable libraries."""
        return f"{self.public}/reef-portable"

    @property
    def bundle(self) -> str:
        """The folder of the runtime."""
        return f"{self.private}/{self.version}"

    @property
    def loader(self) -> str:
        """The runtime's dynamic loader."""
        return f"{self.bundle}/{posixpath.basename(self.architecture.dynamic_linker)}"

    @property
    def rpath(self) -> str:
        """The folders in which portable programs look for libraries, as in DT_RPATH."""
        return f"{self.bundle}:{self.private}"


class PortablePackage(Model):
    """The differences of a portable package from the native package. Relations replace those of the native package."""

    name: PackageName | None = None
    """Name, if it differs: for a library, as it serves only portable programs, and the board's own programs need their
    own. The native build then makes a transitional package of this name."""
    pre_depends: list[Relation] | None = None
    """Pre-Depends field. The runtime is added."""
    depends: list[Relation] | None = None
    """Depends field. Without it, packages in the native field get their portable names, if they are of this recipe or
    of those that it builds against; so in Pre-Depends, Recommends and Suggests."""
    recommends: list[Relation] | None = None
    """Recommends field."""
    suggests: list[Relation] | None = None
    """Suggests field."""
    provides: list[Relation] | None = None
    """Provides field."""
    conflicts: list[Relation] | None = None
    """Conflicts field."""
    breaks: list[Relation] | None = None
    """Breaks field."""
    replaces: list[Relation] | None = None
    """Replaces field."""
    accept: list[Acceptance] = []
    """Accepted faults of the portable package, besides those of the native package."""


class Portable(Model):
    """Suites for which the native packages are packaged a second time, with their libraries and loader."""

    native: str
    """Suite whose native packages are taken."""
    suites: Annotated[list[str], pydantic.Field(min_length=1)]
    """Older suites for which portable packages are made."""
    architectures: list[str] = []
    """CPUs, by Debian's names. The default is those of ``targets``."""
    runtime: str = "reef-portable-runtime"
    """Recipe that bundles the libraries."""
    packages: Annotated[dict[PackageName, PortablePackage], pydantic.Field(min_length=1)]
    """The packages that are made portable, by the native package's name."""
    checks: list[Check] | None = None
    """Checks of the portable packages. The default is those of the native packages, with the portable names."""

    @pydantic.model_validator(mode="after")
    def _known(self) -> "Portable":
        for name in (self.native, *self.suites):
            if name not in SUITES:
                raise ValueError(f"unknown suite {name!r}; {nearest(name, SUITES)}")
        for name in self.architectures:
            if name not in ARCHITECTURES:
                raise ValueError(f"unknown architecture {name!r}; {nearest(name, ARCHITECTURES)}")
        newer = [name for name in self.suites if SUITES[name].release >= SUITES[self.native].release]
        if newer:
            raise ValueError(f"{newer[0]} is not older than {self.native}, the suite in native")
        return self


class RuntimeSpec(BuildSystemModel):
    """Shared libraries that are bundled for portable programs, with all libraries that they need.

    The files are copied as they are from Debian's packages in the build root (``build.libraries``).
    """

    key = "runtime"

    libraries: Annotated[list[str], pydantic.Field(min_length=1)]
    """Names of the libraries (DT_SONAME). The libraries that they need are added."""


class RepackSpec(BuildSystemModel):
    """The second packaging of native packages. Reef makes it from ``portable``; recipes do not write it."""

    key = "repack"

    native: str
    """Suite of the native packages."""
    native_version: str
    """Version of the native packages."""
    runtime: PackageName
    """Package of the runtime."""
    runtime_version: str
    """Upstream version of the runtime: the name of its folder."""
    packages: dict[PackageName, PackageName]
    """Names of the portable packages, by the name of the native package."""
