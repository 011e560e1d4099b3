"""Recipes: the packages, the pinned sources they are built from, and the checks on them."""

from pathlib import Path
from typing import Annotated, Literal

import pydantic

from builders.errors import InputError, nearest
from builders.model.arch import ARCHITECTURES, Architecture
from builders.model.recipe.acceptance import Acceptance
from builders.model.recipe.build import BuildSpec
from builders.model.recipe.changelog import ChangelogEntry, UpstreamVersion
from builders.model.recipe.check import Check, Gate, require_known_checks
from builders.model.recipe.package import Package, PackageName, Section
from builders.model.recipe.portable import Portable
from builders.model.recipe.source import Edit, Local, Source
from builders.model.target import SUITES, Suite, Target
from builders.model.yaml_file import Line, Model, RelativePath, duplicates

InstalledPath = Annotated[
    RelativePath, pydantic.BeforeValidator(lambda path: path.lstrip("/") if isinstance(path, str) else path)
]
"""A path below DESTDIR, with or without a slash before it, as in the packages' ``files`` and ``data``."""
RecipeStrategy = Literal["native", "cross", "emulate"]
StrategyName = Literal[RecipeStrategy, "repack", "prebuilt"]
"""``repack`` makes portable packages from native packages, ``prebuilt`` copies .debs; nobody chooses them."""


MENDEL_KERNEL = "4.14.98-imx"
"""The kernel's release on a Coral Dev Board under Mendel 4 and 5: portable packages are checked with it."""


class Serves(Model):
    """The suites and architectures for which a recipe builds packages."""

    suites: Annotated[list[str], pydantic.Field(min_length=1)]
    """Debian suites, by codename."""
    architectures: Annotated[list[str], pydantic.Field(min_length=1)]
    """CPUs, by Debian's names."""

    @pydantic.field_validator("suites")
    @classmethod
    def _known_suites(cls, value: list[str]) -> list[str]:
        for name in value:
            if name not in SUITES:
                raise ValueError(f"unknown suite {name!r}; {nearest(name, SUITES)}")
        return value

    @pydantic.field_validator("architectures")
    @classmethod
    def _known_architectures(cls, value: list[str]) -> list[str]:
        for name in value:
            if name not in ARCHITECTURES:
                raise ValueError(f"unknown architecture {name!r}; {nearest(name, ARCHITECTURES)}")
        return value


class Copyright(Model):
    """A paragraph of debian/copyright (machine-readable format 1.0)."""

    files: Annotated[list[Line], pydantic.Field(min_length=1)]
    """Patterns of the files in the tree."""
    copyright: Annotated[list[str], pydantic.Field(min_length=1)]
    """Copyright statements."""
    license: str
    """Short name of the license."""


class Recipe(Model):
    """A recipe, in ``recipe.yml`` of a folder with the recipe's name."""

    name: PackageName
    """Name of the recipe, its folder and its Debian source package."""
    version: UpstreamVersion
    """Upstream version."""
    version_epoch: Annotated[int, pydantic.Field(ge=0)] = 0
    """Epoch of the version (Policy 5.6.12), if not 0. A version with an epoch is newer than any version without."""
    summary: str
    """The recipe in one line, shown by ``list``."""
    description: str = ""
    """Description of packages that have none."""
    homepage: str = ""
    """Upstream's website, if it has one."""
    license: Line
    """Short name of the license, as in ``Apache-2.0``; also of the packaging."""
    section: Section = "misc"
    """Section of the source package (Policy 2.4)."""
    tensorflow: Annotated[str, pydantic.StringConstraints(pattern=r"^[0-9]+\.[0-9]+$")] | None = None
    """Version train: TensorFlow's ``MAJOR.MINOR``, whose ABI the packages share."""
    by_default: bool = True
    """Whether commands without ``--recipe`` include the recipe. If not, they include it from its first build on."""
    changelog: Annotated[list[ChangelogEntry], pydantic.Field(min_length=1)]
    """Entries of debian/changelog, the newest first."""
    copyright: list[Copyright] = []
    """Paragraphs of debian/copyright."""
    sources: Annotated[list[Source], pydantic.Field(min_length=1)]
    """Sources of the tree, unpacked in this order."""
    edits: list[Edit] = []
    """Checked changes to the unpacked sources, applied in this order."""
    targets: Serves
    """Suites and CPUs for which the packages are built."""
    portable: Portable | None = None
    """Older suites for which the packages are packaged a second time, with the libraries that they need."""
    strategy: Annotated[list[RecipeStrategy], pydantic.Field(min_length=1)] = ["cross", "emulate"]
    """How to build on a machine with another CPU, in order of preference: ``cross`` or ``emulate``. On the target's
    own CPU, builds are ``native``. Packages of ``portable`` are always made by ``repack``."""
    cautions: dict[RecipeStrategy, str] = {}
    """Warnings before a build, by strategy."""
    build: BuildSpec = pydantic.Field(default_factory=BuildSpec)
    """How the tree is compiled. Without it, debhelper detects the build system."""
    packages: Annotated[list[Package], pydantic.Field(min_length=1)]
    """Binary packages."""
    not_installed: list[InstalledPath] = []
    """Files below DESTDIR that no package takes, as patterns of dh_missing(1)."""
    checks: list[Check] = []
    """Scripts that must succeed where the packages are installed."""
    gates: list[Gate] = []
    """Tests on real boards, after an installation."""
    keep_source: bool = False
    """Whether a Debian source package is built too and published for ``apt-get source``. It serves all CPUs, so that
    the recipe cannot use ``{{ architecture }}`` and ``{{ triplet }}``, and the build must not fetch. A change of the
    packaging then needs a new revision."""

    _folder: Path = pydantic.PrivateAttr(default=Path())
    _variant: str = pydantic.PrivateAttr(default="")
    _substituted: tuple[str, ...] = pydantic.PrivateAttr(default=())
    _takes_all: str = pydantic.PrivateAttr(default="")

    @pydantic.model_validator(mode="after")
    def _only_package(self) -> "Recipe":
        # Transitional packages may be added later.
        if len(self.packages) == 1 and not self.packages[0].files:
            self._takes_all = self.packages[0].name
        return self

    @pydantic.field_validator("packages")
    @classmethod
    def _packages_differ(cls, value: list[Package]) -> list[Package]:
        if names := duplicates(package.name for package in value):
            raise ValueError(f"duplicate name of a package: {', '.join(names)}")
        return value

    @pydantic.field_validator("sources")
    @classmethod
    def _named_once(cls, value: list[Source]) -> list[Source]:
        if names := duplicates(source.name for source in value):
            raise ValueError(f"duplicate name of a source: {', '.join(names)}")
        return value

    @pydantic.model_validator(mode="after")
    def _entries_differ(self) -> "Recipe":
        versions = [f"{entry.version or self.version}-{entry.revision}" for entry in self.changelog]
        if twice := duplicates(versions):
            raise ValueError(f"changelog: two entries of {twice[0]}; raise revision, or give the older one its version")
        return self

    @pydantic.model_validator(mode="after")
    def _accepts_known_checks(self) -> "Recipe":
        portable = self.portable.packages if self.portable else {}
        checks = [*self.checks, *((self.portable.checks or []) if self.portable else [])]
        accepted: list[tuple[tuple[int | str, ...], list[Acceptance]]] = [
            *((("packages", number, "accept"), package.accept) for number, package in enumerate(self.packages)),
            *((("portable", "packages", name, "accept"), package.accept) for name, package in portable.items()),
        ]
        require_known_checks(accepted, checks)
        return self

    @pydantic.model_validator(mode="after")
    def _oldest_root(self) -> "Recipe":
        if self.build.root is not None:
            if self.build.root not in SUITES:
                raise ValueError(f"unknown suite {self.build.root!r}; {nearest(self.build.root, SUITES)}")
            older = [name for name in self.targets.suites if SUITES[name].release < SUITES[self.build.root].release]
            if older and not self.build.runtime:
                raise ValueError(f"build.root {self.build.root} is newer than {older[0]}, a suite in targets")
        gone = [name for name in self.targets.suites if not SUITES[self.build.root or name].mirrored]
        if gone:
            raise ValueError(f"no root can be made of {gone[0]}, which Debian's mirrors no longer hold; use portable:")
        return self

    @pydantic.model_validator(mode="after")
    def _runtime_is_named(self) -> "Recipe":
        # Two versions must be installable at once, so that programs find a whole runtime during an upgrade.
        if self.build.runtime and not (len(self.packages) == 1 and self.packages[0].name.endswith(self.version)):
            raise ValueError(f"build.runtime: expected one package, with a name that ends with {self.version}")
        if self.build.runtime and not self.build.root:
            raise ValueError("build.runtime: expected build.root, the suite of the libraries")
        return self

    @pydantic.model_validator(mode="after")
    def _portable_fits(self) -> "Recipe":
        if self.portable is None:
            return self
        if self.portable.native not in self.targets.suites:
            raise ValueError(f"portable.native {self.portable.native} is not a suite in targets")
        if both := [name for name in self.portable.suites if name in self.targets.suites]:
            raise ValueError(f"{both[0]} is in targets and in portable: packages are either native or portable")
        if self.build.runtime:
            raise ValueError("portable: a runtime is portable by itself; remove portable or build.runtime")
        if more := [name for name in self.portable.architectures if name not in self.targets.architectures]:
            raise ValueError(f"portable: {more[0]} is not in targets, so that there are no native packages for it")
        return self

    @pydantic.model_validator(mode="after")
    def _portable_packages_fit(self) -> "Recipe":
        if self.portable is None:
            return self
        by_name = {package.name: package for package in self.packages}
        for name, differs in self.portable.packages.items():
            if name not in by_name:
                raise ValueError(f"portable: no package {name!r}; {nearest(name, by_name)}")
            if by_name[name].dkms:
                raise ValueError(
                    f"portable: {name} has dkms: boards compile a driver; add the suite to targets instead"
                )
            if by_name[name].systemd and differs.name:
                raise ValueError(f"portable: {name} has systemd: its service has the package's name; remove name")
        for check in self.checks if self.portable.checks is None else ():
            if others := [name for name in check.packages if name in by_name and name not in self.portable.packages]:
                raise ValueError(
                    f"portable: the check {check.name} installs {others[0]}, which is not portable; set portable.checks"
                )
        added = [package.name for package in self.portable.packages.values() if package.name]
        if twice := duplicates([*by_name, *added]):
            raise ValueError(f"portable: two packages would have the name {twice[0]!r}")
        return self

    @pydantic.model_validator(mode="after")
    def _whole_source(self) -> "Recipe":
        system = self.build.kind
        fetching = f"build.{system.key}" if system and system.fetches else "build.fetch" if self.build.fetch else ""
        if self.keep_source and fetching:
            raise ValueError(f"keep_source: a source package cannot contain what {fetching} fetches; remove one")
        return self

    @property
    def folder(self) -> Path:
        """The folder of ``recipe.yml``; file names in the recipe are relative to it."""
        return self._folder

    @property
    def variant(self) -> str:
        """The variant to build: that of `as_variant`, else the recipe's first; empty if the recipe has no variants."""
        return self._variant or next(iter(self.build.variants), "")

    @property
    def substituted(self) -> tuple[str, ...]:
        """The sources that `with_source` replaced by folders."""
        return self._substituted

    @property
    def emulation(self) -> dict[str, str]:
        """Variables for QEMU alone: the variant's CPU (GCC and QEMU use the same names), and for portable packages the
        release of the oldest kernel, which programs then read from uname(2)."""
        cpu = {"QEMU_CPU": self.variant} if self.variant.startswith("cortex-") else {}
        return cpu | ({"QEMU_UNAME": MENDEL_KERNEL} if self.build.portable else {})

    def as_variant(self, name: str) -> "Recipe":
        """Return the recipe with the variant ``name`` chosen; raises InputError for an unknown variant."""
        variants = self.build.variants
        if name not in variants:
            hint = nearest(name, variants) if variants else "the recipe has no variants"
            raise InputError(f"unknown variant of {self.name}: {name!r}", hint, "correct variants: in reef.yml")
        other = self.model_copy()
        other._variant = name
        return other

    def with_source(self, name: str, folder: Path) -> "Recipe":
        """Return the recipe with ``folder`` instead of its source ``name``; raises InputError."""
        if name not in (names := [source.name for source in self.sources]):
            raise InputError(f"{self.name} has no source {name!r}", nearest(name, names), "use --source NAME=FOLDER")
        if not folder.is_dir():
            raise InputError(
                f"no such folder: {folder}", f"it replaces the source {name} of {self.name}", "correct --source"
            )
        local = Local(path=str(folder.absolute()))
        sources = [
            Source(name=name, unpack=source.unpack, exclude=source.exclude, local=local)
            if source.name == name
            else source
            for source in self.sources
        ]
        other = self.model_copy(update={"sources": sources})
        other._substituted = (*self._substituted, name)
        return other

    def unedited(self) -> "Recipe":
        """Return the recipe without edits, for upstream's unchanged tree."""
        return self.model_copy(update={"edits": [], "keep_source": False})

    def in_folder(self, folder: Path) -> "Recipe":
        """Return the recipe with ``folder`` as the folder of its files."""
        other = self.model_copy()
        other._folder = folder
        return other

    @property
    def revision(self) -> int:
        """The newest changelog entry's revision."""
        return self.changelog[0].revision

    @property
    def epoch(self) -> int:
        """SOURCE_DATE_EPOCH: the newest changelog entry's time, in seconds since 1970 (UTC)."""
        return int(self.changelog[0].date.timestamp())

    def debian_version(self, target: Target, entry: ChangelogEntry | None = None) -> str:
        """Return the packages' version in a suite, as in ``2.14.1-1~deb13``; if given, that of a changelog ``entry``.

        With the suite's number, a board's release upgrade also upgrades its packages. ``~`` sorts before the version
        without a suffix (deb-version(7)). Packages that somebody else built keep their versions.
        """
        if self.build.prebuilt:
            return self.build.prebuilt.versions(target)
        of = entry or self.changelog[0]
        epoch = f"{self.version_epoch}:" if self.version_epoch else ""
        # A revision contains no hyphen; "+" sorts after the same revision without a suffix.
        variant = f"+{self._variant.replace('-', '')}" if self._variant else ""
        # The tilde sorts a portable package below a native package of the same suite.
        portable = f"~portable{self.build.repack.runtime_version}" if self.build.repack else ""
        return f"{epoch}{of.version or self.version}-{of.revision}{variant}~deb{target.suite.release}{portable}"

    def older_root(self, target: Target) -> bool:
        """Return whether the packages for ``target`` are built in the root of an older suite."""
        return self.build.root is not None and SUITES[self.build.root].release < target.suite.release

    def root_suite(self, target: Target) -> Suite:
        """Return the suite of the build root for ``target``."""
        return SUITES[self.build.root or target.suite.name]

    @property
    def takes_all(self) -> str:
        """The recipe's only package if it has no ``files``: it gets everything that the build installs. Else empty."""
        return "" if self.build.only_strategy else self._takes_all

    @property
    def served(self) -> list[Target]:
        """The targets for which the recipe builds packages, native and portable."""
        return [
            Target(SUITES[suite], ARCHITECTURES[architecture])
            for suites, architectures in (
                (self.targets.suites, self.targets.architectures),
                (self.portable.suites, self._portable_cpus) if self.portable else ([], []),
            )
            for suite in suites
            for architecture in architectures
        ]

    @property
    def _portable_cpus(self) -> list[str]:
        return (self.portable.architectures if self.portable else []) or self.targets.architectures

    def serves(self, target: Target) -> bool:
        """Return whether the recipe builds for ``target``."""
        return target in self.served

    def repacks(self, target: Target) -> bool:
        """Return whether the packages for ``target`` are portable: made from native packages of another suite."""
        return self.portable is not None and target.suite.name in self.portable.suites

    def needs(self, target: Target) -> list[tuple[str, Target]]:
        """Return the builds whose .debs the build for ``target`` needs, by recipe and target."""
        needed = [(name, target) for name in self.build.recipes]
        return [*needed, (self.name, self.native(target))] if self.build.repack else needed

    def native(self, target: Target) -> Target:
        """Return the target of the packages that those for ``target`` are made from; for native ones, ``target``."""
        repack = self.build.repack
        return Target(SUITES[repack.native], target.architecture) if repack else target

    def possible(self, strategy: StrategyName, machine: Architecture, target: Target) -> bool:
        """Return whether the recipe allows ``strategy`` and a machine with CPU ``machine`` can build this way."""
        if self.build.only_strategy or strategy in ("repack", "prebuilt"):
            return strategy == self.build.only_strategy
        if target.architecture.runs_on(machine):
            return strategy == "native"
        return strategy != "native" and strategy in self.strategy

    def strategy_for(self, machine: Architecture, target: Target) -> StrategyName:
        """Return the strategy on a machine with CPU ``machine``: native, else the recipe's first choice."""
        if self.build.only_strategy:
            return self.build.only_strategy
        if target.architecture.runs_on(machine):
            return "native"
        return next((s for s in self.strategy if s != "native"), "emulate")
