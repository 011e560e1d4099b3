"""The job that installs, checks, upgrades and purges packages from the staged repository on the target's CPU."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from debian.debian_support import Version

from builders.checks.install.rounds import Round, arrange, closure
from builders.checks.static.relations import conflict
from builders.errors import CheckError
from builders.host import templates
from builders.model.deb_file import control_of, read_deb
from builders.model.jobs import APT_CACHE, BuildJob, Input, JobLimits, Root
from builders.model.packages import DEBUG_SUFFIX, DebFile
from builders.model.recipe import PortableFolders, Recipe, data_regex
from builders.model.target import SUITES, Target

KEYRING = "reef-archive-keyring.gpg"
"""The public keyring in the root of the published repository."""
STAGED, OLDER, RECIPE = "/srv/reef", "/reef/older", "/reef/recipe"
SOURCES = "/etc/apt/sources.list.d/reef.sources"
TIME_LIMIT_S = 3600.0


def board_root(target: Target) -> Root:
    """Return the clean minimal root of the target's suite and CPU in which packages are installed.

    For a suite that no mirror holds, it is of the next suite.
    """
    suites = (suite for suite in SUITES.values() if suite.mirrored and suite.release >= target.suite.release)
    return Root(next(suites).name, target.architecture, target.architecture, ())


def install_job(
    recipe: Recipe,
    target: Target,
    debs: Sequence[DebFile],
    repository: Path,
    *,
    upgrade_from: Path | None = None,
    component: str = "main",
    published_suite: str | None = None,
    pool: Path | None = None,
    time_limit_s: float | None = TIME_LIMIT_S,
) -> BuildJob:
    """Return the job that installs ``debs`` from the staged ``repository`` in the root of `board_root`.

    ``published_suite`` is the repository's suite that holds them, by default the name of the target's suite. ``pool``
    is the published pool, which the staged pool links to by its path on this machine.

    ``fetch`` adds the repository to apt and downloads the dependencies. ``script`` works offline: it installs the
    packages, runs the recipe's checks and purges. Then it installs the .debs in the folder ``upgrade_from``, upgrades
    them from the repository and purges again. Packages that conflict take turns. If a package fails, both end with
    status 0 and leave evidence for `read_install`; another status means that the job itself failed. Raises CheckError
    if a .deb in ``upgrade_from`` is not older than the built one.
    """
    ours = {deb.package: control_of(deb.path) for deb in debs if not deb.package.endswith(DEBUG_SUFFIX)}
    old_files = _older_files(upgrade_from, ours)
    rounds = [_round_facts(number, each, ours, old_files) for number, each in enumerate(arrange(recipe, ours), 1)]
    facts = {
        "recipe": recipe.name,
        "suite": published_suite or target.suite.name,
        "component": component,
        "keyring": KEYRING,
        "staged": STAGED,
        "sources": SOURCES,
        "recipe_folder": RECIPE,
        "archives": APT_CACHE.destination,
        "versions": {name: control["Version"] for name, control in ours.items()},
        "rounds": rounds,
        "portable": _portable_facts(recipe, target),
        "not_upgraded": sorted(set(ours).difference(*(each["upgraded"] for each in rounds))),
    }
    inputs = [Input(repository, STAGED), Input(recipe.folder, RECIPE)]
    if pool and pool.is_dir():
        inputs.append(Input(pool, str(pool)))
    return BuildJob(
        name=f"check/{recipe.name}/{target.slug}",
        root=board_root(target),
        fetch=_rendered("fetch.sh.j2", facts),
        script=_rendered("install.sh.j2", facts),
        inputs=(*inputs, Input(upgrade_from, OLDER)) if upgrade_from else tuple(inputs),
        environment=recipe.emulation,
        caches=(APT_CACHE,),
        limits=JobLimits(time_limit_s),
    )


def _portable_facts(recipe: Recipe, target: Target) -> dict[str, Any]:
    """Return the runtime's package and loader, empty for native packages and a runtime itself."""
    repack = recipe.build.repack
    if repack is None:
        return {}
    folders = PortableFolders(target.architecture, repack.runtime_version)
    data = {package.name: data_regex(package.data) for package in recipe.packages}
    return {"runtime": repack.runtime, "loader": folders.loader, "folders": folders.rpath, "data": data}


def _older_files(folder: Path | None, ours: Mapping[str, Mapping[str, str]]) -> dict[str, Path]:
    """Return the .debs to upgrade from, by package."""
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.deb")) if folder else ():
        deb = read_deb(path)
        if deb.package not in ours:
            continue
        newer = ours[deb.package]["Version"]
        if Version(deb.version) >= Version(newer):
            raise CheckError(
                f"cannot test the upgrade from {path.name}: it is not older than the new build",
                f"{deb.package}: version {deb.version}, and {newer} was built",
                "raise the revision in the recipe's changelog",
            )
        found[deb.package] = path
    return found


def _round_facts(
    number: int, each: Round, ours: Mapping[str, Mapping[str, str]], old_files: Mapping[str, Path]
) -> dict[str, Any]:
    """Return the templates' values for one round.

    ``older`` holds the paths to install before the upgrade, ``upgraded`` the members among them, ``purged`` all names
    that the round installs.
    """
    old_controls = {name: control_of(path) for name, path in old_files.items()}
    before = _together([name for name in each.members if name in old_files], old_controls)
    upgraded = [name for name in before if name in each.members]
    return {
        "number": number,
        "members": each.members,
        "names": list(dict.fromkeys(name for stage in each.stages for name in stage.packages)),
        "stages": [
            {"names": stage.packages, "members": sorted(closure(stage.packages, ours)), "checks": stage.checks}
            for stage in each.stages
        ],
        "upgraded": upgraded,
        "older": [f"{OLDER}/{old_files[name].name}" for name in before],
        "older_needs_more": any(_needs(old_controls[name]) != _needs(ours[name]) for name in before),
        "purged": list(dict.fromkeys([*each.members, *before])),
    }


def _together(names: Sequence[str], controls: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the older packages that can be installed at once, with their dependencies: of a conflict, the first."""
    chosen: set[str] = set()
    for name in names:
        added = closure([name], controls)
        pairs = ((new, other) for new in added for other in added | chosen if new != other)
        if not any(conflict(controls[new], controls[other]) for new, other in pairs):
            chosen |= added
    return sorted(chosen)


def _needs(control: Mapping[str, str]) -> list[str]:
    """Return a package's dependencies, with its own version (that of its siblings) replaced by a word."""
    version = f"(= {control['Version']})"
    return [control.get(field, "").replace(version, "(= siblings)") for field in ("Pre-Depends", "Depends")]


def _rendered(template: str, facts: Mapping[str, object]) -> str:
    return templates.environment(Path(__file__).parent).get_template(template).render(facts)
