"""CI services: the matrix of builds, and pipeline files that build in parallel and publish once."""

import hashlib
import json
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builders.errors import InputError, nearest
from builders.host import templates
from builders.host.files import disk_errors, write_whole
from builders.maintenance.ci.installation import Installation
from builders.model.arch import AMD64, ARCHITECTURES, Architecture
from builders.model.recipe import Recipe, StrategyName, recipe_named
from builders.model.target import Target
from builders.pipeline.planning.selection import served
from builders.pipeline.project import Project

LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:/-]*")
MARK = "# Written by {command} ci-files"
"""The first words of every pipeline file. A file without them was written by a user and stays unchanged."""
MARKS = tuple(MARK.format(command=command) for command in ("./inv", "reef"))
SEAL = "# as written: sha256 "
"""The beginning of the second line: the digest of all other lines, which shows whether the file was edited."""


@dataclass(frozen=True)
class Options:
    """The options that a pipeline file was written with; its header has them."""

    runner: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    branch: str = "main"
    reef: str | None = None

    def words(self, command: str, service: str) -> str:
        """Return the command that writes the file again."""
        words = [command, "ci-files", "--install", service]
        for option, values in (("--runner", self.runner), ("--also", self.also)):
            words += [word for value in values for word in (option, value)]
        words += [] if self.branch == Options.branch else ["--branch", self.branch]
        return shlex.join(words + (["--reef", self.reef] if self.reef else []))


@dataclass(frozen=True)
class Service:
    """A CI service: its runners by the Debian name of their CPU, and the maximum number of jobs in a matrix.

    It reads its pipeline from ``live`` and ignores ``example``. It ends a job after ``limit_min`` minutes. The build
    ends after ``time_box``, so that its caches can be saved.
    """

    runners: Mapping[str, str]
    most_jobs: int
    live: str
    example: str
    limit_min: int
    time_box: str


SERVICES = {
    "github": Service(
        {"amd64": "ubuntu-24.04", "arm64": "ubuntu-24.04-arm"}, 256,
        ".github/workflows/packages.yml", "ci/github-actions.yml", 350, "5h",
    ),
    "gitlab": Service(
        {"amd64": "saas-linux-small-amd64", "arm64": "saas-linux-small-arm64"}, 200,
        ".gitlab-ci.yml", "ci/gitlab-ci.yml", 180, "2h20m",  # its hosted runners end every job after 3 hours
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Job:
    """A job of the matrix: it builds ``recipe``, and the recipes it builds against, on a runner.

    There is one target, or the targets of all portable packages that are made from the same ``native`` packages.
    """

    recipe: str
    native: Target
    targets: tuple[Target, ...]
    strategy: StrategyName
    runner: str

    @property
    def name(self) -> str:
        """The name of the job's caches and artifacts."""
        return f"{self.recipe}-{self.native.slug}"


def service(name: str) -> Service:
    """Return the service ``name``; raises InputError for an unknown name."""
    if name not in SERVICES:
        raise InputError(f"unknown CI service: {name!r}", fix=nearest(name, SERVICES))
    return SERVICES[name]


def runners(given: list[str]) -> dict[str, str]:
    """Read ``arm64=label`` pairs; raises InputError."""
    found = {}
    for text in given:
        name, equals, label = text.partition("=")
        if not equals or not LABEL.fullmatch(label) or name not in ARCHITECTURES:
            raise InputError(
                f"not a runner: {text!r}", f"CPUs: {', '.join(ARCHITECTURES)}", "write CPU=LABEL, as in arm64=lab-pi"
            )
        found[name] = label
    return found


def jobs(
    project: Project,
    on: Service,
    labels: Mapping[str, str],
    recipes: list[str],
    targets: list[str],
    *,
    also: Collection[str] = (),
    every: bool = False,
) -> list[Job]:
    """Return the jobs that build the recipes for the targets, each on its own machine.

    If no recipe is named, they are those built by default and ``also``, whatever this machine has built before; with
    ``every``, as in nightly runs, all recipes that serve the targets. A recipe that another job builds first, to build
    against it, has no job of its own. A recipe with ``native`` as its first strategy runs on the target's own CPU if a
    runner has it. Raises InputError.
    """
    for name in also:
        recipe_named(project.recipes, name)
    pairs = served(project, recipes, targets, project.recipes if every else also)
    if missing := set(also) - {recipe.name for recipe, _ in pairs}:
        raise InputError(
            f"{', '.join(sorted(missing))} serves none of the targets",
            fix="./inv list shows which recipe serves which target",
        )
    needed = {pair for recipe, target in pairs for pair in recipe.needs(target)}
    known = {**on.runners, **labels}
    groups: dict[tuple[str, Target], list[tuple[Recipe, Target]]] = {}
    for recipe, target in pairs:
        if (recipe.name, target) not in needed:
            groups.setdefault((recipe.name, recipe.native(target)), []).append((recipe, target))
    found = [_job(native, members, known) for (_, native), members in groups.items()]
    if len(found) > on.most_jobs:
        raise InputError(
            f"too many jobs for a matrix: {len(found)}", f"maximum: {on.most_jobs}", "choose targets with --target"
        )
    return found


def _job(native: Target, members: Sequence[tuple[Recipe, Target]], known: Mapping[str, str]) -> Job:
    recipe, target = members[0]
    machine = _machine(recipe, target, known)
    targets = tuple(target for _, target in members)
    return Job(recipe.name, native, targets, recipe.strategy_for(machine, target), known[machine.debian])


def _machine(recipe: Recipe, target: Target, known: Mapping[str, str]) -> Architecture:
    """Return the CPU to build on: the target's if the recipe prefers it or can build nowhere else."""
    own = target.architecture
    if own.debian in known and recipe.strategy[0] == "native":
        return own
    if recipe.strategy == ["native"] and own != AMD64:
        raise InputError(
            f"{recipe.name} can only be built natively, and no runner with {own} is known",
            fix=f"name a runner: --runner {own}=LABEL",
        )
    return AMD64


def matrix(name: str, found: list[Job]) -> str:
    """Return the jobs as the matrix of a service, in JSON on one line.

    GitHub Actions: the value of ``strategy.matrix``. GitLab CI: the value of ``parallel.matrix``.
    """
    return json.dumps({"include": _github(found)} if name == "github" else _gitlab(found))


def _targets(job: Job) -> str:
    return " ".join(map(str, job.targets))


def _github(found: list[Job]) -> list[dict[str, str]]:
    return [
        {"name": job.name, "recipe": job.recipe, "target": _targets(job), "strategy": job.strategy,
         "runner": job.runner}
        for job in found
    ]  # fmt: skip


def _gitlab(found: list[Job]) -> list[dict[str, str]]:
    return [{"NAME": job.name, "RECIPE": job.recipe, "TARGET": _targets(job), "RUNNER": job.runner} for job in found]


def pipeline_file(
    name: str, project: Project, labels: Mapping[str, str], branch: str, reef: Installation,
    *, also: Collection[str] = (),
) -> str:  # fmt: skip
    """Return a service's pipeline file: pushes build the default recipes, scheduled runs build all recipes.

    Builds of ``branch`` are published. The jobs call ``reef``. ``also`` and errors are as in `jobs`.
    """
    on = SERVICES[name]
    by_day, by_night = (jobs(project, on, labels, [], [], also=also, every=every) for every in (False, True))
    environment = templates.environment(
        Path(__file__).parent,
        block_start_string="[%", block_end_string="%]", variable_start_string="[[", variable_end_string="]]",
        comment_start_string="[#", comment_end_string="#]", lstrip_blocks=False,
    )  # fmt: skip
    again = Options(
        tuple(f"{cpu}={label}" for cpu, label in labels.items()), tuple(sorted(also)), branch,
        "".join(shlex.split(reef.requirement)) or None,
    )  # fmt: skip
    text = environment.get_template(f"{name}.yml.j2").render(
        mark=MARK.format(command=reef.command), reef=reef,
        jobs=_gitlab(by_day), nightly=_gitlab(by_night) if by_night != by_day else [], branch=branch,
        runner={**on.runners, **labels}["amd64"], limit_min=on.limit_min, time_box=on.time_box,
        runners=[shlex.quote(f"{cpu}={label}") for cpu, label in labels.items()], live=on.live,
        also=sorted(also), again=again.words(reef.command, name),
    )  # fmt: skip
    first, rest = text.split("\n", 1)
    return f"{first}\n{SEAL}{_digest(first, rest)}\n{rest}"


def options_of(text: str) -> Options:
    """Return the options in the header of a pipeline file, the defaults if it has none."""
    found = re.search(r"^# .* ci-files --install \w+(.*)$", text, re.MULTILINE)
    try:
        words = shlex.split(found[1]) if found else []
    except ValueError:  # a header that a user edited
        words = []
    given: dict[str, list[str]] = {}
    for option, value in zip(words[::2], words[1::2], strict=False):
        given.setdefault(option, []).append(value)
    return Options(
        tuple(given.get("--runner", ())), tuple(given.get("--also", ())),
        given.get("--branch", [Options.branch])[0], given.get("--reef", [None])[0],
    )  # fmt: skip


def _digest(first: str, rest: str) -> str:
    return hashlib.sha256(f"{first}\n{rest}".encode()).hexdigest()


def _as_written(text: str) -> bool:
    """Return whether a pipeline file is unchanged since it was written, by this version of Reef or another."""
    first, seal, rest = [*text.split("\n", 2), "", ""][:3]
    return seal == SEAL + _digest(first, rest)


def write_file(path: Path, text: str, *, force: bool = False) -> bool:
    """Write a pipeline file and return whether it is new or changed.

    Raises InputError for a user's own file and (unless ``force``) for an edited file; DiskError.
    """
    with disk_errors(path):
        before = path.read_text() if path.exists() else None
    if before is not None and not before.startswith(MARKS):
        raise InputError(
            f"{path} exists, and was not written by ci-files", fix="move it away, or copy the parts you need from ci/"
        )
    if before not in (None, text) and not force and not _as_written(before or ""):
        raise InputError(
            f"{path} was edited since ci-files wrote it", "writing it again would lose the edits",
            "use --force to overwrite it",
        )  # fmt: skip
    write_whole(path, text)
    return before != text
