"""Requests of a command line: the options of build-arm, publish-apt, install-boards and deploy, each named once, here.

`./inv build-arm --target trixie/armhf publish-apt` is about one target: publish-apt takes the options that it was not
given itself from the builds before it on the command line. They travel in the configuration that Invoke hands from
task to task.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from builders.cli.app import Context

if TYPE_CHECKING:  # slow to import, and every command line passes here
    from builders.pipeline.planning.plan import BuildTarget
    from builders.pipeline.project import Project

RECIPE = "recipe to take (may be repeated; by default what every machine can build, and what is built already)"
TARGET = "suite/architecture, as in trixie/arm64 (may be repeated; reef.yml's targets by default)"
ENGINE = "where jobs run: chroot, buildx, or auto (buildx where a Docker engine with buildx answers)"
BOARD = "board of boards.yml (may be repeated; all by default)"
GROUP = "group of boards.yml (may be repeated)"
ASK_SUDO = "ask for the password for sudo on the boards"
BUILT = "; after build-arm on the same command line, that of the build"
REQUESTS = "reef_build_requests"
"""The key of the configuration under which build-arm leaves its requests."""
RequestType = TypeVar("RequestType", bound="Request")


def option(help_text: str, default: Any = ()) -> Any:
    """Make a field of a request an option of its command; one whose default is a tuple may be repeated."""
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True)
class Request:
    """The builds that a command is about; options that its command line leaves out are empty."""

    recipe: tuple[str, ...] = option(RECIPE)
    target: tuple[str, ...] = option(TARGET)
    engine: str | None = option(ENGINE, None)

    def completed(self: RequestType, other: "Request") -> RequestType:
        """Return the request; options that it leaves out are taken from ``other``."""
        return replace(
            self, recipe=self.recipe or other.recipe, target=self.target or other.target,
            engine=self.engine or other.engine,
        )  # fmt: skip

    def __str__(self) -> str:
        options = [("recipe", self.recipe), ("target", self.target), ("engine", [self.engine] if self.engine else [])]
        return " ".join(f"--{name} {value}" for name, values in options for value in values)


@dataclass(frozen=True)
class BuildRequest(Request):
    """The options of build-arm."""

    source: tuple[str, ...] = option(
        "NAME=FOLDER: take a recipe's source from a folder of this machine (may be repeated)"
    )
    strategy: str | None = option("native, cross or emulate, instead of the recipe's own order", None)
    base: str | None = option(
        "base images of the buildx engine: registry, bootstrap (made by mmdebstrap) or auto", None
    )
    plan: bool = option("only show what would be done, and why", False)
    offline: bool = option("never use the network; what is not cached (sources, build roots) is an error", False)
    force: bool = option("build also what is up to date", False)
    verify: bool = option("build a second time in fresh roots without caches, and compare the bytes", False)
    time_box: str | None = option(
        "end in good order after so long, as in 5h or 90m; the next run continues from there (exit code 13)", None
    )


@dataclass(frozen=True)
class PublishRequest(Request):
    """The options of publish-apt."""

    recipe: tuple[str, ...] = option(RECIPE + BUILT)
    target: tuple[str, ...] = option(TARGET + BUILT)
    engine: str | None = option(ENGINE + BUILT, None)
    deb: tuple[str, ...] = option(
        "FILE: a .deb that somebody else built, published after the same checks (may be repeated); without --recipe "
        "and build-arm, nothing else is published"
    )
    accept: tuple[str, ...] = option(
        "CHECK:MATCH=REASON: accept faults of packages given with --deb, as accept: of a recipe does (may be "
        "repeated); the first = ends MATCH, \\= is a part of it"
    )
    plan: bool = option("only show what would be published", False)
    suffix: str = option("publish into the suite of that suffix: testing for trixie-testing instead of trixie", "")
    phase: str = option(
        "percentage of boards that take a new version when they upgrade; the command phase raises it later", "100"
    )
    upload: bool = option("afterwards upload to the destinations in reef.yml", True)


@dataclass(frozen=True)
class RolloutRequest:
    """The options of install-boards."""

    board: tuple[str, ...] = option(BOARD)
    group: tuple[str, ...] = option(GROUP)
    plan: bool = option("only show what would be installed", False)
    canary: str | None = option(
        "board, group or number of boards that go first; 0 for none (by default the group canary, else one board)", None
    )
    batch: str | None = option(
        "boards that are installed side by side afterwards (by default reef_batch of boards.yml)", None
    )
    soak: str = option("time between the canary and the others, as in 10m; the canary is then tested again", "0s")
    most_failures: str = option("boards that may fail before the rollout halts", "0")
    package: tuple[str, ...] = option(
        "NAME or NAME=VERSION: only this package instead of reef_packages, also an older version (may be repeated)"
    )
    reboot: bool = option("restart each board that changed, and test it again", False)
    ask_sudo: bool = option(ASK_SUDO, False)


@dataclass(frozen=True)
class DeployRequest(RolloutRequest):
    """The options of deploy."""

    plan: bool = option("only show what would be built, published and installed", False)
    recipe: tuple[str, ...] = option(
        "recipe to build (may be repeated; by default those of the boards' packages, and of what these depend on)"
    )
    target: tuple[str, ...] = option(
        "suite/architecture to build for (may be repeated; by default those of the boards)"
    )
    engine: str | None = option(ENGINE, None)
    testing: bool = option(
        "publish into SUITE-testing first, and promote from there once the canary passed its tests", False
    )
    phase: str = option(
        "percentage of other boards that take a new version when they upgrade; raised to 100 after the rollout", "100"
    )


def remember(context: Context, request: BuildRequest) -> None:
    """Leave a build's request for the commands after it on the command line."""
    context.config.update({REQUESTS: (*_remembered(context), request)})


def _remembered(context: Context) -> Sequence[BuildRequest]:
    found: Sequence[BuildRequest] = context.config.get(REQUESTS, ())
    return found


def to_publish(context: Context, project: "Project", request: PublishRequest) -> tuple[list["BuildTarget"], str | None]:
    """Return the builds that a publish-apt publishes, and the engine that tries them.

    Options that its request leaves out are those of the builds before it on the command line. Raises InputError as
    `select` does.
    """
    from builders.pipeline.planning.selection import select

    requests = list(dict.fromkeys(map(request.completed, _remembered(context)))) or [request]
    if request.deb and not request.recipe and not _remembered(context):
        return [], request.engine
    found: dict[tuple[str, str], BuildTarget] = {}
    for each in requests:
        if each != request:
            project.log.note(f"publish-apt uses the options of build-arm: {each}")
        asked = project.targets(list(each.target))
        for build_target in select(project, each.recipe, each.target, engine=each.engine):
            if build_target.target in asked:  # portable packages come from native packages, for another suite
                found.setdefault(build_target.key, build_target)
    return list(found.values()), requests[-1].engine
