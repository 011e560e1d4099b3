"""One board under two names: both would be installed at the same time, each as if it were alone."""

from collections.abc import Mapping
from itertools import combinations

from builders.boards.connection import BoardError
from builders.boards.facts.board_facts import BoardFacts


def require_distinct(answers: Mapping[str, BoardFacts]) -> None:
    """Raise BoardError if two names are the same board."""
    for (name, facts), (other, others) in combinations(answers.items(), 2):
        if same_board(facts, others):
            raise BoardError(
                f"{name} and {other} are the same board",
                f"both are {facts.text('hostname') or 'without a name'}, started as {facts.text('boot_id')}",
                f"remove {other} from boards.yml, or correct its ansible_host:",
            )


def same_board(facts: BoardFacts, others: BoardFacts) -> bool:
    """Return whether two answers came from one start of one machine.

    The kernel draws a new boot id at each start. Copies of a virtual machine that was saved while it ran share it,
    so the name must be the same too, and the moment of the start.
    """
    if not facts.text("boot_id") or facts.text("boot_id") != others.text("boot_id"):
        return False
    (first, last), (early, late) = _started(facts), _started(others)
    return facts.text("hostname") == others.text("hostname") and first <= late and early <= last


def _started(facts: BoardFacts) -> tuple[float, float]:
    """Return the earliest and the latest moment at which the board may have started; uptime counts whole seconds."""
    uptime = facts.number("uptime") or 0
    return facts.asked - uptime - 1, facts.answered - uptime
