"""The command of bundles in a folder, for boards that no connection reaches."""

from collections.abc import Sequence
from pathlib import Path

from builders.boards.api import BoardError
from builders.cli.boards import opened_fleet
from builders.errors import InputError
from builders.pipeline.stick import Carried, Stick


def bundle_boards(
    names: Sequence[str], groups: Sequence[str], *, export: str | None, receipts: str | None
) -> None:  # fmt: skip
    """Make a folder that a person carries to boards, or read what boards wrote into one."""
    if (export is None) == (receipts is None):
        raise InputError(
            "give --export or --receipts", "the first makes a folder, the second reads what boards wrote into it",
            "./inv bundle-boards --board NAME --export /media/stick/reef",
        )  # fmt: skip
    with opened_fleet() as fleet:
        stick = Stick(fleet, Path(export or receipts or "").expanduser().absolute())
        if export is None:
            if not stick.folder.is_dir():
                raise InputError(f"no such folder: {stick.folder}", fix="correct --receipts")
            found = stick.receive()
        else:
            found = stick.export(fleet.inventory.select(names, groups))
        fleet.project.log.table(str(stick.folder), ("board", "state", "detail"), _rows(found))
        if export is not None:
            fleet.project.log.note(f"on each board: sudo sh {stick.folder.name}/install.sh")
        if not found:
            fleet.project.log.note("no board wrote into this folder")
        if failed := [outcome.board for outcome in found if outcome.failed]:
            raise BoardError(f"{len(failed)} of {len(found)} boards failed", ", ".join(failed), "see the table above")


def _rows(found: Sequence[Carried]) -> list[tuple[str, ...]]:
    return [(outcome.board, outcome.state, outcome.detail) for outcome in found]
