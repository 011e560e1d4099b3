"""The job that builds a source tree and its ``debian/`` folder into .debs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builders.deb.build_systems import BuildSystem, build_system
from builders.deb.build_systems.portable import PACKAGES
from builders.deb.debian_folder import RECIPE_FOLDER, write_debian
from builders.deb.source_package import copy_recipe
from builders.deb.templates import render
from builders.host.excerpt import TREE
from builders.model.arch import Architecture
from builders.model.jobs import APT_CACHE, BuildJob, Input, JobLimits, Root, Storage
from builders.model.recipe import Recipe, StrategyName
from builders.model.settings import Settings
from builders.model.source_tree import SourceTree
from builders.model.target import Target

OUTPUT = "/build/out"
ORIGINAL, SOURCE_PACKAGE = "/build/original", "/build/source"
"""Folders of upstream's unchanged tree, and of the source package, which is made from both trees."""
UPSTREAM_TIME_S = 946_684_800
"""The modification time of all files in an upstream tarball: 2000-01-01 UTC, the same for all revisions."""
ALWAYS = ("build-essential", "ccache", "debhelper", "lintian")
"""Debian packages in the root of every build that compiles."""
JUDGED: tuple[str, ...] = ("lintian",)
"""Debian packages in the root of a build that only copies."""


@dataclass(frozen=True)
class PlannedJob:
    """The job that builds a recipe's .debs for a target, before its inputs exist.

    It is made once for each build: the fingerprint describes it, and `with_inputs` makes what an engine runs.
    ``debian`` is the rendered folder: path inside ``debian/`` -> text.
    """

    recipe: Recipe
    target: Target
    strategy: StrategyName
    system: BuildSystem
    root: Root
    script: str
    fetch: str | None
    debian: Mapping[str, str]

    def write_debian(self, folder: Path) -> None:
        """Write ``folder/debian``; a recipe with ``keep_source`` also gets its own files there."""
        write_debian(self.debian, folder)
        if self.recipe.keep_source:
            copy_recipe(self.recipe, folder)

    def with_inputs(
        self,
        *,
        tree: SourceTree,
        rendered: Path,
        settings: Settings,
        jobs: int,
        packages: Path | None = None,
        storage: Storage | None = None,
    ) -> BuildJob:
        """Return the job for an engine, at a fixed path and time so that equal input gives equal bytes.

        ``rendered`` holds the ``debian/`` folder, ``packages`` (optional) the .debs of the recipes it builds against,
        ``jobs`` is how many compilers run at once, ``storage`` (optional) a server that shares compiled files.
        """
        return BuildJob(
            name=f"{self.recipe.name}/{self.target}/build",
            root=self.root,
            # It changes no build, and is no part of the fingerprint.
            script=render("prelude.sh.j2", tree=_place(self.recipe), mark=TREE, output=OUTPUT) + self.script,
            fetch=self.fetch,
            inputs=self._inputs(tree, rendered, packages),
            environment={
                **self.system.environment(settings, self.strategy, self.root.build, jobs),
                "DEB_BUILD_OPTIONS": f"parallel={jobs}{'' if _tested(self.system, self.strategy) else ' nocheck'}",
                **self.recipe.emulation,
            },
            caches=(*self.system.caches, APT_CACHE),
            output=OUTPUT,
            limits=JobLimits(self.recipe.build.time_limit_s),
            storage=storage,
        )

    def _inputs(self, tree: SourceTree, rendered: Path, packages: Path | None) -> tuple[Input, ...]:
        place = _place(self.recipe)
        if not self.system.compiles:
            return (Input(tree.path, place),)
        inputs = [Input(tree.path, place), Input(rendered, place)]
        if tree.original:
            inputs.append(Input(tree.original, f"{ORIGINAL}/{Path(place).name}"))
        else:
            inputs.append(Input(self.recipe.folder, RECIPE_FOLDER))
        if self.recipe.needs(self.target):
            if packages is None:
                raise AssertionError(f"{self.recipe.name} builds against packages that were not given")
            inputs.append(Input(packages, PACKAGES))
        return tuple(inputs)


def plan_job(
    recipe: Recipe, target: Target, *, strategy: StrategyName, machine: Architecture, debian: Mapping[str, str]
) -> PlannedJob:
    """Return the job that builds ``recipe`` on a machine with CPU ``machine``; `debian_files` gives ``debian``."""
    system = build_system(recipe)
    return PlannedJob(
        recipe, target, strategy, system, _root(recipe, target, strategy, machine, system),
        _script(recipe, target, strategy, system), _fetch(recipe, target, system), debian,
    )  # fmt: skip


def _root(recipe: Recipe, target: Target, strategy: StrategyName, machine: Architecture, system: BuildSystem) -> Root:
    """Return the build's root: of this machine's CPU if no program of the target runs in it."""
    host = target.architecture
    suite = recipe.root_suite(target)
    tools = [*(ALWAYS if system.compiles else JUDGED), *system.tools(suite), *recipe.build.tools]
    libraries = [*system.libraries(suite), *recipe.build.libraries]
    if recipe.build.only_strategy:
        return Root(suite.name, machine, machine, tuple(tools))
    if strategy == "cross":
        # dpkg-shlibdeps takes the dependencies from the compilers' own runtime.
        foreign = [f"{name}:{host}" for name in ("libc6-dev", "libstdc++6", *libraries)]
        return Root(suite.name, machine, host, (*tools, f"crossbuild-essential-{host}", *foreign))
    return Root(suite.name, host, host, (*tools, *libraries))


def _tested(system: BuildSystem, strategy: StrategyName) -> bool:
    """Return whether a build runs upstream's tests, which need the target's CPU."""
    return bool(system.test()) and strategy in ("native", "emulate")


def _script(recipe: Recipe, target: Target, strategy: StrategyName, system: BuildSystem) -> str:
    if not system.compiles:
        return render("prebuilt.sh.j2", tree=_place(recipe), output=OUTPUT)
    profiles = "--build-profiles=cross,nocheck" if strategy == "cross" else "--build-profiles=nocheck"
    if _tested(system, strategy):
        profiles = ""
    return render(
        "build.sh.j2", recipe=recipe, host=target.architecture, strategy=strategy, tree=_place(recipe), output=OUTPUT,
        profiles=profiles, older_root=recipe.older_root(target), original=ORIGINAL, source=SOURCE_PACKAGE,
        time=UPSTREAM_TIME_S,
    )  # fmt: skip


def _fetch(recipe: Recipe, target: Target, system: BuildSystem) -> str | None:
    """Return the script that needs the network, None for a build that needs none."""
    packages = [f"{name}:{target.architecture}" for names in recipe.build.recipes.values() for name in names]
    fetch = "\n".join(step.rstrip() for step in system.fetch())
    if not packages and not fetch:
        return None
    return render("fetch.sh.j2", packages=packages, fetch=fetch, tree=_place(recipe), archives=APT_CACHE.destination)


def _place(recipe: Recipe) -> str:
    """Return the path of the tree inside the root; it is fixed because compilers write it into their output."""
    return f"/build/{recipe.name}-{recipe.version}"
