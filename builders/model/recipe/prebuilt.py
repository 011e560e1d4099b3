"""Packages that somebody else built: pinned .debs, published unchanged after the same verdicts as other packages."""

import posixpath
import re
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import unquote, urlsplit

import pydantic

from builders.errors import nearest
from builders.model.arch import ARCHITECTURES
from builders.model.packages import DEBUG_SUFFIX
from builders.model.recipe.acceptance import Acceptance, Reason
from builders.model.recipe.build_system import BuildSystemModel
from builders.model.recipe.data_files import DataPattern
from builders.model.recipe.package import PackageName
from builders.model.recipe.source import Sha256, SingleFile, Source
from builders.model.target import Target
from builders.model.yaml_file import Model

ALL = "all"
"""The architecture of packages that serve every CPU (Policy 5.6.8)."""
FILE_NAME = re.compile(r"(?P<package>[^_/]+)_(?P<version>[^_/]+)_(?P<architecture>[^_/]+)\.deb")
"""The name that dpkg-deb gives a .deb; it has no epoch."""
VERSION = r"^(?:[0-9]+:)?[0-9A-Za-z][0-9A-Za-z.+~-]*$"
"""The characters of a version (Policy 5.6.12)."""


class PrebuiltDeb(Model):
    """A .deb, from exactly one of ``urls``, ``pool`` and ``file``.

    Package, version and architecture are those in the file's name if it is ``PACKAGE_VERSION_ARCHITECTURE.deb``.
    """

    urls: list[str] = []
    """URLs of the .deb, in the order in which they are tried."""
    pool: Annotated[str, pydantic.StringConstraints(pattern=r"^pool/.+\.deb$")] | None = None
    """Path of the .deb on the Debian mirror, as in ``pool/main/h/hello/hello_2.10-5_arm64.deb``."""
    file: str | None = None
    """The .deb on this machine, absolute or relative to the recipe's folder."""
    sha256: Sha256
    """SHA-256 of the .deb, in hex."""
    package: PackageName | None = None
    """Name of the package."""
    version: Annotated[str, pydantic.StringConstraints(pattern=VERSION)] | None = None
    """Version of the package. If it is set, the .deb must have it."""
    architecture: str | None = None
    """CPU, by Debian's name, or ``all``."""
    suites: list[str] = []
    """Suites of ``targets`` for which the .deb is published. The default is all of them."""
    data: list[DataPattern] = []
    """Patterns of files that are data, although they look like programs, as in ``packages``."""
    accept: list[Acceptance] = []
    """Faults of verdicts that are accepted."""

    @pydantic.field_validator("architecture")
    @classmethod
    def _known_architecture(cls, value: str | None) -> str | None:
        if value is not None and value not in (ALL, *ARCHITECTURES):
            raise ValueError(f"unknown architecture {value!r}; {nearest(value, (ALL, *ARCHITECTURES))}")
        return value

    @pydantic.model_validator(mode="after")
    def _complete(self) -> "PrebuiltDeb":
        if sum(map(bool, (self.urls, self.pool, self.file))) != 1:
            raise ValueError("expected exactly one of urls, pool and file")
        for key, value in self._facts.items():
            if not value:
                raise ValueError(
                    f"expected {key}: the file's name, {_basename(self._place)}, is not "
                    "PACKAGE_VERSION_ARCHITECTURE.deb"
                )
        if self.cpu not in (ALL, *ARCHITECTURES):
            raise ValueError(f"unknown architecture {self.cpu!r}; {nearest(self.cpu, (ALL, *ARCHITECTURES))}")
        for pattern, value in ((r"[a-z0-9][a-z0-9+.-]+", self.name), (VERSION, self.shown_version)):
            if not re.fullmatch(pattern, value):
                raise ValueError(f"{value!r} in the file's name is not valid (Policy 5.6); set package and version")
        return self

    @property
    def name(self) -> str:
        """Name of the package."""
        return self._facts["package"] or ""

    @property
    def shown_version(self) -> str:
        """Version of the package, without its epoch if only the file's name has it."""
        return self._facts["version"] or ""

    @property
    def cpu(self) -> str:
        """CPU, by Debian's name, or ``all``."""
        return self._facts["architecture"] or ""

    @property
    def debug(self) -> bool:
        """Whether it is an automatic package of debugging symbols, which boards do not install."""
        return self.name.endswith(DEBUG_SUFFIX)

    def serves(self, target: Target) -> bool:
        """Return whether the .deb is published for ``target``."""
        return self.cpu in (ALL, target.architecture.debian) and (not self.suites or target.suite.name in self.suites)

    def source(self, folder: str) -> Source:
        """Return the source that fetches the .deb; ``folder`` is the recipe's."""
        urls = [posixpath.join(folder, self.file)] if self.file else self.urls
        kind = SingleFile(urls=urls, pool=self.pool, sha256=self.sha256, name=self.file_name)
        return Source(name=self.name, file=kind)

    @property
    def file_name(self) -> str:
        """The file's name in the source tree, which has no epoch."""
        return f"{self.name}_{without_epoch(self.shown_version)}_{self.cpu}.deb"

    @property
    def _place(self) -> str:
        return (self.urls or [self.pool or self.file or ""])[0]

    @property
    def _facts(self) -> dict[str, str | None]:
        """Package, version and architecture: the keys, else what the file's name says."""
        named = named_facts(self._place)
        given = {"package": self.package, "version": self.version, "architecture": self.architecture}
        return {key: value or named.get(key) for key, value in given.items()}


def named_facts(place: str) -> Mapping[str, str]:
    """Return what the file's name at a URL or path says of a .deb; empty if the name has another form."""
    found = FILE_NAME.fullmatch(_basename(place))
    return found.groupdict() if found else {}


def _basename(place: str) -> str:
    return posixpath.basename(unquote(urlsplit(place).path))


def without_epoch(version: str) -> str:
    """Return a version as names of files have it."""
    return version.partition(":")[2] or version


class Prebuilt(Model):
    """Packages that somebody else built. Their bytes stay unchanged."""

    by: Reason
    """Who built them and where, on one line; shown by ``list`` and publish-apt, and in the SBOM."""
    debs: Annotated[list[PrebuiltDeb], pydantic.Field(min_length=1)]
    """The .debs, each pinned by its digest."""


class PrebuiltSpec(BuildSystemModel):
    """The .debs of a prebuilt recipe for its targets. Reef makes it from ``prebuilt``; recipes do not write it."""

    key = "prebuilt"

    by: str
    """Who built them."""
    debs: list[PrebuiltDeb]
    """The .debs."""

    def versions(self, target: Target) -> str:
        """Return the versions of the packages for ``target``, each once."""
        return ", ".join(dict.fromkeys(deb.shown_version for deb in self.debs if deb.serves(target)))
