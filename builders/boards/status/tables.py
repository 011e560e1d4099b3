"""The fleet in tables for a terminal."""

from collections import defaultdict
from collections.abc import Sequence

from builders.boards.status.board_status import BoardStatus

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""The names of columns, and rows."""
COLUMNS = ("board", "seen", "system", "service", "clock", "hold", "drift", "last rollout")
ALWAYS = ("board", "seen", "drift")
"""Columns that are shown even if no board has anything to say in them."""
NOTHING = ("-", "ok")


def fleet_table(statuses: Sequence[BoardStatus], now: float) -> Table:
    """Return a row for each board, without columns that say nothing of any."""
    rows = [_row(status, now) for status in statuses]
    shown = [
        place for place, name in enumerate(COLUMNS)
        if name in ALWAYS or any(row[place] not in NOTHING for row in rows)
    ]  # fmt: skip
    return [COLUMNS[place] for place in shown], [[row[place] for place in shown] for row in rows]


def versions_table(statuses: Sequence[BoardStatus]) -> Table:
    """Return a row for each version of a package or a model on any board, with the boards that have it."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for status in statuses:
        for package in status.packages:
            found[package.name, package.before or "not installed"].append(status.board.name)
        for name, versions in status.models.items():
            found[f"model {name}", " ".join(map(str, versions))].append(status.board.name)
    rows = [(name, version, ", ".join(boards)) for (name, version), boards in sorted(found.items())]
    return ("package", "version", "boards"), rows


def _row(status: BoardStatus, now: float) -> tuple[str, ...]:
    rollout = status.rollout
    return (
        status.board.name, status.seen(now), status.system, status.service, status.clock,
        str(status.hold.until) if status.hold else "-",
        (str(len(status.drift)) if status.drift else "none") if status.facts else "?",
        f"{rollout.state} {rollout.stamp}" if rollout else "-",
    )  # fmt: skip
