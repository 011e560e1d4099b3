"""The newest rollout of a board, from the board's own receipt and from the records of this machine."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from builders.boards.facts import BoardFacts
from builders.boards.rollout.journal import Entry, Records, Rollout

FAILED = ("rolled-back", "broken", "failed", "lost")
BACK = "back"
"""The wave of a command that returns boards to older versions."""


@dataclass(frozen=True)
class LastRollout:
    """A rollout of one board. ``steps`` are its states here, with times; none if another machine rolled out."""

    stamp: str
    state: str
    reason: str = ""
    wave: str = ""
    steps: tuple[Entry, ...] = ()

    @property
    def failed(self) -> bool:
        return self.state in FAILED

    def __str__(self) -> str:
        return f"{self.state}, {self.wave} of {self.stamp}" if self.wave else f"{self.state}, {self.stamp}"


def recorded_rollouts(records: Records, boards: Collection[str]) -> Mapping[str, LastRollout]:
    """Return the newest rollout of each of ``boards`` in the records of this machine."""
    found: dict[str, LastRollout] = {}
    for stamp in reversed(records.rollouts):
        if len(found) == len(boards):
            break
        rollout = records.rollout(stamp)
        for board in {entry.board for entry in rollout.entries()} & (set(boards) - found.keys()):
            found[board] = recorded_rollout(rollout, board)
    return found


def recorded_rollout(rollout: Rollout, board: str) -> LastRollout:
    """Return a board's part of a recorded rollout; its state is empty if nothing happened to the board."""
    steps = tuple(entry for entry in rollout.entries() if entry.board == board)
    state, reason = (steps[-1].state, steps[-1].reason) if steps else ("", "")
    return LastRollout(rollout.stamp, state, reason, rollout.wave(board), steps)


def last_rollout(
    board: str, facts: BoardFacts | None, recorded: LastRollout | None, records: Records
) -> LastRollout | None:
    """Return the newest rollout that the board or this machine knows. Of the same one, the board's state counts."""
    stamp, line = (list(facts.receipts.items()) or [("", "")])[-1] if facts else ("", "")
    if not stamp or (recorded and recorded.stamp > stamp):
        return recorded
    state, _, _, reason, *_ = [*line.split(" ", 3), "", "", "", ""]
    known = recorded
    if known is None or known.stamp != stamp:
        known = recorded_rollout(records.rollout(stamp), board) if stamp in records.rollouts else LastRollout(stamp, "")
    return replace(known, state=state, reason=reason.strip())
