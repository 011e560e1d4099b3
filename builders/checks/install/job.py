"""The job that installs packages from the staged repository on the target's CPU, runs the recipe's checks there,
upgrades from an older revision, and purges."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from debian.debian_support import Version

from builders.checks.install.rounds import Round, arrange, closure
from builders.checks.static.contents import DEBUG_SUFFIX
from builders.checks.static.relations import conflict
from builders.errors import CheckError
from builders.host import templates
from builders.model.deb_file import control_of, read_deb
from builders.model.jobs import APT_CACHE, BuildJob, Input, JobLimits, Root
from builders.model.packages import DebFile
from builders.model.recipe import Recipe
from builders.model.target import Target

KEYRING = "reef-archive-keyring.gpg"
"""The public keyring in the root of the published repository."""
STAGED, OLDER, RECIPE = "/srv/reef", "/reef/older", "/reef/recipe"
SOURCES = "/etc/apt/sources.list.d/reef.sources"
TIME_LIMIT_S = 3600.0


def board_root(target: Target) -> Root:
    """Return the clean minimal root of the target's CPU in which packages are tried."""
    return Root(target.suite.name, target.architecture, target.architecture, ())


def install_job(
    recipe: Recipe,
    target: Target,
    debs: Sequence[DebFile],
    repository: Path,
    *,
    older: Path | None = None,
    component: str = "main",
    published_suite: str | None = None,
    pool: Path | None = None,
    time_limit_s: float | None = TIME_LIMIT_S,
) -> BuildJob:
    """Return the job that tries ``debs`` from the staged ``repository`` in a clean minimal root of the target's CPU.

    ``published_suite`` is the repository's suite that holds them, by default the one called as the target's. ``pool``
    is the published pool, which the staged one links to by its path on this machine.

    ``fetch`` adds the repository to apt and downloads what the packages depend on; ``script`` works with what was
    downloaded: it installs the packages, runs the recipe's checks, purges, then installs the .debs in the folder
    ``older``, upgrades them from the repository and purges again. Packages that conflict take turns. Both end with
    status 0 where a package fails and leave `read_install` its evidence; another status means that the machinery
    broke. Raises CheckError where a .deb in ``older`` is not older than the one it is to be upgraded to.
    """
    ours = {deb.package: control_of(deb.path) for deb in debs if not deb.package.endswith(DEBUG_SUFFIX)}
    old_files = _older_files(older, ours)
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
        inputs=(*inputs, Input(older, OLDER)) if older else tuple(inputs),
        environment=recipe.emulation,
        caches=(APT_CACHE,),
        limits=JobLimits(time_limit_s),
    )


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
                f"no upgrade to try: {path.name} is not older than what was built",
                f"{deb.package} {deb.version} is there, {newer} was built",
                "raise the revision in the recipe's changelog",
            )
        found[deb.package] = path
    return found


def _round_facts(
    number: int, each: Round, ours: Mapping[str, Mapping[str, str]], old_files: Mapping[str, Path]
) -> dict[str, Any]:
    """Return what the templates need of one round.

    ``older`` are the paths to install before the upgrade, ``upgraded`` those members that are then there, ``purged``
    all names that the round brought.
    """
    old_controls = {name: control_of(path) for name, path in old_files.items()}
    before = _together([name for name in each.members if name in old_files], old_controls)
    upgraded = [name for name in before if name in each.members]
    return {
        "number": number,
        "members": each.members,
        "names": list(dict.fromkeys(name for stage in each.stages for name in stage.packages)),
        "stages": [
            {"names": s.packages, "members": sorted(closure(s.packages, ours)), "checks": s.checks} for s in each.stages
        ],
        "upgraded": upgraded,
        "older": [f"{OLDER}/{old_files[name].name}" for name in before],
        "older_needs_more": any(_needs(old_controls[name]) != _needs(ours[name]) for name in before),
        "purged": list(dict.fromkeys([*each.members, *before])),
    }


def _together(names: Sequence[str], controls: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return which older packages, with those they need, can be installed at once: where two conflict, the first."""
    chosen: set[str] = set()
    for name in names:
        added = closure([name], controls)
        if not any(conflict(controls[one], controls[two]) for one in added for two in added | chosen if one != two):
            chosen |= added
    return sorted(chosen)


def _needs(control: Mapping[str, str]) -> list[str]:
    """Return what a package depends on, with its own version (that of siblings) made a word."""
    version = f"(= {control['Version']})"
    return [control.get(field, "").replace(version, "(= siblings)") for field in ("Pre-Depends", "Depends")]


def _rendered(template: str, facts: Mapping[str, object]) -> str:
    return templates.environment(Path(__file__).parent).get_template(template).render(facts)
