"""An open project: its settings, recipes and workspace, the machine, and the engines that run its jobs."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from builders.engines import Engine
from builders.engines.select import Engines
from builders.errors import InputError, nearest
from builders.host.log import Log
from builders.host.workspace import Workspace
from builders.model import arch
from builders.model.context import Context
from builders.model.jobs import BuildJob, JobResult, Root
from builders.model.recipe import Recipe, load_recipes, recipe_named
from builders.model.settings import load_settings, shared_cache
from builders.model.target import Target, parse_target

BASES = ("auto", "registry", "bootstrap")


@dataclass(frozen=True)
class Project(Context):
    """The input of every command: a context with recipes."""

    recipes: dict[str, Recipe]

    @staticmethod
    def open(
        folder: Path, log: Log, *, without_recipes: bool = False, settings_alone: bool = False
    ) -> "Project":  # fmt: skip
        """Read the project in ``folder``; raises InputError for mistakes in its files, and if it has no recipe unless
        ``without_recipes``. With ``settings_alone`` no recipe is read."""
        if not folder.is_dir():
            raise InputError(
                f"no such folder: {folder}", "REEF_FOLDER names the project", "name a folder with a reef.yml"
            )
        settings = load_settings(folder)
        recipes = {} if settings_alone else _recipes(folder / settings.recipes, without=without_recipes)
        for name, variant in settings.variants.items():
            if not recipes:
                break
            if name not in recipes:
                raise InputError(
                    f"reef.yml names a variant of an unknown recipe: {name!r}",
                    nearest(name, recipes),
                    "correct variants: in reef.yml",
                )
            recipes[name] = recipes[name].as_variant(variant)
        machine = arch.by_machine(platform.machine())
        workspace = Workspace(folder / settings.artifacts, shared_cache=shared_cache(folder, settings))
        log.keep(workspace.logs / "steps.log")
        return Project(folder, settings, workspace, machine, log, recipes)

    def with_sources(self, given: Sequence[str]) -> "Project":
        """Return the project with folders instead of recipes' sources: ``NAME=FOLDER`` or ``RECIPE:NAME=FOLDER``.

        Without a recipe's name, every recipe with this source gets the folder. Raises InputError.
        """
        recipes = dict(self.recipes)
        for text in given:
            names, equals, place = text.partition("=")
            of, _, name = names.rpartition(":")
            if not equals or not name or not place:
                raise InputError(
                    f"not a source: {text!r}", "given with --source", "write NAME=FOLDER or RECIPE:NAME=FOLDER"
                )
            known = {source.name for recipe in recipes.values() for source in recipe.sources}
            chosen = [recipe_named(recipes, of)] if of else list(recipes.values())
            if not of and name not in known:
                raise InputError(
                    f"no recipe has a source {name!r}", nearest(name, known), "its name is in sources: of the recipe"
                )
            for each in chosen:
                if of or name in {source.name for source in each.sources}:
                    recipes[each.name] = each.with_source(name, Path(place).expanduser())
        return replace(self, recipes=recipes)

    def jobs(self, engine: Engine, root: Root) -> int:
        """Return how many compilers run at once: the setting, or one for each processor of a job in ``root``."""
        return self.settings.jobs or engine.cores(root)

    @property
    def engines(self) -> Engines:
        """The engines that run this project's jobs."""
        return Engines(self)

    def run_in_root(self, job: BuildJob, output: Path) -> JobResult:
        """Run a job on the engine of reef.yml; raises RootError, BuildError, HostError."""
        engine = self.engines.get()
        engine.check(job.root)
        return self.engines.run(engine, job, output)

    def with_base(self, base: str | None) -> "Project":
        """Return this project with ``base``, if given, as the origin of the buildx engine's base images."""
        if base is None:
            return self
        if base not in BASES:
            raise InputError(f"unknown base: {base!r}", f"known: {', '.join(BASES)}", "name one of these with --base")
        buildx = self.settings.buildx.model_copy(update={"base": base})
        return replace(self, settings=self.settings.model_copy(update={"buildx": buildx}))

    def targets(self, names: list[str]) -> list[Target]:
        """Return the targets called ``names`` (by default those in reef.yml)."""
        return [parse_target(name) for name in names] if names else self.settings.default_targets()


def _recipes(folder: Path, *, without: bool) -> dict[str, Recipe]:
    if without and not any(folder.glob("*/recipe.yml")):
        return {}
    try:
        return load_recipes(folder)
    except InputError as error:
        if any(folder.glob("*/recipe.yml")) or not (named := os.environ.get("REEF_FOLDER")):
            raise
        raise InputError(error.what, f"REEF_FOLDER is set: the project is {named}", error.fix) from error
