"""The command that writes a recipe."""

from pathlib import Path

from builders.cli.app import open_project
from builders.errors import BuildError, InputError, PackageError, RootError
from builders.maintenance.new_recipe import new_recipe
from builders.maintenance.new_recipe.own_recipes import add_own, is_own
from builders.maintenance.new_recipe.prebuilt import new_prebuilt
from builders.model.settings import Settings
from builders.pipeline.project import Project


def new(name: str, source: str | None, prebuilt: list[str], *, build: bool) -> None:
    """Write a recipe for a source or for .debs, and say what to do next.

    Raises the error of a first build that failed, after the recipe is written.
    """
    if prebuilt and source:
        raise InputError("--source and --prebuilt exclude each other", fix="write a recipe for each")
    if prebuilt:
        project = open_project(settings_alone=True)
        _warn_of_checkout(project)
        folder = new_prebuilt(project, name, prebuilt)
        project.log.note(f"wrote: {folder / 'recipe.yml'}")
        project.log.note(f"next: ./inv build-arm --recipe {name} publish-apt")
        return
    if not source and is_own(name):
        project = open_project(settings_alone=True)
        project.log.note(f"wrote: {add_own(project, name) / 'recipe.yml'}, a copy of Reef's own recipe")
        return
    if not source:
        raise InputError(
            "--source is missing", "a new recipe needs a source, or .debs with --prebuilt",
            "name a URL of an archive, a git URL, a source package of Debian, or a folder",
        )  # fmt: skip
    project = open_project(settings_alone=True)
    _warn_of_checkout(project)
    written = new_recipe(project, name, source, build=build)
    project.log.note(f"wrote: {written.folder / 'recipe.yml'}")
    for package in written.recipe.proposal.packages:
        project.log.note(f"  package {package.name}: {package.summary}")
    for line in written.recipe.left_to_fill_in:
        project.log.warn(f"left to fill in: {line}")
    if project.settings.maintainer == Settings.model_fields["maintainer"].default:
        project.log.warn(f"left to fill in: maintainer: in reef.yml; packages name {project.settings.maintainer}")
    if written.failure:
        of_recipe = isinstance(written.failure, (BuildError, RootError, InputError, PackageError))
        first = f"correct {written.folder / 'recipe.yml'}" if of_recipe else written.failure.fix
        raise type(written.failure)(
            written.failure.what, written.failure.detail, f"{first}, then: ./inv build-arm --recipe {name}"
        )
    if written.skipped:
        project.log.warn("no first build, as something is left to fill in: the recipe has one package with all files")
    first = f"fill in {written.folder / 'recipe.yml'}, then: " if written.recipe.left_to_fill_in else ""
    project.log.note(f"next: {first}./inv build-arm --recipe {name} publish-apt")


def _warn_of_checkout(project: Project) -> None:
    """Warn of a recipe that gets into Reef's own checkout."""
    if project.folder.resolve() == Path(__file__).parents[2].resolve():
        project.log.warn(
            f"{project.settings.recipes} is in Reef's own checkout; keep recipes of your own in a folder with a "
            "reef.yml (docs/recipes.md, Recipes of your own)"
        )
