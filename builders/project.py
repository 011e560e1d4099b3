"""One opened project: its settings, recipes and workspace, the machine, and the engine that runs its jobs."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from builders import arch
from builders.arch import Architecture
from builders.engines import Engine
from builders.engines.chroot.engine import ChrootEngine
from builders.errors import InputError
from builders.fingerprint import fingerprint
from builders.log import Log
from builders.plan import Wanted
from builders.recipe import Recipe, StrategyName, choose, load_recipes
from builders.settings import Settings, load_settings
from builders.state import Fingerprint, read_record
from builders.target import Target, parse_target
from builders.workspace import Workspace


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
    def open(folder: Path, log: Log) -> "Project":
        """Read the project in ``folder``; raises InputError for what is wrong in its files."""
        if not folder.is_dir():
            raise InputError(
                f"no such folder: {folder}", "REEF_FOLDER names the project", "name a folder with a reef.yml"
            )
        settings = load_settings(folder)
        recipes = load_recipes(folder / settings.recipes)
        machine = arch.by_machine(platform.machine())
        workspace = Workspace(folder / settings.artifacts)
        log.keep(workspace.logs / "steps.log")
        return Project(folder, settings, recipes, workspace, machine, log)

    @property
    def jobs(self) -> int:
        """How many compilers run at once: as set, else one for each core that this process may use."""
        return self.settings.jobs or len(os.sched_getaffinity(0))

    def engine(self, name: str | None = None, workspace: Workspace | None = None) -> Engine:
        """Return the engine called ``name`` (by default the one in reef.yml), on another workspace if given."""
        wanted = name or self.settings.engine
        if wanted not in ("auto", "chroot"):
            raise InputError(f"unknown engine: {wanted!r}", "known: auto, chroot")
        return ChrootEngine(workspace or self.workspace, self.settings, self.machine)

    def targets(self, names: list[str]) -> list[Target]:
        """Return the targets called ``names`` (by default those in reef.yml)."""
        return [parse_target(name) for name in names] if names else self.settings.default_targets()

    def _built_by(self, recipe: Recipe, target: Target) -> StrategyName | None:
        """Return the strategy that what is built was built by, where it still is possible: it stays up to date."""
        record = read_record(self.workspace.build(recipe.name, target.slug))
        way = record.fingerprint.get("strategy") if record else None
        return way if way is not None and recipe.possible(way, self.machine, target) else None

    def wanted(self, recipes: list[str], targets: list[str], strategy: StrategyName | None = None) -> list[Wanted]:
        """Return the builds asked for, in build order, each with its fingerprint.

        Named recipes must serve the named targets; where one side is not named, what does not fit is left out.
        Raises InputError for unknown names, and where nothing is left.
        """
        found: list[Wanted] = []
        for target in self.targets(targets):
            done: dict[str, Fingerprint] = {}
            for recipe in choose(self.recipes, recipes):
                if not recipe.serves(target):
                    if recipes and targets:
                        raise _not_served(recipe, target)
                    continue
                way = strategy or self._built_by(recipe, target) or recipe.strategy_for(self.machine, target)
                if not recipe.possible(way, self.machine, target):
                    raise InputError(
                        f"{recipe.name} for {target} cannot be built by strategy {way!r} on {self.machine}",
                        f"the recipe's own order: {', '.join(recipe.strategy)}; native needs the target's CPU",
                    )
                against = {name: done[name] for name in recipe.build.recipes}
                done[recipe.name] = fingerprint(
                    recipe, target, strategy=way, machine=self.machine, settings=self.settings, against=against
                )
                found.append(Wanted(recipe, target, way, done[recipe.name]))
        if not found:
            raise InputError(
                "no recipe serves these targets",
                f"recipes: {', '.join(recipes or self.recipes)}; targets: {', '.join(map(str, self.targets(targets)))}",
                "invoke list shows which recipe serves which target",
            )
        return found


def _not_served(recipe: Recipe, target: Target) -> InputError:
    serves = [f"{s}/{a}" for s in recipe.targets.suites for a in recipe.targets.architectures]
    return InputError(f"{recipe.name} does not serve {target}", f"it serves: {', '.join(serves)}")
