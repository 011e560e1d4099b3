"""The order of a rollout: the canary first, then batches; and the budget of failures over the whole fleet."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field

from builders.boards.inventory import Board, Inventory
from builders.errors import InputError, nearest

CANARY = "canary"
"""The group that is taken for the canary if ``boards.yml`` has it."""


@dataclass(frozen=True)
class Wave:
    """Boards that are installed side by side."""

    name: str
    boards: tuple[Board, ...]


def waves(
    inventory: Inventory, boards: Sequence[Board], canary: str | None, batch: int | None, out: Container[str] = ()
) -> list[Wave]:
    """Return the waves of a rollout over ``boards``, of which those ``out`` have their end already.

    ``canary`` is the name of a board or a group, or a number of boards; ``0`` stands for none. The default is the group
    `CANARY`, else the first of several boards. ``batch`` is the size of the later waves, by default each board's own.
    Raises InputError for an unknown canary.
    """
    first = _canary(inventory, boards, canary, out)
    rest = [board for board in boards if board not in first]
    found = [Wave(CANARY, tuple(first))] if first and rest else []
    waiting = rest or list(first)
    while waiting:
        size = batch or waiting[0].keys.reef_batch
        same = [board for board in waiting if batch or board.keys.reef_batch == size][:size]
        found.append(Wave(f"batch {len(found) + (not _has_canary(found))}", tuple(same)))
        waiting = [board for board in waiting if board not in same]
    return found


def _has_canary(found: Sequence[Wave]) -> bool:
    return bool(found) and found[0].name == CANARY


def _canary(
    inventory: Inventory, boards: Sequence[Board], canary: str | None, out: Container[str]
) -> list[Board]:  # fmt: skip
    groups = inventory.groups
    going = [board for board in boards if board.name not in out] or boards
    if canary is None:
        in_group = [board for board in boards if board.name in groups.get(CANARY, ())]
        return in_group or list(going[:1])
    if canary.isdigit():
        return list(going[: int(canary)])
    names = groups.get(canary) or ((canary,) if canary in {board.name for board in inventory.boards} else ())
    if not names:
        known = {*groups, *(board.name for board in inventory.boards)}
        raise InputError(f"no board or group {canary!r}", nearest(canary, known), "correct --canary, or give a number")
    return [board for board in boards if board.name in names]


@dataclass
class Budget:
    """The failures that a rollout bears: it halts when more than ``most`` boards failed, over all waves."""

    most: int = 0
    failed: list[str] = field(default_factory=list)

    def count(self, board: str) -> None:
        self.failed.append(board)

    @property
    def spent(self) -> bool:
        return len(self.failed) > self.most
