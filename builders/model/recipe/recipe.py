"""Recipes: what to build, from which pinned sources, into which packages, and how to check them."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import pydantic

from builders.errors import InputError, nearest
from builders.model.arch import ARCHITECTURES, Architecture
from builders.model.recipe.bazel import Bazel
from builders.model.recipe.build_system import BuildSystemModel
from builders.model.recipe.package import Package, PackageName
from builders.model.recipe.source import (
    Edit,
    Local,
    Source,
    SourceName,
)
from builders.model.target import SUITES, Target
from builders.model.yaml_file import Model, load

UpstreamVersion = Annotated[str, pydantic.StringConstraints(pattern=r"^[0-9][A-Za-z0-9.+~]*$")]
"""Debian Policy 5.6.12 without epoch and hyphen, so that the revision after the last hyphen is unambiguous."""


StrategyName = Literal["native", "cross", "emulate"]


class Serves(Model):
    """The suites and architectures that a recipe builds for."""

    suites: Annotated[list[str], pydantic.Field(min_length=1)]
    architectures: Annotated[list[str], pydantic.Field(min_length=1)]

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


class BuildSpec(Model):
    """How the tree is compiled: POSIX shell run by debian/rules in the source tree, with ``sh -eu``.

    The scripts see Debian's ``DEB_*`` variables (dpkg-architecture), dpkg-buildflags' ``CFLAGS`` and kin,
    ``DESTDIR`` (install only), ``JOBS`` and ``RECIPE`` (the folder with the recipe's ``files/``).
    """

    tools: list[str] = []
    """Debian packages that run on the build machine."""
    libraries: list[str] = []
    """Debian packages for the target CPU."""
    recipes: dict[str, list[str]] = {}
    """Recipes to build against -> which of their packages are installed, for the target CPU, before the build."""
    root: str | None = None
    """The suite to build in where it is not the target's: an older one, so that all suites get equal programs."""
    bazel: Bazel | None = None
    """Built by Bazel, after ``configure`` and before ``compile``."""
    fetch: str | None = None
    """The only step with a network; runs in the source tree before everything else."""
    configure: str = ""
    compile: str = ""
    install: str = ""
    time_limit_s: float | None = None

    @property
    def system(self) -> BuildSystemModel | None:
        """The build system that the recipe names; None where its shell steps compile alone."""
        return self.bazel

    @property
    def variants(self) -> dict[str, list[str]]:
        """The variants that can be built, each with the flags of its build system."""
        return self.system.variants if self.system else {}


class Check(Model):
    """A script that must succeed (and print ``expect``) where the packages are installed."""

    name: SourceName
    on: Literal["target"] = "target"
    """``target``: a clean root of the target's suite and CPU, from the staged repository."""
    packages: Annotated[list[str], pydantic.Field(min_length=1)]
    script: str
    """A file of the recipe's folder."""
    expect: list[str] = []
    """Each must stand as a whole line of the script's output."""


class ChangelogEntry(Model):
    """One entry of debian/changelog, the newest first; its date is the build's SOURCE_DATE_EPOCH."""

    revision: Annotated[int, pydantic.Field(ge=1)]
    version: UpstreamVersion | None = None
    """The upstream version, where it differs from the recipe's."""
    date: datetime
    changes: Annotated[list[str], pydantic.Field(min_length=1)]

    @pydantic.field_validator("date")
    @classmethod
    def _has_zone(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            raise ValueError("a time zone is wanted, as in 2026-01-31T12:00:00Z")
        if value.timestamp() < 0:
            raise ValueError("SOURCE_DATE_EPOCH counts from 1970")
        return value


class Copyright(Model):
    """One paragraph of debian/copyright (machine-readable format 1.0)."""

    files: Annotated[list[str], pydantic.Field(min_length=1)]
    copyright: Annotated[list[str], pydantic.Field(min_length=1)]
    license: str


class Recipe(Model):
    """A recipe as its ``recipe.yml`` gives it."""

    name: PackageName
    version: UpstreamVersion
    version_epoch: Annotated[int, pydantic.Field(ge=0)] = 0
    """Put before the version where not 0 (Policy 5.6.12): it then sorts above any version without one."""
    summary: str
    description: str = ""
    homepage: str
    license: str
    section: str = "misc"
    tensorflow: str | None = None
    """The train: TensorFlow's ``major.minor`` whose ABI the packages share."""
    by_default: bool = True
    """Whether the recipe is taken where none is named; if not, it is from its first build on."""
    changelog: Annotated[list[ChangelogEntry], pydantic.Field(min_length=1)]
    copyright: list[Copyright] = []
    sources: Annotated[list[Source], pydantic.Field(min_length=1)]
    edits: list[Edit] = []
    targets: Serves
    strategy: Annotated[list[StrategyName], pydantic.Field(min_length=1)] = ["cross", "emulate"]
    cautions: dict[StrategyName, str] = {}
    """What to know before a build by a strategy begins: told by the plan, and by the build as a warning."""
    build: BuildSpec
    packages: Annotated[list[Package], pydantic.Field(min_length=1)]
    checks: list[Check] = []
    keep_source: bool = False
    """Whether a Debian source package is made too, and published for ``apt-get source``.

    It is one for all CPUs, so that texts of the recipe cannot use ``{{ architecture }}`` and ``{{ triplet }}``, and
    whole, so that the build fetches nothing. A change in the packaging then wants a new revision.
    """

    _folder: Path = pydantic.PrivateAttr(default=Path())
    _variant: str = pydantic.PrivateAttr(default="")
    _substituted: tuple[str, ...] = pydantic.PrivateAttr(default=())

    @pydantic.field_validator("sources")
    @classmethod
    def _named_once(cls, value: list[Source]) -> list[Source]:
        names = [source.name for source in value]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two sources have one name: {', '.join(twice)}")
        return value

    @pydantic.model_validator(mode="after")
    def _oldest_root(self) -> "Recipe":
        if self.build.root is not None:
            if self.build.root not in SUITES:
                raise ValueError(f"unknown suite {self.build.root!r}; {nearest(self.build.root, SUITES)}")
            older = [name for name in self.targets.suites if SUITES[name].release < SUITES[self.build.root].release]
            if older:
                raise ValueError(f"build.root {self.build.root} is newer than the suite {older[0]} to be served")
        return self

    @pydantic.model_validator(mode="after")
    def _whole_source(self) -> "Recipe":
        system = self.build.system
        fetching = f"build.{system.key}" if system else "build.fetch" if self.build.fetch else ""
        if self.keep_source and fetching:
            raise ValueError(f"keep_source: {fetching} fetches what the source package would not hold; leave one out")
        return self

    @property
    def folder(self) -> Path:
        """The folder that ``recipe.yml`` lies in; file names in the recipe are relative to it."""
        return self._folder

    @property
    def variant(self) -> str:
        """The variant that is built, the first of the recipe's unless `as_variant` chose; empty where it has none."""
        return self._variant or next(iter(self.build.variants), "")

    @property
    def substituted(self) -> tuple[str, ...]:
        """The sources that `with_source` put a folder in the place of."""
        return self._substituted

    @property
    def emulation(self) -> dict[str, str]:
        """The variable that makes QEMU the CPU which the variant is called after: GCC and QEMU call them alike."""
        return {"QEMU_CPU": self.variant} if self.variant.startswith("cortex-") else {}

    def as_variant(self, name: str) -> "Recipe":
        """Return the recipe building the variant ``name``; raises InputError for one that it does not know."""
        variants = self.build.variants
        if name not in variants:
            hint = nearest(name, variants) if variants else "the recipe has no variants"
            raise InputError(f"unknown variant of {self.name}: {name!r}", hint, "mend variants: in reef.yml")
        other = self.model_copy()
        other._variant = name
        return other

    def with_source(self, name: str, folder: Path) -> "Recipe":
        """Return the recipe with the folder ``folder`` in the place of its source ``name``; raises InputError."""
        if name not in (names := [source.name for source in self.sources]):
            raise InputError(f"{self.name} has no source {name!r}", nearest(name, names), "--source NAME=FOLDER")
        if not folder.is_dir():
            raise InputError(f"no such folder: {folder}", f"given for the source {name} of {self.name}")
        sources = [
            Source(name=one.name, unpack=one.unpack, local=Local(path=str(folder.absolute())))
            if one.name == name
            else one
            for one in self.sources
        ]
        other = self.model_copy(update={"sources": sources})
        other._substituted = (*self._substituted, name)
        return other

    def unedited(self) -> "Recipe":
        """Return the recipe without its edits, for upstream's own tree."""
        return self.model_copy(update={"edits": [], "keep_source": False})

    @property
    def revision(self) -> int:
        """The newest changelog entry's revision."""
        return self.changelog[0].revision

    @property
    def epoch(self) -> int:
        """SOURCE_DATE_EPOCH: the newest changelog entry's time, in seconds since 1970 (UTC)."""
        return int(self.changelog[0].date.timestamp())

    def debian_version(self, target: Target, entry: ChangelogEntry | None = None) -> str:
        """Return the packages' version in a suite, as in ``2.14.1-1~deb13``; of an older changelog ``entry`` if given.

        The suite's number makes a board's release upgrade upgrade its packages; ``~`` sorts below a version without
        it (deb-version(7)).
        """
        of = entry or self.changelog[0]
        epoch = f"{self.version_epoch}:" if self.version_epoch else ""
        # A revision holds no hyphen; "+" sorts above the same revision without it.
        variant = f"+{self._variant.replace('-', '')}" if self._variant else ""
        return f"{epoch}{of.version or self.version}-{of.revision}{variant}~deb{target.suite.release}"

    def older_root(self, target: Target) -> bool:
        """Tell whether the packages for ``target`` are built in the root of an older suite."""
        return self.build.root is not None and self.build.root != target.suite.name

    def serves(self, target: Target) -> bool:
        """Tell whether the recipe builds for ``target``."""
        return target.suite.name in self.targets.suites and target.architecture.debian in self.targets.architectures

    def possible(self, strategy: StrategyName, machine: Architecture, target: Target) -> bool:
        """Tell whether the recipe wants ``strategy`` and a machine with CPU ``machine`` can build so for ``target``."""
        if target.architecture.runs_on(machine):
            return strategy == "native"
        return strategy != "native" and strategy in self.strategy

    def strategy_for(self, machine: Architecture, target: Target) -> StrategyName:
        """Choose how to build on a machine with CPU ``machine``: native, else the recipe's first choice."""
        if target.architecture.runs_on(machine):
            return "native"
        return next((s for s in self.strategy if s != "native"), "emulate")


def load_recipe(folder: Path) -> Recipe:
    """Read ``folder/recipe.yml``; raises InputError with file and line for each fault."""
    path = folder / "recipe.yml"
    recipe = load(path, Recipe)
    if recipe.name != folder.name:
        raise InputError(
            f"{path}: the recipe is named {recipe.name!r}, its folder {folder.name!r}", fix="give both one name"
        )
    recipe._folder = folder
    _check_files(recipe, path)
    return recipe


def _check_files(recipe: Recipe, path: Path) -> None:
    named = [c.script for c in recipe.checks]
    for package in recipe.packages:
        named += [n for n in (package.symbols, package.udev, package.systemd, package.dkms) if n]
        named += list(package.conffiles.values()) + package.manpages
    missing = [name for name in named if not (recipe.folder / name).is_file()]
    if missing:
        raise InputError(f"{path}: files that the recipe names are missing", ", ".join(missing))


def load_recipes(folder: Path) -> dict[str, Recipe]:
    """Read every recipe below ``folder``, by name, sorted; raises InputError where there is none."""
    found = {f.parent.name: load_recipe(f.parent) for f in sorted(folder.glob("*/recipe.yml"))}
    if not found:
        raise InputError(f"no recipes in {folder}", fix="a recipe is a folder with a recipe.yml in it")
    return found


def choose(recipes: dict[str, Recipe], names: list[str]) -> list[Recipe]:
    """Return the named recipes and those they build against, in build order; all where ``names`` is empty.

    Raises InputError for an unknown name (with the nearest) and for a circle.
    """
    order: list[Recipe] = []
    for name in names or list(recipes):
        _visit(name, recipes, order, ())
    return order


def _visit(name: str, recipes: dict[str, Recipe], order: list[Recipe], above: tuple[str, ...]) -> None:
    if name not in recipes:
        raise InputError(f"unknown recipe: {name!r}", nearest(name, recipes))
    if name in above:
        raise InputError("recipes build against each other in a circle", " -> ".join([*above, name]))
    if recipes[name] in order:
        return
    for needed, packages in recipes[name].build.recipes.items():
        _visit(needed, recipes, order, (*above, name))
        made = [package.name for package in recipes[needed].packages]
        for package in packages:
            if package not in made:
                raise InputError(
                    f"{name} builds against {package}, which {needed} does not make", nearest(package, made)
                )
    order.append(recipes[name])
