"""Selection: the recipes and targets of a command, as build targets in build order."""

from collections.abc import Collection, Mapping, Sequence

from builders import deb
from builders.errors import InputError
from builders.model.arch import ARCHITECTURES, Architecture
from builders.model.recipe import Recipe, StrategyName, choose, for_target, recipe_named
from builders.model.target import Target
from builders.pipeline.planning.fingerprint import fingerprint, short_digest
from builders.pipeline.planning.plan import BuildTarget
from builders.pipeline.planning.records import Record, Records
from builders.pipeline.project import Project


def select(
    project: Project,
    recipes: Sequence[str],
    targets: Sequence[str],
    strategy: StrategyName | None = None,
    *,
    rebuild: bool = False,
    engine: str | None = None,
) -> list[BuildTarget]:
    """Return the requested builds in build order, each with its job, fingerprint and record.

    Portable packages are made from native packages of another suite: the builds of these are included too.
    ``engine`` is the one that builds (by default that of reef.yml): nodes of buildx may have a target's CPU. With
    ``rebuild``, builds of machines with another CPU are planned as this machine builds them. Raises InputError as
    `served` does, and for a strategy that is not possible here.
    """
    records = Records(project.workspace)
    found: dict[tuple[str, Target], BuildTarget] = {}
    for recipe, target in _served(project, recipes, targets, records):
        against = {name: short_digest(found[name, of].fingerprint) for name, of in recipe.needs(target)}
        choice = _Choice(project, recipe, target, against, records.of(recipe.name, target))
        asked = None if recipe.build.only_strategy else strategy
        found[recipe.name, target] = choice.made(asked, rebuild=rebuild, engine=engine)
    return list(found.values())


class _Choice:
    """The choice of strategy and machine for one build; ``debian/`` is rendered once, each job planned once."""

    def __init__(
        self, project: Project, recipe: Recipe, target: Target, against: Mapping[str, str], record: Record | None
    ) -> None:
        self.project, self.recipe, self.target = project, recipe, target
        self.against, self.record = against, record
        self.debian = deb.debian_files(recipe, target, project.settings)
        self.planned: dict[tuple[StrategyName, Architecture], BuildTarget] = {}

    def made(self, asked: StrategyName | None, *, rebuild: bool, engine: str | None) -> BuildTarget:
        """Return the recorded build if it is up to date (unless ``rebuild``), else the build by this machine.

        Builds by machines of another CPU, native or cross, thus need no second build on the machine that publishes.
        """
        record = self.record if asked is None else None
        built_by: StrategyName | None = record.fingerprint.get("strategy") if record else None
        machine = ARCHITECTURES.get(record.fingerprint.get("root", {}).get("build")) if record else None
        if record and built_by and machine and not rebuild:
            recorded = self._planned(built_by, machine)
            if recorded.fingerprint == record.fingerprint:
                return recorded
        here = self.project.engines.machine_for(self.target.architecture, engine)
        if built_by and not self._possible(built_by, here):
            built_by = None
        strategy = asked or built_by or self.recipe.strategy_for(here, self.target)
        if not self._possible(strategy, here):
            raise InputError(
                f"{self.recipe.name} for {self.target} cannot be built by strategy {strategy!r} on "
                f"{self.project.machine}",
                f"the recipe's own order: {', '.join(self.recipe.strategy)}; native needs the target's CPU",
                "leave --strategy out",
            )
        return self._planned(strategy, self.project.machine)

    def _possible(self, strategy: StrategyName, here: Architecture) -> bool:
        return any(self.recipe.possible(strategy, machine, self.target) for machine in (here, self.project.machine))

    def _planned(self, strategy: StrategyName, machine: Architecture) -> BuildTarget:
        if (strategy, machine) not in self.planned:
            job = deb.plan_job(self.recipe, self.target, strategy=strategy, machine=machine, debian=self.debian)
            self.planned[strategy, machine] = BuildTarget(job, fingerprint(job, self.against), self.record)
        return self.planned[strategy, machine]


def served(
    project: Project, recipes: Sequence[str], targets: Sequence[str], also: Collection[str] | None = None
) -> list[tuple[Recipe, Target]]:
    """Return which of the recipes (with those they build against) are built for which targets, in build order.

    Named recipes must serve the named targets; if only one side is named, pairs that do not fit are left out. If no
    recipe is named, these are the recipes built by default and those that have a build here; with ``also`` (which may
    be empty) it replaces the latter. Raises InputError for unknown names, and if nothing is left.
    """
    return _served(project, recipes, targets, Records(project.workspace) if also is None else also)


def _served(
    project: Project, recipes: Sequence[str], targets: Sequence[str], also: Records | Collection[str]
) -> list[tuple[Recipe, Target]]:
    order: dict[tuple[str, Target], Recipe] = {}
    asked = project.targets(list(targets))
    for target in asked:
        names = list(recipes) or _unnamed(project, target, also)
        for recipe in choose(project.recipes, names) if names else ():
            if recipe.serves(target):
                _add(project, recipe.name, target, order)
            elif targets and recipe.name in recipes:  # others are built where the named recipes need them
                raise _not_served(recipe, target)
    if not order:
        raise InputError(
            "no recipe serves these targets",
            f"recipes: {', '.join(recipes or project.recipes)}; targets: {', '.join(map(str, asked))}",
            "./inv list shows which recipe serves which target",
        )
    return [(recipe, target) for (_, target), recipe in order.items()]


def _add(project: Project, name: str, target: Target, order: dict[tuple[str, Target], Recipe]) -> None:
    """Add a build after the builds that it needs, whose targets may differ from its own."""
    if (name, target) in order:
        return
    whole = recipe_named(project.recipes, name)
    if not whole.serves(target):
        raise _not_served(whole, target)
    recipe = for_target(whole, target, project.recipes)
    for needed, of in recipe.needs(target):
        _add(project, needed, of, order)
    order[name, target] = recipe


def _unnamed(project: Project, target: Target, also: Records | Collection[str]) -> list[str]:
    """Return the recipes for a target if the command names none."""

    def added(name: str) -> bool:
        return also.of(name, target) is not None if isinstance(also, Records) else name in also

    return [name for name, recipe in project.recipes.items() if recipe.by_default or added(name)]


def _not_served(recipe: Recipe, target: Target) -> InputError:
    return InputError(
        f"{recipe.name} does not serve {target}",
        f"it serves: {', '.join(map(str, recipe.served))}",
        "name a target that it serves",
    )
