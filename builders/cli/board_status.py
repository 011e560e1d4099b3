"""The commands that show boards: the fleet as a table, a page or a document, and one board's history."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from builders.boards.api import (
    BoardError,
    BoardStatus,
    fleet_document,
    fleet_page,
    fleet_table,
    require_distinct,
    versions_table,
)
from builders.cli.boards import each, opened_fleet
from builders.host.files import write_whole
from builders.host.log import Log
from builders.pipeline.fleet_status import ask, history, origin_sections, recorded_statuses, statuses


def boards(
    names: Sequence[str], groups: Sequence[str], *, cached: bool, as_json: bool, html: str | None, ask_sudo: bool
) -> None:  # fmt: skip
    """Show every board: what it runs, what differs from what it should run, its last rollout."""
    with opened_fleet(ask_sudo=ask_sudo) as fleet:
        chosen, log = fleet.inventory.select(names, groups), fleet.project.log
        if cached:
            found = recorded_statuses(fleet, chosen)
        else:
            found = statuses(fleet, each(fleet, chosen, lambda board: ask(fleet, board)))
        now = time.time()
        if html:
            title = f"{fleet.project.settings.repository.label} boards"
            write_whole(Path(html).expanduser(), fleet_page(title, found, now))
        if as_json:
            log.note(json.dumps(fleet_document(found, now), indent=1, ensure_ascii=False))
        elif html:
            log.note(f"wrote {html}")
        else:
            _show(log, found, now)
        if not cached:
            _require_answers(found)


def explain_board(name: str, stamp: str, *, ask_sudo: bool) -> None:
    """Show why a board runs what it runs: rollout, tests, publication, builds, apt's policy, changes on the board.

    Raises BoardError at the end if the board does not answer: all is then from the records of this machine.
    """
    with opened_fleet(ask_sudo=ask_sudo) as fleet:
        (board,) = fleet.inventory.select([name], [])
        known = history(fleet, board, stamp)
        for section in (*known.before(time.time()), *origin_sections(fleet, known), *known.after()):
            fleet.project.log.note(f"{section.title}:")
            for line in section.lines:
                fleet.project.log.note(f"  {line}")
        if known.status.error and known.status.silent:
            raise known.status.error


def _show(log: Log, found: Sequence[BoardStatus], now: float) -> None:
    log.table("boards", *fleet_table(found, now))
    columns, rows = versions_table(found)
    if rows:
        log.note("")
        log.table("versions", columns, rows)
    for status in found:
        if lines := status.lines():
            log.note(f"\n{status.board}:")
            for line in lines:
                log.note(f"  {line}")


def _require_answers(found: Sequence[BoardStatus]) -> None:
    """Raise BoardError for boards that should have answered, and for one board under two names."""
    answers = {status.board.name: status.facts for status in found if status.facts and not status.error}
    require_distinct(answers)
    if silent := [status.board.name for status in found if status.silent]:
        raise BoardError(
            f"{len(silent)} of {len(found)} boards do not answer", ", ".join(silent),
            "./inv check-boards; if they need not answer: ./inv hold-boards, or reef_offline: true in boards.yml",
        )  # fmt: skip
