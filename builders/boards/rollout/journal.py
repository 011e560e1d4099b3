"""The records of rollouts in ``artifacts/boards``: what was planned, each change of state, and the boards as last seen.

A board's own receipt is the truth; these are copies, and they let a command that was killed continue.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from builders.boards.facts import BoardFacts
from builders.errors import DiskError
from builders.host.files import disk_errors, write_whole

JOURNAL, PLAN = "journal.jsonl", "plan.yml"


@dataclass(frozen=True)
class Records:
    """The folder of all records of a project's boards."""

    folder: Path

    @property
    def rollouts(self) -> list[str]:
        """The stamps of all rollouts, the newest last."""
        place = self.folder / "rollouts"
        return sorted(path.name for path in place.iterdir() if (path / PLAN).is_file()) if place.is_dir() else []

    def rollout(self, stamp: str) -> "Rollout":
        return Rollout(self.folder / "rollouts" / stamp)

    def see(self, board: str, facts: BoardFacts) -> None:
        """Record a board as it answered."""
        write_whole(self._seen(board), json.dumps(facts.document(), indent=1, ensure_ascii=False) + "\n")

    def seen(self, board: str) -> BoardFacts | None:
        """Return a board as it answered last, None if it never did or if the record is of another form."""
        try:
            return BoardFacts.read(json.loads(self._seen(board).read_text()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def brought(self, board: str) -> Path:
        """Return the folder of the answer of a board that a person brought."""
        return self.folder / "brought" / board

    def _seen(self, board: str) -> Path:
        return self.folder / "seen" / f"{board}.json"


@dataclass(frozen=True)
class Entry:
    """A change of state: of a board, or of the whole rollout (``board`` is empty)."""

    time: float
    board: str
    state: str
    reason: str = ""


@dataclass(frozen=True)
class Rollout:
    """The records of one rollout."""

    folder: Path

    @property
    def stamp(self) -> str:
        return self.folder.name

    def begin(self, plan: Mapping[str, Any]) -> None:
        """Write the plan; the rollout exists from then on."""
        write_whole(self.folder / PLAN, yaml.safe_dump(dict(plan), sort_keys=False, allow_unicode=True))

    @property
    def plan(self) -> Mapping[str, Any]:
        with disk_errors(self.folder / PLAN):
            found = yaml.safe_load((self.folder / PLAN).read_text())
        return found if isinstance(found, dict) else {}

    def add(self, board: str, state: str, reason: str = "") -> None:
        """Append a change of state; it is on the disk when this returns."""
        line = json.dumps({"time": round(time.time(), 3), "board": board, "state": state, "reason": reason})
        path = self.folder / JOURNAL
        with disk_errors(path), path.open("a") as file:
            file.write(f"{line}\n")
            file.flush()
            os.fsync(file.fileno())

    def entries(self) -> Iterator[Entry]:
        """Yield all changes of state; a half-written last line of a killed run is left out."""
        path = self.folder / JOURNAL
        if not path.is_file():
            return
        with disk_errors(path):
            lines = path.read_text().split("\n")
        for number, line in enumerate(lines[:-1], 1):
            try:
                yield Entry(**json.loads(line))
            except (ValueError, TypeError) as error:
                raise DiskError(f"{path}:{number} is not an entry", line, f"remove {self.folder}") from error

    def states(self) -> dict[str, Entry]:
        """Return the last state of each board."""
        return {entry.board: entry for entry in self.entries() if entry.board}

    def keep(self, board: str, text: str) -> None:
        """Append to a board's log."""
        with disk_errors(self.log(board)), self.log(board).open("a") as file:
            file.write(text)

    def keep_receipt(self, board: str, receipt: Mapping[str, Any]) -> None:
        """Write a copy of a board's receipt: the versions before and after, the publication, the person."""
        write_whole(self._receipt(board), json.dumps(receipt, indent=1) + "\n")

    def receipt(self, board: str) -> Mapping[str, Any]:
        """Return the copy of a board's receipt, empty if there is none."""
        try:
            found = json.loads(self._receipt(board).read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _receipt(self, board: str) -> Path:
        return self.folder / "receipts" / f"{board}.json"

    def wave(self, board: str) -> str:
        """Return the wave of a board: ``canary``, ``batch 2``, or ``back``; empty if it is in none."""
        waves = self.plan.get("waves") or {}
        return next((name for name, boards in waves.items() if board in boards), "")

    def log(self, board: str) -> Path:
        """Return the file of a board's log."""
        return self.folder / f"{board}.log"
