"""The job that turns a source tree and its ``debian/`` folder into .debs."""

from pathlib import Path

from builders.deb.build_systems import build_system
from builders.deb.render import RECIPE_FOLDER
from builders.deb.template import render
from builders.errors import PackageError
from builders.model.arch import Architecture
from builders.model.deb_file import read_deb
from builders.model.jobs import APT_CACHE, BuildJob, Input, Limits, Root, Storage
from builders.model.packages import DebFile
from builders.model.recipe import Recipe, StrategyName
from builders.model.settings import Settings
from builders.model.source_tree import SourceTree
from builders.model.target import Target

OUTPUT = "/build/out"
ORIGINAL, SOURCE_PACKAGE = "/build/original", "/build/source"
"""Folders of upstream's own tree, and of the source package that is made of both trees."""
UPSTREAM_TIME_S = 946_684_800
"""The time of everything in an upstream tarball: 2000-01-01 UTC, whatever revision makes it."""
PACKAGES = "/reef/packages"
ALWAYS = ("build-essential", "ccache", "debhelper", "lintian")


def build_root(recipe: Recipe, target: Target, strategy: StrategyName, machine: Architecture) -> Root:
    """Return the root that a recipe is built in: this machine's CPU for cross, the target's otherwise."""
    host = target.architecture
    suite = recipe.build.root or target.suite.name
    tools = [*ALWAYS, *build_system(recipe).packages, *recipe.build.tools]
    if strategy == "cross":
        # The compilers' own runtime, from which dpkg-shlibdeps takes the dependencies.
        libraries = [f"{name}:{host}" for name in ("libc6-dev", "libstdc++6", *recipe.build.libraries)]
        return Root(suite, machine, host, (*tools, f"crossbuild-essential-{host}", *libraries))
    return Root(suite, host, host, (*tools, *recipe.build.libraries))


def build_job(
    recipe: Recipe,
    target: Target,
    *,
    strategy: StrategyName,
    tree: SourceTree,
    rendered: Path,
    settings: Settings,
    machine: Architecture,
    jobs: int,
    packages: Path | None = None,
    storage: Storage | None = None,
) -> BuildJob:
    """Return the job that builds a recipe's .debs, at a fixed path and time so that equal input gives equal bytes.

    ``rendered`` holds the ``debian/`` folder, ``packages`` (optional) the .debs of the recipes it builds against,
    ``jobs`` is how many compilers run at once, ``storage`` (optional) a server to share compiled files by.
    """
    place = _place(recipe)
    inputs = [Input(tree.path, place), Input(rendered, place)]
    if tree.original:
        inputs.append(Input(tree.original, f"{ORIGINAL}/{Path(place).name}"))
    else:
        inputs.append(Input(recipe.folder, RECIPE_FOLDER))
    if recipe.build.recipes:
        if packages is None:
            raise PackageError(f"{recipe.name} builds against packages that were not given")
        inputs.append(Input(packages, PACKAGES))
    script, fetch = scripts(recipe, target, strategy)
    root = build_root(recipe, target, strategy, machine)
    system = build_system(recipe)
    return BuildJob(
        name=f"{recipe.name}/{target}/build",
        root=root,
        script=script,
        fetch=fetch,
        inputs=tuple(inputs),
        environment={
            **system.environment(settings, strategy, root.build, jobs),
            "DEB_BUILD_OPTIONS": f"parallel={jobs} nocheck",
            **recipe.emulation,
        },
        caches=(*system.caches, APT_CACHE),
        output=OUTPUT,
        limits=Limits(recipe.build.time_limit_s),
        storage=storage,
    )


def scripts(recipe: Recipe, target: Target, strategy: StrategyName) -> tuple[str, str | None]:
    """Return the build job's script, and the one that fetches where the recipe wants one."""
    host, place = target.architecture, _place(recipe)
    profiles = "--build-profiles=cross,nocheck" if strategy == "cross" else "--build-profiles=nocheck"
    script = render(
        "build.sh.j2", recipe=recipe, host=host, strategy=strategy, tree=place, output=OUTPUT, profiles=profiles,
        older_root=recipe.older_root(target), original=ORIGINAL, source=SOURCE_PACKAGE, time=UPSTREAM_TIME_S,
    )  # fmt: skip
    needed = [f"{name}:{host}" for names in recipe.build.recipes.values() for name in names]
    fetch = "\n".join(step.rstrip() for step in build_system(recipe).fetch())
    if not needed and not fetch:
        return script, None
    return script, render("fetch.sh.j2", packages=needed, fetch=fetch, tree=place, archives=APT_CACHE.destination)


def _place(recipe: Recipe) -> str:
    """Return the path of the tree inside the root: fixed, because it reaches the bytes."""
    return f"/build/{recipe.name}-{recipe.version}"


def collect(output: Path) -> tuple[DebFile, ...]:
    """Return the .debs that a build job left, sorted by name; raises PackageError where it left none."""
    found = tuple(read_deb(path) for path in sorted(output.glob("*.deb")))
    if not found:
        raise PackageError(
            f"the build left no .deb in {output}", fix="look at the recipe's packages and at the end of its log"
        )
    return found


def cache_hits(output: Path) -> tuple[int, int]:
    """Return ccache's hits and its hits plus misses during a build (counters as in ``ccache --print-stats``)."""
    counts = dict(line.split("\t")[:2] for line in (output / "ccache.tsv").read_text().splitlines() if "\t" in line)
    hits = int(counts.get("direct_cache_hit", 0)) + int(counts.get("preprocessed_cache_hit", 0))
    return hits, hits + int(counts.get("cache_miss", 0))
