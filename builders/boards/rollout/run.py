"""A rollout over many boards: plan, canary, soak, batches; it halts when too many boards fail."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from builders.boards.connection import BoardError, Busy, LineLost, Stop, Unreachable
from builders.boards.facts import require_distinct
from builders.boards.rollout.board_run import BoardRun, Outcome
from builders.boards.rollout.display import Display
from builders.boards.rollout.follow import UNFINISHED
from builders.boards.rollout.journal import Rollout
from builders.boards.rollout.options import Options
from builders.boards.rollout.plan import BoardPlan
from builders.boards.rollout.steps import Access, BoardTests, receipt_of
from builders.boards.rollout.waves import CANARY, Budget, Wave
from builders.errors import ReefError

MOST_AT_ONCE = 32
"""Boards that are asked at the same time: each needs an ssh process."""
Result = TypeVar("Result")


@dataclass
class RolloutRun:
    """A rollout in progress. ``tests`` and ``ways`` give a board's tests and its ways to the repository."""

    record: Rollout
    runs: Mapping[str, BoardRun]
    tests: Callable[[BoardPlan], BoardTests]
    ways: Callable[[BoardRun], Sequence[Callable[[], Access]]]
    options: Options
    stop: Stop
    display: Display
    held: Mapping[str, str] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    unreached: set[str] = field(default_factory=set)
    """Boards that did not answer."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def plan(self) -> None:
        """Ask all boards but the held; those that cannot be reached or installed get their outcome at once."""
        for name, hold in self.held.items():
            self._end(name, Outcome("skipped", hold))
        names = [name for name in self.runs if name not in self.held]
        with self.display.step(f"ask {len(names)} boards", names):
            for _ in self._side_by_side(names, self._ask):
                pass
        require_distinct({name: run.plan.facts for name, run in self.runs.items() if run.plan})

    def _ask(self, run: BoardRun) -> None:
        if ended := run.planned():
            self._end(run.ssh.board.name, ended)

    def go(self, waves: Sequence[Wave]) -> str:
        """Install wave after wave, and return the reason of a halt, empty if all of them were tried."""
        budget, refused = Budget(self.options.most_failures), set(self.outcomes)
        for number, wave in enumerate(waves):
            self.record.add("", wave.name, ", ".join(board.name for board in wave.boards))
            self._wave(wave)
            if wave.name == CANARY and self.options.soak_s:
                self._soak(wave)
            for board in wave.boards:
                # A board that refused before anything was sent says nothing about the new version.
                if self.outcomes[board.name].failed and board.name not in refused:
                    budget.count(board.name)
            halt = self._halt(wave, budget) if waves[number + 1 :] else ""
            if halt:
                self.record.add("", "halted", halt)
                for board in (board for later in waves[number + 1 :] for board in later.boards):
                    self.outcomes.setdefault(board.name, Outcome("skipped", "the rollout halted before it"))
                return halt
        self.record.add("", "done")
        return ""

    @property
    def passed(self) -> bool:
        """Whether boards passed, and no more failed than the rollout bears."""
        failed = sum(outcome.failed for outcome in self.outcomes.values())
        good = any(outcome.state == "good" for outcome in self.outcomes.values())
        return good and failed <= self.options.most_failures

    @property
    def at_work(self) -> list[str]:
        """Boards whose program goes on without this command."""
        states = self.record.states()
        return [
            name for name, entry in states.items() if entry.state in UNFINISHED and name not in self.outcomes
        ]  # fmt: skip

    def _halt(self, wave: Wave, budget: Budget) -> str:
        """Return the reason not to go on after a wave, empty if there is none."""
        if budget.spent:
            return f"failed: {', '.join(budget.failed)}"
        # Also where its boards do not answer: the others would then be the first to try it.
        if wave.name == CANARY and all(self.outcomes[board.name].state != "good" for board in wave.boards):
            return f"no board of the canary passed: {', '.join(board.name for board in wave.boards)}"
        return ""

    def _wave(self, wave: Wave) -> None:
        going = [board.name for board in wave.boards if board.name not in self.outcomes]
        if not going:
            return
        with self.display.step(f"{wave.name}: {', '.join(going)}", going):
            changed = [name for name in going if not self._plan_of(name).nothing_to_do]
            # Everything is on all boards of the wave before one of them changes.
            for _ in self._side_by_side(changed, self._stage):
                pass
            for _ in self._side_by_side([name for name in going if name not in self.outcomes], self._finish):
                pass

    def _stage(self, run: BoardRun) -> None:
        plan = self._plan_of(run.ssh.board.name)
        receipt = receipt_of(plan, run.stamp, self.options.who)
        self.record.keep_receipt(run.ssh.board.name, receipt)
        run.stage(self.ways(run), receipt, self.tests(plan))

    def _finish(self, run: BoardRun) -> None:
        plan = self._plan_of(run.ssh.board.name)
        outcome = run.install("") if plan.installs else run.gate(self.tests(plan))
        self._end(run.ssh.board.name, outcome)

    def back(self, stamp: str) -> None:
        """Let all boards return to their packages before a rollout."""
        with self.display.step(f"go back on {len(self.runs)} boards", list(self.runs)):
            for _ in self._side_by_side(list(self.runs), lambda run: self._end(run.ssh.board.name, run.back(stamp))):
                pass
        self.record.add("", "done")

    def _soak(self, wave: Wave) -> None:
        """Wait, and test the canary again: a fault that needs time shows itself there."""
        good = [board.name for board in wave.boards if self.outcomes[board.name].state == "good"]
        changed = [name for name in good if self._plan_of(name).installs]
        with self.display.step(f"soak: {self.options.soak_s:.0f} s, then test {wave.name} again", changed):
            self.stop.wait(self.options.soak_s)
            for _ in self._side_by_side(changed, self._again):
                pass

    def _again(self, run: BoardRun) -> None:
        self._end(run.ssh.board.name, run.install("test"))

    def _plan_of(self, name: str) -> BoardPlan:
        plan = self.runs[name].plan
        assert plan
        return plan

    def _side_by_side(self, names: Sequence[str], work: Callable[[BoardRun], object]) -> Iterator[str]:
        """Run ``work`` for boards at the same time, and yield each that is at its end; a failure is its outcome."""
        with _interruptible(self.stop), ThreadPoolExecutor(max_workers=MOST_AT_ONCE) as pool:
            futures: dict[Future[object], str] = {pool.submit(work, self.runs[name]): name for name in names}
            waiting = set(futures)
            try:
                while waiting:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in done:
                        self._judge(futures[future], future)
                        yield futures[future]
            except BaseException:
                self.stop.ask()
                raise

    def _judge(self, name: str, future: "Future[object]") -> None:
        try:
            future.result()
        except (Unreachable, Busy, LineLost) as error:
            if isinstance(error, Unreachable):
                self.unreached.add(name)
            self._end(name, Outcome("skipped", _reason(name, error), error.detail))
        except BoardError as error:
            self._end(name, Outcome("failed", _reason(name, error), error.detail))

    def _end(self, name: str, outcome: Outcome) -> None:
        with self._lock:
            self.outcomes[name] = outcome
            self.display.end(name, outcome)
            if outcome.detail:
                self.record.keep(name, f"{outcome.state}: {outcome.reason}\n{outcome.detail}\n")


def _reason(board: str, error: ReefError) -> str:
    what = error.what.removeprefix(f"{board}: ")
    return f"{what}; {error.fix}" if error.fix else what


@contextmanager
def _interruptible(stop: Stop) -> Iterator[None]:
    """Let an interrupt of the block end all work with boards, so that its threads end too."""
    try:
        yield
    except KeyboardInterrupt:
        stop.ask()
        raise
