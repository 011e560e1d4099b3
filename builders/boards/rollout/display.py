"""The states of a rollout's boards as people follow them, and as the journal keeps them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from builders.boards.rollout.board_run import Outcome
from builders.boards.rollout.follow import State
from builders.boards.rollout.journal import Rollout
from builders.host.log import Log, Tracks


@dataclass
class Display:
    """A line for each board that is at work; every state is in the journal before it is shown."""

    record: Rollout
    log: Log
    _tracks: Tracks | None = field(default=None)

    def reporter(self, board: str) -> Callable[[State, str], None]:
        """Return the report of a board's changes of state."""
        return lambda state, reason: self._show(board, state, reason)

    def end(self, board: str, outcome: Outcome) -> None:
        """Report the end of a board's way."""
        self._show(board, outcome.state, outcome.reason)

    @contextmanager
    def step(self, title: str, boards: Sequence[str]) -> Iterator[None]:
        """Show a step with a line for each of its boards."""
        with self.log.step(title), self.log.tracks(boards) as tracks:
            self._tracks = tracks
            yield

    def _show(self, board: str, state: State, reason: str) -> None:
        self.record.add(board, state, reason)
        if self._tracks is not None:
            # That a board was reached is not worth a line that stays; repairs and reasons are.
            stays = bool(reason) and state != "reached"
            self._tracks.show(board, f"{state}: {reason}" if reason else state, stays=stays)
