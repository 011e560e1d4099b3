"""One board's way through a rollout, from state to state; each change of state is reported before it begins."""

from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from builders.boards.connection import BoardError, Busy, LineLost, NoForwarding, Ssh, Unreachable
from builders.boards.facts import BoardFacts
from builders.boards.rollout import steps
from builders.boards.rollout.follow import MOST_IDLE, UNFINISHED, Follower, State
from builders.boards.rollout.models import Archives
from builders.boards.rollout.offer import Offer, offer_for
from builders.boards.rollout.options import Options
from builders.boards.rollout.plan import BoardPlan, plan_board
from builders.boards.rollout.room import require_room
from builders.boards.rollout.steps import (
    Access,
    BoardTests,
    Mode,
    Prepared,
    Progress,
    RepositoryUnreadable,
    SignatureRefused,
)


@dataclass(frozen=True)
class Outcome:
    """The end of a board's way: its last state and the reason."""

    state: State
    reason: str = ""
    detail: str = ""
    """The words of the program that failed."""

    @property
    def failed(self) -> bool:
        """Whether it counts against the budget; a skipped board does not."""
        return self.state in ("rolled-back", "broken", "failed", "lost")


@dataclass
class BoardRun:
    """A board in a rollout called ``stamp``. ``see`` records its facts, those of ``services`` too."""

    ssh: Ssh
    offers: Mapping[str, Offer]
    stamp: str
    archives: Archives
    report: Callable[[State, str], None]
    see: Callable[[BoardFacts], None]
    services: Sequence[str]
    options: Options = field(default_factory=Options)
    ours: Container[str] = ()
    """The stamps of earlier rollouts of the same project, whose commands have ended."""
    plan: BoardPlan | None = None
    prepared: Prepared | None = None
    _bundled: bool = False

    @property
    def comment(self) -> str:
        """The rollout in words, for apt's history and for people who find the board at work."""
        return f"Reef {self.stamp} by {self.options.who}"

    def planned(self) -> Outcome | None:
        """Reach the board, end what an earlier rollout left unfinished, and make the plan; raises BoardError.

        Returns the end of an earlier rollout of this project if that was bad, so that nothing bad is installed twice.
        """
        facts = self._asked()
        self.report("reached", facts.text("os_name"))
        if self.options.reboot and not facts.text("systemd"):
            raise BoardError(
                f"{self.ssh.board}: --reboot needs systemd, which continues the rollout after the restart",
                f"the board runs {facts.text('init') or 'something else'}", "leave out --reboot, or this board",
            )  # fmt: skip
        stamp, state = (list(facts.receipts.items()) or [("", "")])[-1]
        running, name = facts.text("running"), state.split(" ")[0]
        if running and not any(word in self.ours for word in running.split()):
            raise Busy(
                f"{self.ssh.board}: another rollout is at work on it: {running}", "",
                "wait for its end, then run the same command again",
            )  # fmt: skip
        if name in UNFINISHED:
            self.report("reached", f"the rollout {stamp} was interrupted ({name}): it continues")
            end = Follower(self.ssh, stamp, self.report, idle=0 if running else MOST_IDLE + 1).end()
            self.report("reached", f"the rollout {stamp} is at its end: {end.state} {end.reason}".rstrip())
            if end.state != "good" and stamp in self.ours:
                return Outcome(end.state, f"{end.reason} (rollout {stamp})")  # type: ignore[arg-type]
            facts = self._asked()
        offer = offer_for(self.ssh.board, facts, self.offers)
        self.plan = plan_board(self.ssh.board, facts, offer, self.options.packages)
        return None

    def stage(
        self, ways: Sequence[Callable[[], Access]], receipt: Mapping[str, object], tests: BoardTests
    ) -> None:  # fmt: skip
        """Make the board ready and download everything, by the first of ``ways`` to the repository that works. Where no
        package changes, it is only made ready, and what it can return to stays as it is.

        Raises BoardError.
        """
        try:
            self._stage(ways, receipt, tests)
        except BoardError:
            if self._bundled:
                with suppress(BoardError):  # the next rollout removes it
                    steps.unbundle(self.ssh)
            raise

    def _stage(
        self, ways: Sequence[Callable[[], Access]], receipt: Mapping[str, object], tests: BoardTests
    ) -> None:  # fmt: skip
        assert self.plan
        self.prepared = self._prepared(self.plan, ways) if self.plan.needs_apt else Prepared()
        for text in (*self.prepared.repaired, *self.prepared.broken_sources):
            self.report("ready", text)
        if self.prepared.removals:
            raise BoardError(
                f"{self.ssh.board}: apt would remove {', '.join(self.prepared.removals)}",
                "Reef removes no package of a board",
                "remove it there by hand, or leave out the package that needs that",
            )
        self.report("ready", self.prepared.sums)
        if not self.plan.installs:
            if self._bundled:
                steps.unbundle(self.ssh)
            return
        require_room(self.plan, self.prepared.sums)
        if archive := self.archives.of(self.plan.models, self.stamp):
            self.ssh.send(archive, "/")
        program = steps.program(self.plan, self.prepared, self.stamp, self.comment, tests, reboot=self.options.reboot)
        missing = steps.stage(self.ssh, self.plan, self.prepared, self.stamp, self.comment, receipt, program, tests)
        self.report("staged", f"no way back for {', '.join(missing)}" if missing else "")

    def install(self, mode: Mode) -> Outcome:
        """Install, test, and go back where a test fails; raises BoardError only before anything is installed.

        The mode ``test`` only tests what the rollout installed before, ``back`` returns to the packages before it.
        """
        try:
            steps.launch(self.ssh, self.stamp, mode)
        except (LineLost, Unreachable):
            # The board may have begun, so it is followed; a program that has not begun is started then.
            if mode:
                raise
        end = self._ended(self.stamp)
        return Outcome(end.state, end.reason, end.words)  # type: ignore[arg-type] # a last state, or lost

    def back(self, stamp: str) -> Outcome:
        """Return to the packages before the rollout ``stamp``, or the newest if it is empty; raises BoardError."""
        receipts = self._asked().receipts
        found = stamp or (list(receipts) or [""])[-1]
        state = receipts.get(found, "").split(" ")[0]
        if not state:
            raise BoardError(
                f"{self.ssh.board}: no rollout {found} on it" if found else f"{self.ssh.board}: no rollout on it",
                f"it remembers: {', '.join(receipts) or 'none'}", "./inv boards shows the last rollout of each board",
            )  # fmt: skip
        if state == "rolled-back":
            return Outcome("skipped", f"it went back from {found} before")
        if state == "staged":
            return Outcome("skipped", f"the rollout {found} installed nothing on it")
        steps.launch(self.ssh, found, "" if state == "rolling-back" else "back")
        end = self._ended(found)
        if end.state == "rolled-back":
            return Outcome("good", f"as it was before the rollout {found}")
        return Outcome(end.state, end.reason, end.words)  # type: ignore[arg-type]

    def gate(self, tests: BoardTests) -> Outcome:
        """Test a board on which nothing changes."""
        assert self.plan
        self.report("gating", "")
        bad, words = steps.gate(self.ssh, self.plan, tests)
        return Outcome("failed", bad, words) if bad else Outcome("good", "unchanged")

    def _asked(self, *, verify: bool = False) -> BoardFacts:
        try:
            facts = steps.probe(self.ssh, self.offers, self.services, verify=verify)
        except LineLost:  # it only reads, so that a second try does no harm
            facts = steps.probe(self.ssh, self.offers, self.services, verify=verify)
        self.see(facts)
        return facts

    def _ended(self, stamp: str) -> Progress:
        """Return the last state of a program, and record the board as it is then."""
        end = Follower(self.ssh, stamp, self.report).end()
        with suppress(BoardError):  # the outcome is known; only the record stays older
            self._asked(verify=True)
        return end

    def _prepared(self, plan: BoardPlan, ways: Sequence[Callable[[], Access]]) -> Prepared:
        for number, way in enumerate(ways, 1):
            try:
                access = way()
                self._bundled = access.bundle
                return steps.prepare(self.ssh, plan, access, self.comment)
            except (RepositoryUnreadable, NoForwarding) as error:
                # The published address may have an old copy; beyond it, every way leads to the same signature.
                if number == len(ways) or (isinstance(error, SignatureRefused) and access.temporary):
                    raise
                what = error.what.removeprefix(f"{self.ssh.board}: ")
                self.report("reached", f"{what}; the next way is tried")
        raise AssertionError("a board has a way to the repository")
