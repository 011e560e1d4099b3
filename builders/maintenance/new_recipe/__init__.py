"""Writing a recipe for a source: fetched, read, built once, and split into packages."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from builders import deb, sources
from builders.errors import BuildError, InputError, ReefError, RootError
from builders.maintenance.new_recipe.debian_source import hints
from builders.maintenance.new_recipe.discovered import Discovered, printable, unique
from builders.maintenance.new_recipe.installed import Installed, installed_files
from builders.maintenance.new_recipe.origin import Origin, fetched, origin_of
from builders.maintenance.new_recipe.proposal import Proposal, cleaned, draft, propose
from builders.maintenance.new_recipe.tree_facts import readme_summary, tree_facts
from builders.maintenance.new_recipe.writer import NewRecipe, require_name
from builders.model.packages import DEBUG_SUFFIX
from builders.model.recipe import StrategyName
from builders.model.source_tree import SourceTree
from builders.model.target import Target
from builders.pipeline.build import run_build
from builders.pipeline.planning.selection import select
from builders.pipeline.project import Project

EMULATED: tuple[StrategyName, ...] = ("emulate",)


@dataclass(frozen=True)
class Written:
    """A recipe that was written, what is left to fill in, and why its first build failed, empty if it did not.

    ``skipped`` says whether there was no first build, although it was asked for.
    """

    folder: Path
    recipe: NewRecipe
    failure: ReefError | None = None
    skipped: bool = False


def new_recipe(project: Project, name: str, source: str, *, build: bool = True) -> Written:
    """Write a recipe for ``source`` into the project and return it.

    With ``build``, a first build shows which files there are, so that libraries and programs become packages of their
    own. If it fails, the recipe has one package. Raises InputError for a bad or taken name, and the errors of sources,
    but not those of the first build.
    """
    recipes = project.folder / project.settings.recipes
    require_name(name, recipes)
    targets = [target for target in project.targets([]) if target.suite.mirrored]
    if not targets:
        raise InputError("no root can be made for the targets of reef.yml", fix="name a newer suite in targets:")
    origin = origin_of(name, source, targets[0], project)
    new = NewRecipe(name, origin.facts, Proposal(()), targets, datetime.now(UTC).replace(microsecond=0))
    tree = fetched(name, origin.facts.sources, targets[0].suite.name, project)
    if not any(path.is_file() for path in tree.path.rglob("*")):
        project.log.warn(f"the source has no file: {source}")
    facts = _read(origin, tree, project)
    if origin.hinted:
        facts = facts.completed(hints(name, targets[0], project))
    summary = summary_of(facts.summary or readme_summary(tree.path))
    facts = replace(facts, summary=summary, description=cleaned(facts.description))
    new = replace(new, facts=facts, proposal=Proposal((draft(name, facts),)))
    failure: ReefError | None = None
    skipped = False
    if faults := new.faults(recipes):
        failure = InputError("the recipe's texts break rules of Debian's", faults, "correct the texts in recipe.yml")
    else:
        new = _without_given(new, recipes, targets[0])
        skipped = build and bool(new.left_to_fill_in)
        if build and not skipped:
            tried, failure = _tried(new, project, targets[0])
            if faults := tried.faults(recipes):
                project.log.warn(f"the recipe has one package, as the loader refuses those of the files: {faults}")
                tried = replace(tried, proposal=new.proposal)
            new = tried
    return Written(new.write(recipes), new, failure, skipped)


def _without_given(new: NewRecipe, recipes: Path, target: Target) -> NewRecipe:
    """Return the recipe without the build dependencies that its build system brings."""
    with new.loaded(recipes) as recipe:
        system = deb.build_system(recipe)
        given = {*system.tools(target.suite), *system.libraries(target.suite)}
    tools, libraries = (
        [name for name in names if name not in given] for names in (new.facts.tools, new.facts.libraries)
    )
    return replace(new, facts=replace(new.facts, tools=unique(tools), libraries=unique(libraries)))


def _read(origin: Origin, tree: SourceTree, project: Project) -> Discovered:
    """Return all facts: of the origin first, then of the packaging, then of the tree."""
    facts = origin.facts.completed(origin.packaging(tree, project)) if origin.packaging else origin.facts
    own = tree_facts(tree.path)
    options = (*own.options, *facts.options) if facts.system in ("", own.system) else facts.options
    facts = replace(facts.completed(own), options=unique(options))
    if not (tree.path / ".gitmodules").is_file():
        facts = replace(facts, sources=tuple(map(_without_submodules, facts.sources)))
    if (tree.path / "debian").is_dir():
        reason = "Reef renders the packaging."
        excluded = [{**source, "exclude": [{"path": "debian", "reason": reason}]} for source in facts.sources[:1]]
        facts = replace(facts, sources=(*excluded, *facts.sources[1:]))
    return replace(facts, version=facts.version + origin.suffix)


def _without_submodules(source: Mapping[str, Any]) -> Mapping[str, Any]:
    if "git" not in source:
        return source
    return {**source, "git": {key: value for key, value in source["git"].items() if key != "submodules"}}


def summary_of(text: str) -> str:
    """Return a summary as Debian's developers write it: a phrase of at most 80 characters (Policy 3.4.1)."""
    text = printable(re.sub(r"\s+", " ", text)).strip().rstrip(".")
    text = re.sub(r"^(?:An?|The) (?=\w)", "", text, flags=re.IGNORECASE)
    if len(text) > 80:
        text = text[:80].rpartition(" ")[0].rstrip(",;:- ")
    return text


def _tried(new: NewRecipe, project: Project, target: Target) -> tuple[NewRecipe, ReefError | None]:
    """Return the recipe with the packages that a first build shows; by emulation if the cross compiler fails."""
    failure: ReefError | None = None
    for strategy in ((), EMULATED):
        chosen = replace(new, strategy=strategy)
        try:
            installed = _installed(chosen, project, target)
        except (BuildError, RootError) as error:
            failure = failure or error
            if project.engines.machine_for(target.architecture, None) == target.architecture:
                break
            project.log.warn(f"{error.what}" + ("" if strategy else "; trying it under QEMU"))
            continue
        except ReefError as error:
            return new, failure or error
        return replace(chosen, proposal=propose(new.name, new.facts, installed.files, installed.sonames)), None
    return new, failure


def _installed(new: NewRecipe, project: Project, target: Target) -> Installed:
    """Return the files of the package of a first build."""
    with new.loaded(project.folder / project.settings.recipes) as recipe:
        alone = replace(project, recipes={**project.recipes, recipe.name: recipe})
        build_target = select(alone, [recipe.name], [str(target)])[-1]
        engine = project.engines.get()
        engine.check(build_target.job.root)
        tree = sources.fetch(recipe, project, offline=False)
        with project.workspace.in_use(), project.workspace.scratch_folder(f"new-{recipe.name}") as scratch:
            result = run_build(alone, build_target, engine, tree, scratch)
            debs = [file.path for file in deb.collect(result.output) if not file.package.endswith(DEBUG_SUFFIX)]
            return installed_files(debs)
