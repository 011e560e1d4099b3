"""The state of one board, from its answer or from the record of its last one."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from builders.boards.connection import BoardError
from builders.boards.facts import CLOCK_S, BoardFacts, Finding, duration, findings, models_on
from builders.boards.inventory import Board
from builders.boards.inventory.holds import Hold
from builders.boards.rollout.journal import Records
from builders.boards.rollout.offer import Offer
from builders.boards.rollout.plan import PlannedPackage
from builders.boards.status.drift import drift, expected_packages
from builders.boards.status.last_rollout import LastRollout, last_rollout


@dataclass(frozen=True)
class BoardStatus:
    """The state of a board. Without an ``error`` the ``facts`` are of now; None: it never answered.

    ``asked`` says whether it was asked now. ``packages`` are those that Reef manages, as they are and should be.
    """

    board: Board
    facts: BoardFacts | None
    asked: bool = True
    error: BoardError | None = None
    hold: Hold | None = None
    rollout: LastRollout | None = None
    packages: tuple[PlannedPackage, ...] = ()
    drift: tuple[str, ...] = ()

    @property
    def answers(self) -> bool:
        """Whether its facts are of now."""
        return self.facts is not None and self.asked and self.error is None

    @property
    def silent(self) -> bool:
        """Whether it should have answered and did not: a held board and one without a network need not."""
        return self.error is not None and self.hold is None and not self.board.keys.reef_offline

    @property
    def system(self) -> str:
        """The suite and the CPU of its packages: ``trixie/arm64``."""
        return f"{self.facts.text('os_codename') or '?'}/{self.facts.architecture}" if self.facts else "?"

    @property
    def service(self) -> str:
        """The state of its services in one word: the first that is not ``active``; ``-`` without a service."""
        states = list(self.facts.services.values()) if self.facts else []
        return next((state for state in states if state != "active"), "active") if states else "-"

    @property
    def clock(self) -> str:
        """The error of its clock: ``ok``, or as in ``3 days ahead``."""
        if self.facts is None:
            return "?"
        offset = self.facts.clock_offset_s
        return "ok" if abs(offset) <= CLOCK_S else f"{duration(abs(offset))} {'ahead' if offset > 0 else 'behind'}"

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Obstacles, and what an installation repairs."""
        return tuple(finding for finding in findings(self.facts) if finding.severity != "note") if self.facts else ()

    @property
    def models(self) -> dict[str, tuple[int, ...]]:
        """The versions of each model that its server serves."""
        found = models_on(self.facts) if self.facts else {}
        return {name: model.served for name, model in found.items() if model.served}

    @property
    def verdict(self) -> str:
        """The state in a few words: ``good``, or the first thing that is not."""
        words = (
            (self.silent, "does not answer"),
            (self.facts is None, "never asked"),
            (self.rollout is not None and self.rollout.failed, self.rollout.state if self.rollout else ""),
            (bool(self.findings), next((finding.text for finding in self.findings), "")),
            (self.service not in ("active", "-"), f"service {self.service}"),
            (bool(self.drift), "drift"),
            (self.hold is not None, "held"),
        )
        return next((text for so, text in words if so), "good")

    def seen(self, now: float) -> str:
        """Return the age of its facts: ``now``, as in ``3 days``, or ``never``."""
        if self.facts is None:
            return "never"
        return "now" if self.answers else duration(max(now - self.facts.answered, 0))

    def lines(self) -> list[str]:
        """Return a line for everything on it that a person should know."""
        return [*self.problems(), *(f"drift: {line}" for line in self.drift)]

    def problems(self) -> list[str]:
        """Return the lines that are no drift."""
        found = [f"{self.error.what.removeprefix(f'{self.board}: ')}; {self.error.fix}"] if self.error else []
        found += [str(self.hold)] if self.hold else []
        found += map(str, self.findings)
        services = self.facts.services if self.facts else {}
        found += [f"{name} is {state}" for name, state in services.items() if state != "active"]
        if self.rollout and self.rollout.failed:
            found.append(f"rollout {self.rollout.stamp}: {self.rollout.state}: {self.rollout.reason}")
        return found


@dataclass(frozen=True)
class Background:
    """All that the state of a board is compared with: the publication, holds, recorded rollouts."""

    offers: Mapping[str, Offer]
    holds: Mapping[str, Hold]
    records: Records
    recorded: Mapping[str, LastRollout]

    def rollout(self, board: Board, facts: BoardFacts | None) -> LastRollout | None:
        """Return a board's newest rollout."""
        return last_rollout(board.name, facts, self.recorded.get(board.name), self.records)


def status_of(
    board: Board, facts: BoardFacts | None, background: Background, *, asked: bool = True,
    error: BoardError | None = None,
) -> BoardStatus:  # fmt: skip
    """Return the state of a board; it also compares facts of before with the publication of now."""
    found = BoardStatus(board, facts, asked, error, background.holds.get(board.name), background.rollout(board, facts))
    if facts is None:
        return found
    packages = _packages(board, facts, background.offers)
    return replace(found, packages=packages, drift=drift(board, facts, background.offers))


def _packages(board: Board, facts: BoardFacts, offers: Mapping[str, Offer]) -> tuple[PlannedPackage, ...]:
    """Return the packages that are installed or should be, by name."""
    try:
        planned = expected_packages(board, facts, offers)
    except BoardError:
        planned = ()
    named = {package.name: package for package in planned}
    kept = {name: PlannedPackage(name, version, version) for name, version in facts.versions.items()}
    return tuple(package for _, package in sorted((kept | named).items()))
