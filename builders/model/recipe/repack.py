"""The recipe of a target: native packages, their second packaging for an older suite, or .debs built elsewhere."""

import re
from collections.abc import Mapping

from builders.errors import InputError, nearest
from builders.model.recipe.build import BuildSpec
from builders.model.recipe.check import Check
from builders.model.recipe.package import Override, Package
from builders.model.recipe.portable import Portable, PortablePackage, RepackSpec
from builders.model.recipe.prebuilt_recipe import prebuilt_for
from builders.model.recipe.recipe import Recipe, Serves
from builders.model.target import SUITES, Target

NOTE = """
This portable package runs on older systems: it brings its own C library
and shared libraries along, in the package {runtime}.
After an upgrade of the system the native package takes its place."""
NAME = re.compile(r"(?<![^|\s])[a-z0-9][a-z0-9+.-]+(?=\s*(?:$|[:(|]))")
"""A package's name at the start of a relation or of an alternative."""
NEEDS = ("pre_depends", "depends", "recommends", "suggests")
"""Relations to packages that a package works with: they get the portable names."""
PRIVATE = "The libraries and the loader are those of the runtime package: the system's own are older."
OVERRIDES = {
    "aliased-location": "The tools of older suites look for units and udev rules in /lib.",
    "custom-library-search-path": PRIVATE,
    "missing-dependency-on-libc": PRIVATE,
}
"""Tags of lintian that every portable package may have, with the reason."""


def for_target(recipe: Recipe, target: Target, recipes: Mapping[str, Recipe]) -> Recipe:
    """Return the recipe of the packages that a build for ``target`` makes.

    For a suite of ``portable``, it is the second packaging of the native packages; ``recipes`` holds the runtime. For
    others, it has a transitional package for each portable package that has another name. A prebuilt recipe has the
    .debs for the target. Raises InputError if the runtime is missing or does not serve the target.
    """
    if recipe.build.prebuilt:
        return prebuilt_for(recipe, recipe.build.prebuilt, target)
    if recipe.portable is None:
        return recipe
    if recipe.repacks(target):
        return _repacked(recipe, recipe.portable, target, recipes)
    natives = [_successor(package, recipe.portable) for package in recipe.packages]
    return recipe.model_copy(update={"packages": [*natives, *_transitional(recipe, recipe.portable)]})


def _repacked(recipe: Recipe, portable: Portable, target: Target, recipes: Mapping[str, Recipe]) -> Recipe:
    runtime = recipes.get(portable.runtime)
    if runtime is None:
        raise InputError(
            f"unknown recipe {portable.runtime!r} in portable.runtime of {recipe.name}",
            nearest(portable.runtime, recipes),
            "correct portable.runtime, or add Reef's own recipe of a runtime: ./inv new reef-portable-runtime",
        )
    if runtime.build.runtime is None or not runtime.serves(target):
        raise InputError(
            f"{recipe.name} for {target} needs the runtime {runtime.name}, which does not serve it",
            "portable programs bring the libraries of a runtime along",
            "name a recipe with build.runtime in portable.runtime, and add the target to it",
        )
    names = _names(recipe)
    siblings = _siblings(recipe, target, recipes)
    renamed = {old: new for name in (recipe.name, *siblings) for old, new in _names(recipes[name]).items()}
    repack = RepackSpec(
        native=portable.native,
        native_version=recipe.debian_version(Target(SUITES[portable.native], target.architecture)),
        runtime=runtime.packages[0].name,
        runtime_version=runtime.version,
        packages=names,
    )
    packages = [
        _package(package, portable.packages[package.name], repack, renamed, everything=package.name == recipe.takes_all)
        for package in recipe.packages
        if package.name in names
    ]
    return recipe.model_copy(
        update={
            "sources": [],
            "edits": [],
            "keep_source": False,
            "targets": Serves(suites=[target.suite.name], architectures=[target.architecture.debian]),
            "portable": None,
            "build": BuildSpec.of_repack(repack, {name: [] for name in (runtime.name, *siblings)}),
            "packages": packages,
            "checks": _checks(recipe, portable, renamed),
        }
    )


def _siblings(recipe: Recipe, target: Target, recipes: Mapping[str, Recipe]) -> list[str]:
    """Return the recipes with portable packages that a recipe builds against, and those that they build against."""
    found: list[str] = []
    waiting = list(recipe.build.recipes)
    while waiting:
        name = waiting.pop(0)
        if name not in found and recipes[name].repacks(target):
            found.append(name)
            waiting += recipes[name].build.recipes
    return found


def _checks(recipe: Recipe, portable: Portable, renamed: Mapping[str, str]) -> list[Check]:
    if portable.checks is not None:
        return portable.checks
    return [
        check.model_copy(update={"packages": [renamed.get(name, name) for name in check.packages]})
        for check in recipe.checks
    ]


def _names(recipe: Recipe) -> dict[str, str]:
    """Return the names of the portable packages, by the name of the native package."""
    packages = recipe.portable.packages if recipe.portable else {}
    return {name: package.name or name for name, package in packages.items()}


def _package(
    native: Package, differs: PortablePackage, repack: RepackSpec, renamed: Mapping[str, str], *, everything: bool
) -> Package:
    # Other relations name packages that conflict or are replaced: a recipe states its own.
    needs = {field: [_renamed(relation, renamed) for relation in getattr(native, field)] for field in NEEDS}
    relations = needs | differs.model_dump(exclude={"name", "accept"}, exclude_none=True)
    description = native.description.strip()
    # A package of links alone brings no libraries.
    note = NOTE.format(runtime=repack.runtime) if native.files or native.conffiles or everything else ""
    overrides = [Override(tag=f"{tag} *", reason=reason) for tag, reason in OVERRIDES.items()]
    return native.model_copy(
        update={
            "name": repack.packages[native.name],
            "summary": f"{native.summary} (portable)",
            "description": "\n".join(part for part in (description, note) if part).strip(),
            **relations,
            # portable_driver.py computes them: relations to this runtime, or a newer one of its version.
            "provides": [*relations.get("provides", native.provides), "${reef:Provides}"],
            "pre_depends": [*relations["pre_depends"], "${reef:Pre-Depends}"],
            # All of them are in the native package's files.
            "files": [],
            "links": {},
            "conffiles": {},
            "manpages": [],
            "symbols": None,
            "lintian_overrides": [*native.lintian_overrides, *overrides],
            "accept": [*native.accept, *differs.accept],
        }
    )


def _renamed(relation: str, renamed: Mapping[str, str]) -> str:
    """Return a relation (Policy 7.1) with the portable names of packages, in each of its alternatives."""
    return NAME.sub(lambda found: renamed.get(found[0], found[0]), relation)


def _successor(native: Package, portable: Portable) -> Package:
    """Return a native package that takes over the files of a portable package with another name (Policy 7.6.1)."""
    renamed = portable.packages.get(native.name)
    if renamed is None or renamed.name is None:
        return native
    older = f"{renamed.name} (<< ${{binary:Version}})"
    return native.model_copy(update={"breaks": [*native.breaks, older], "replaces": [*native.replaces, older]})


def _transitional(recipe: Recipe, portable: Portable) -> list[Package]:
    """Return the packages by which a board that upgrades to the native suite gets the native packages."""
    by_name = {package.name: package for package in recipe.packages}
    return [
        Package(
            name=differs.name,
            summary=f"transitional package for {name}",
            description="After an upgrade from an older system, this package installs\n"
            f"{name}. It can be removed safely.",
            section="oldlibs",
            architecture="any",
            multi_arch=by_name[name].multi_arch,
            depends=[f"{name} (= ${{binary:Version}})"],
        )
        for name, differs in portable.packages.items()
        if differs.name
    ]
