"""The command ``deploy``: builds what the boards need, publishes it, and installs it, in one call."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from builders.apt import api as apt
from builders.boards.api import CANARY, BoardError, Options, RolloutRun, Wave
from builders.cli import repository
from builders.cli.app import Context, number
from builders.cli.boards import each, opened_fleet
from builders.cli.build import build_arm
from builders.cli.command_line import BuildRequest, DeployRequest, PublishRequest
from builders.cli.rollout import Order, options_of, require_passed, show_end, show_plan
from builders.errors import InputError
from builders.pipeline.deployment import need_of, recipes_of, with_builds, with_candidates
from builders.pipeline.fleet import Fleet, rollout
from builders.pipeline.fleet_status import ask, published_offers
from builders.pipeline.planning.plan import BuildTarget, plan
from builders.pipeline.planning.selection import select

TESTING = "testing"
ALL = 100
Published = Mapping[str, Sequence[str]]
"""The names of the packages that a deployment published, by suite."""


def deploy(context: Context, request: DeployRequest) -> None:
    """Build, publish and install. Nothing is installed if a build or the publication fails."""
    options, phase = options_of(request), _phase(request)
    with opened_fleet(ask_sudo=request.ask_sudo) as fleet:
        order = Order.of(fleet.inventory, request)
        order.waves(fleet.inventory)  # an unknown canary is an error before the first build
        builds = _builds(fleet, order, request)
        if request.plan:
            _show_plan(fleet, order, options, builds, request)
            return
        published = _publish(context, builds, request)
        deployment = _Deployment(fleet, order, options, published)
        if request.testing and published:
            deployment.try_candidates()
        deployment.install(phase)


def _phase(request: DeployRequest) -> int:
    """Return the percentage of a request; raises InputError for options that exclude each other."""
    phase = number("--phase", request.phase)
    if not 0 <= phase <= ALL:
        raise InputError(f"not a percentage: {phase}", "expected 0 to 100", "correct --phase")
    if request.testing and phase != ALL:
        raise InputError(
            "--testing and --phase exclude each other", "both keep a version from other boards", "leave one of them out"
        )
    if request.testing and request.canary == "0":
        raise InputError("--testing needs a canary", "--canary 0 was given", "leave --canary out, or name a board")
    return phase


def _builds(fleet: Fleet, order: Order, request: DeployRequest) -> list[BuildRequest]:
    """Return the builds that the boards need, a request for each target; asks the boards."""
    log, recipes = fleet.project.log, fleet.project.recipes
    needed = _needed(fleet, order, request)
    names = frozenset[str]().union(*needed.values())
    targets = {name: names for name in request.target} or needed
    found = []
    for target in fleet.project.targets(list(targets)) if targets else ():
        chosen = request.recipe or tuple(recipes_of(recipes, target, targets[str(target)]))
        if chosen:
            log.note(f"for the boards with {target}: {', '.join(chosen)}")
            found.append(BuildRequest(chosen, (str(target),), request.engine))
    if not found:
        log.note("no recipe makes packages of these boards: what is published is installed")
    return found


def _needed(fleet: Fleet, order: Order, request: DeployRequest) -> Mapping[str, frozenset[str]]:
    """Return the packages that the boards need, by target. For a board that does not answer, its last answer counts."""
    log, offers = fleet.project.log, published_offers(fleet)
    found: dict[str, frozenset[str]] = defaultdict(frozenset)
    for board, answer in each(fleet, order.boards, lambda board: ask(fleet, board)):
        facts = fleet.records.seen(board.name) if isinstance(answer, BoardError) else answer
        if isinstance(answer, BoardError):
            log.note(f"{answer.what}: {'its last answer counts' if facts else 'nothing is built for it'}")
        need = need_of(board, facts, offers, request.package) if facts else None
        if need:
            found[str(need.target)] |= need.packages
        elif facts:
            log.warn(f"{board}: Reef builds nothing for {facts.text('os_name')} on {facts.architecture or 'its CPU'}")
    return found


def _publish(context: Context, builds: Sequence[BuildRequest], request: DeployRequest) -> Published:
    for build in builds:
        build_arm(context, build)
    if not builds:
        return {}
    suffix = TESTING if request.testing else ""
    publish = PublishRequest(engine=request.engine, suffix=suffix, phase=request.phase)
    found: dict[str, list[str]] = defaultdict(list)
    for checked in repository.publish_apt(context, publish):
        found[checked.build_target.target.suite.name] += [deb.package for deb in checked.record.debs]
    return {suite: sorted(set(names)) for suite, names in found.items()}


@dataclass(frozen=True)
class _Deployment:
    """The part of a deployment after the publication."""

    fleet: Fleet
    order: Order
    options: Options
    published: Published

    def try_candidates(self) -> None:
        """Let the canary install from SUITE-testing, and promote what it tried; raises BoardError if it failed."""
        offers = with_candidates(self.fleet.published(), self.published, TESTING)
        with rollout(
            self.fleet, self.order.waves(self.fleet.inventory), self.options, offers=offers, temporary=True
        ) as run:  # fmt: skip
            run.plan()
            canary = Wave(CANARY, self.order.waves(self.fleet.inventory, run.outcomes)[0].boards)
            show_plan(self.fleet, run, [canary])
            run.go([canary])
            show_end(self.fleet, run)
            require_passed(run, "", "nothing was promoted")
        for suite, names in self.published.items():
            repository.promote(apt.suffixed(suite, TESTING), suite, list(names), newest=True)
        repository.upload_if_any(self.fleet.project)

    def install(self, phase: int) -> None:
        """Install on all boards; raise the phase of what was published once they passed."""
        with rollout(
            self.fleet, self.order.waves(self.fleet.inventory), self.options, offers=self.fleet.published()
        ) as run:
            run.plan()
            waves = self.order.waves(self.fleet.inventory, run.outcomes)
            show_plan(self.fleet, run, waves)
            halt = run.go(waves)
            show_end(self.fleet, run)
        if phase < ALL:
            self._end_phase(run, phase)
        require_passed(run, halt, f"the phase stays at {phase}" if phase < ALL else "")

    def _end_phase(self, run: RolloutRun, phase: int) -> None:
        if not run.passed:
            return
        for suite, names in self.published.items():
            apt.phase(self.fleet.project, suite, names, ALL)
            self.fleet.project.log.note(f"{suite}: the phase of {', '.join(names)} is raised from {phase} to {ALL}")
        repository.upload_if_any(self.fleet.project)


def _show_plan(
    fleet: Fleet, order: Order, options: Options, requests: Sequence[BuildRequest], request: DeployRequest
) -> None:  # fmt: skip
    """Show what would be built, published, and installed."""
    project = fleet.project
    found: dict[tuple[str, str], BuildTarget] = {}
    rows = []
    for each_request in requests:
        builds = select(project, each_request.recipe, each_request.target, engine=each_request.engine)
        for action in plan([build for build in builds if build.key not in found]):
            build = action.build_target
            found[build.key] = build
            suite = apt.suffixed(build.target.suite.name, TESTING if request.testing else "")
            version = build.recipe.debian_version(build.target)
            rows.append((action.action, str(build), version, suite, "; ".join(action.reasons)))
    if rows:
        project.log.table("builds", ("action", "build", "version", "published in", "reason"), rows)
    offers = with_builds(published_offers(fleet), list(found.values()))
    with rollout(fleet, order.waves(fleet.inventory), options, only_plan=True, offers=offers) as run:
        run.plan()
        show_plan(fleet, run, order.waves(fleet.inventory, run.outcomes))
