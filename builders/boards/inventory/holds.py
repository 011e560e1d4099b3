"""Boards that rollouts skip, each with a reason and an end: ``boards.holds.yml`` beside ``boards.yml``."""

import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pydantic
import yaml

from builders.errors import InputError
from builders.host.files import write_whole
from builders.model.yaml_file import Line, Model, load

FILE = "boards.holds.yml"
NOTE = "# Boards that rollouts skip. ./inv hold-boards writes this file; a hold ends by itself after its last day.\n"


class Hold(Model):
    """A hold of a board."""

    reason: Line
    """The reason, for other people."""
    until: date
    """The last day, in UTC."""
    by: Line = ""
    """The person who holds the board."""

    def over(self, now: float) -> bool:
        """Return whether the hold has ended at ``now``, in seconds since 1970."""
        return datetime.fromtimestamp(now, UTC).date() > self.until

    def __str__(self) -> str:
        return f"held until {self.until}: {self.reason}" + (f" ({self.by})" if self.by else "")


class HoldsFile(Model):
    """The content of the file."""

    holds: dict[str, Hold] = pydantic.Field(default_factory=dict)
    """The holds, by the board's name."""


def read_holds(folder: Path) -> dict[str, Hold]:
    """Return the holds that are in force; raises InputError for faults in the file."""
    path = folder / FILE
    found = load(path, HoldsFile, empty=True).holds if path.exists() else {}
    return {name: hold for name, hold in found.items() if not hold.over(time.time())}


def write_holds(folder: Path, holds: dict[str, Hold]) -> None:
    """Write the holds that are in force."""
    data = {name: hold.model_dump() for name, hold in sorted(holds.items()) if not hold.over(time.time())}
    write_whole(folder / FILE, NOTE + yaml.safe_dump({"holds": data}, sort_keys=False, allow_unicode=True))


def last_day(text: str, now: float) -> date:
    """Return the day that ``text`` names: ``2026-12-24``, or ``3d`` and ``2w`` from ``now``; raises InputError."""
    today = datetime.fromtimestamp(now, UTC).date()
    units = {"d": 1, "w": 7}
    if text[:-1].isdigit() and text[-1:] in units:
        return today + timedelta(days=int(text[:-1]) * units[text[-1]])
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise InputError(f"not a day: {text!r}", "given with --until", "write 2026-12-24, 3d or 2w") from None
    if day < today:
        raise InputError(f"{day} is in the past", "given with --until", "name a later day")
    return day
