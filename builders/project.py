"""One opened project: its settings, recipes and workspace, the machine, and the engine that runs its jobs."""

import os
import platform
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from builders.engines import Engine
from builders.engines.select import Engines
from builders.errors import InputError, nearest
from builders.fingerprint import fingerprint
from builders.host.log import Log
from builders.host.workspace import Workspace
from builders.model import arch
from builders.model.arch import ARCHITECTURES, Architecture
from builders.model.jobs import Root
from builders.model.recipe import Recipe, StrategyName, choose, load_recipes
from builders.model.settings import Settings, load_settings, shared_cache
from builders.model.target import Target, parse_target
from builders.plan import Wanted
from builders.state import Fingerprint, read_record

BASES = ("auto", "registry", "bootstrap")


@dataclass(frozen=True)
class Project:
    """Everything a command works with; ``folder`` holds reef.yml."""

    folder: Path
    settings: Settings
    recipes: dict[str, Recipe]
    workspace: Workspace
    machine: Architecture
    log: Log

    @staticmethod
    def open(folder: Path, log: Log, *, without_recipes: bool = False) -> "Project":
        """Read the project in ``folder``; raises InputError for what is wrong in its files, and where it has no recipe
        unless ``without_recipes``."""
        if not folder.is_dir():
            raise InputError(
                f"no such folder: {folder}", "REEF_FOLDER names the project", "name a folder with a reef.yml"
            )
        settings = load_settings(folder)
        recipes = _recipes(folder / settings.recipes, without=without_recipes)
        for name, variant in settings.variants.items():
            if not recipes:
                break
            if name not in recipes:
                raise InputError(f"reef.yml names a variant of an unknown recipe: {name!r}", nearest(name, recipes))
            recipes[name] = recipes[name].as_variant(variant)
        machine = arch.by_machine(platform.machine())
        workspace = Workspace(folder / settings.artifacts, shared_cache=shared_cache(folder, settings))
        log.keep(workspace.logs / "steps.log")
        return Project(folder, settings, recipes, workspace, machine, log)

    def with_sources(self, given: Sequence[str]) -> "Project":
        """Return the project with folders in the place of recipes' sources: ``NAME=FOLDER`` or ``RECIPE:NAME=FOLDER``.

        Without a recipe's name every recipe that has the source gets it. Raises InputError.
        """
        recipes = dict(self.recipes)
        for text in given:
            names, equals, place = text.partition("=")
            of, _, name = names.rpartition(":")
            if not equals or not name or not place:
                raise InputError(f"not a source: {text!r}", "--source NAME=FOLDER is wanted")
            known = {source.name for recipe in recipes.values() for source in recipe.sources}
            if of and of not in recipes:
                raise InputError(f"unknown recipe: {of!r}", nearest(of, recipes))
            if not of and name not in known:
                raise InputError(f"no recipe has a source {name!r}", nearest(name, known))
            for each in [recipes[of]] if of else list(recipes.values()):
                if of or name in {source.name for source in each.sources}:
                    recipes[each.name] = each.with_source(name, Path(place).expanduser())
        return replace(self, recipes=recipes)

    def jobs(self, engine: Engine, root: Root) -> int:
        """Return how many compilers run at once: as set, else one for each processor that a job in ``root`` has."""
        return self.settings.jobs or engine.cores(root)

    @property
    def engines(self) -> Engines:
        """The engines that run this project's jobs."""
        return Engines(self.workspace, self.settings, self.folder, self.machine, self.log)

    def with_base(self, base: str | None) -> "Project":
        """Return this project with the buildx engine's base images coming from ``base``, where that is given."""
        if base is None:
            return self
        if base not in BASES:
            raise InputError(f"unknown base: {base!r}", f"known: {', '.join(BASES)}")
        buildx = self.settings.buildx.model_copy(update={"base": base})
        return replace(self, settings=self.settings.model_copy(update={"buildx": buildx}))

    def targets(self, names: list[str]) -> list[Target]:
        """Return the targets called ``names`` (by default those in reef.yml)."""
        return [parse_target(name) for name in names] if names else self.settings.default_targets()

    def _one(
        self, recipe: Recipe, target: Target, asked: StrategyName | None, against: dict[str, Fingerprint], *,
        rebuild: bool, engine: str | None,
    ) -> Wanted:  # fmt: skip
        """Return one build: as it was built where that is up to date (unless ``rebuild``), else as this machine would.

        What a machine of another CPU built, natively or cross, thus needs no second build where it is published from.
        """

        def of(way: StrategyName, machine: Architecture) -> Wanted:
            document = fingerprint(
                recipe, target, strategy=way, machine=machine, settings=self.settings, against=against
            )
            return Wanted(recipe, target, way, document)

        record = read_record(self.workspace.build(recipe.name, target.slug)) if asked is None else None
        built_by: StrategyName | None = record.fingerprint.get("strategy") if record else None
        machine = ARCHITECTURES.get(record.fingerprint.get("root", {}).get("build")) if record else None
        if record and built_by and machine and not rebuild:
            there = of(built_by, machine)
            if there.fingerprint == record.fingerprint:
                return there
        here = self.engines.machine_for(target.architecture, engine)
        if built_by and not _possible(recipe, built_by, {here, self.machine}, target):
            built_by = None
        way = asked or built_by or recipe.strategy_for(here, target)
        if not _possible(recipe, way, {here, self.machine}, target):
            raise InputError(
                f"{recipe.name} for {target} cannot be built by strategy {way!r} on {self.machine}",
                f"the recipe's own order: {', '.join(recipe.strategy)}; native needs the target's CPU",
            )
        return of(way, self.machine)

    def wanted(
        self, recipes: list[str], targets: list[str], strategy: StrategyName | None = None, *, rebuild: bool = False,
        engine: str | None = None,
    ) -> list[Wanted]:  # fmt: skip
        """Return the builds asked for, in build order, each with its fingerprint.

        ``engine`` is the one that builds (by default that of reef.yml): nodes of buildx may have a target's CPU.
        With ``rebuild`` what another machine built is asked for as this one would build it. Raises InputError as
        `served` does, and for a strategy that is not possible here.
        """
        found: list[Wanted] = []
        done: dict[tuple[str, Target], Fingerprint] = {}
        for recipe, target in self.served(recipes, targets):
            against = {name: done[name, target] for name in recipe.build.recipes}
            one = self._one(recipe, target, strategy, against, rebuild=rebuild, engine=engine)
            done[recipe.name, target] = one.fingerprint
            found.append(one)
        return found

    def now(self, one: Wanted) -> Fingerprint:
        """Return the fingerprint of ``one``, made again of its files as they are now; what it builds against stays."""
        machine = ARCHITECTURES[one.fingerprint["root"]["build"]]
        document = fingerprint(
            one.recipe, one.target, strategy=one.strategy, machine=machine, settings=self.settings, against={}
        )
        return {**document, "against": one.fingerprint["against"]}

    def served(
        self, recipes: list[str], targets: list[str], also: Collection[str] | None = None
    ) -> list[tuple[Recipe, Target]]:
        """Return which of the recipes (with those they build against) are built for which targets, in build order.

        Named recipes must serve the named targets; where one side is not named, what does not fit is left out. Where
        no recipe is named, those are taken that are built by default or were built before; with ``also`` (which may be
        empty) those by default and these, whatever was built here. Raises InputError for unknown names, and where
        nothing is left.
        """
        found: list[tuple[Recipe, Target]] = []
        for target in self.targets(targets):
            names = recipes or self._unnamed(target, also)
            for recipe in choose(self.recipes, names) if names else ():
                if recipe.serves(target):
                    found.append((recipe, target))
                elif recipes and targets:
                    raise _not_served(recipe, target)
        if not found:
            raise InputError(
                "no recipe serves these targets",
                f"recipes: {', '.join(recipes or self.recipes)}; targets: {', '.join(map(str, self.targets(targets)))}",
                "./inv list shows which recipe serves which target",
            )
        return found

    def _unnamed(self, target: Target, also: Collection[str] | None) -> list[str]:
        """Return the recipes to take for a target where none is named."""

        def added(name: str) -> bool:
            if also is not None:
                return name in also
            return read_record(self.workspace.build(name, target.slug)) is not None

        return [name for name, recipe in self.recipes.items() if recipe.by_default or added(name)]


def _recipes(folder: Path, *, without: bool) -> dict[str, Recipe]:
    if without and not any(folder.glob("*/recipe.yml")):
        return {}
    try:
        return load_recipes(folder)
    except InputError as error:
        if any(folder.glob("*/recipe.yml")) or not (named := os.environ.get("REEF_FOLDER")):
            raise
        raise InputError(error.what, f"REEF_FOLDER is set: the project is {named}", error.fix) from error


def _possible(recipe: Recipe, way: StrategyName, machines: set[Architecture], target: Target) -> bool:
    return any(recipe.possible(way, machine, target) for machine in machines)


def _not_served(recipe: Recipe, target: Target) -> InputError:
    serves = [f"{s}/{a}" for s in recipe.targets.suites for a in recipe.targets.architectures]
    return InputError(f"{recipe.name} does not serve {target}", f"it serves: {', '.join(serves)}")
