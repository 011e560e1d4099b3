"""Following a board's program: what counts as its end, when it is started again, and when a board is lost."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from builders.boards.connection import Unreachable
from builders.boards.rollout import steps
from builders.boards.rollout.board_run import BoardRun
from builders.boards.rollout.follow import LOST_S, RELAUNCHES, Follower
from builders.boards.rollout.steps import RESTART_S, Progress


def found(state: str, *, alive: bool = True, same_boot: bool = True) -> Progress:
    return Progress(state, "", same_boot, alive, "last line")


@dataclass
class PlayedBoard:
    """A board whose answers a test plays; time passes only while the follower waits. The last answer stays."""

    answers: Iterator[Progress | None]
    now: float = 0
    launches: int = 0
    states: list[str] = field(default_factory=list)
    _last: Progress | None = None

    @property
    def stop(self) -> "PlayedBoard":
        return self

    def wait(self, seconds: float) -> None:
        self.now += seconds
        assert self.now < 10 * LOST_S, "it is followed for ever"

    def poll(self, *_: Any) -> Progress:
        self._last = next(self.answers, self._last)
        if self._last is None:
            raise Unreachable("one: it does not answer")
        return self._last

    def launch(self, *_: Any) -> None:
        self.launches += 1


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Any:
    def played(*answers: Progress | None) -> tuple[Progress, PlayedBoard]:
        board = PlayedBoard(iter(answers))
        monkeypatch.setattr(steps, "poll", board.poll)
        monkeypatch.setattr(steps, "launch", board.launch)
        monkeypatch.setattr("time.monotonic", lambda: board.now)
        ssh: Any = board
        return Follower(ssh, "stamp", lambda state, _: board.states.append(state)).end(), board

    return played


def test_a_board_that_shuts_down_is_waited_for(play: Any) -> None:
    shutdown = [found("restarting", alive=False)] * 20
    end, board = play(
        found("gating"), found("restarting"), *shutdown, None, None,
        found("restarting", alive=False, same_boot=False), found("gating", same_boot=False), found("good"),
    )  # fmt: skip
    assert (end.state, board.launches, board.states) == ("good", 0, ["gating", "restarting", "gating"])


def test_a_shutdown_that_never_ends_is_not_waited_for(play: Any) -> None:
    end, board = play(found("restarting", alive=False))
    assert (end.state, board.launches) == ("lost", RELAUNCHES)
    assert board.now >= RESTART_S


def test_a_board_that_does_not_come_back_is_lost(play: Any) -> None:
    end, board = play(found("restarting"), None)
    assert end.state == "lost"
    assert "did not come back from its restart: look at its power" in end.reason
    assert LOST_S < board.now < 2 * LOST_S


def test_a_program_that_died_is_started_again(play: Any) -> None:
    dead = found("installing", alive=False)
    end, board = play(found("installing"), dead, dead, found("gating"), found("good"))
    assert (end.state, board.launches) == ("good", 1)
    end, board = play(dead)
    assert (end.state, board.launches) == ("lost", RELAUNCHES)
    assert end.reason == "its program ends without a result: last line"


def test_a_start_whose_answer_does_not_come_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have begun, so the board is not skipped."""
    dead = found("staged", alive=False)
    board = PlayedBoard(iter([dead, dead, found("good")]))

    def launch(*_: Any) -> None:
        board.launches += 1
        if board.launches == 1:
            raise Unreachable("one: no answer within 300 s")

    def probe(*_: Any, **__: Any) -> None:
        raise Unreachable("one: it does not answer")

    for name, played in (("launch", launch), ("poll", board.poll), ("probe", probe)):
        monkeypatch.setattr(steps, name, played)
    monkeypatch.setattr("time.monotonic", lambda: board.now)
    unused: Any = None
    ssh: Any = board
    run = BoardRun(ssh, {}, "stamp", unused, lambda state, _: board.states.append(state), lambda _: None, ())
    assert run.install("").state == "good"
    assert (board.launches, board.states) == (2, [])
