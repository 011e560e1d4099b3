"""Why a board runs what it runs: its last rollout, the test's answer, apt's view, the owner's own changes.

Each part comes from the board, and from the records of this machine where the board does not answer.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from builders.boards.facts import BoardFacts, changed_files, pins
from builders.boards.rollout.journal import Rollout
from builders.boards.status.board_status import BoardStatus

Answer = Mapping[str, Sequence[str]]
"""The facts of ``scripts/explain.sh``; none if the board did not answer."""


@dataclass(frozen=True)
class Section:
    """A part of an explanation, with a line for each fact."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class BoardHistory:
    """All that is known of a board and of one rollout on it. ``recorded`` are this machine's records of the rollout."""

    status: BoardStatus
    stamp: str = ""
    recorded: Rollout | None = None
    answer: Answer = field(default_factory=dict)

    @property
    def receipt(self) -> Mapping[str, Any]:
        """The board's receipt of the rollout, else the copy of it here; empty if nothing was installed."""
        try:
            found = json.loads("".join(self.answer.get("receipt", ())))
        except ValueError:
            found = None
        if isinstance(found, dict):
            return found
        return self.recorded.receipt(self.status.board.name) if self.recorded else {}

    def before(self, now: float) -> list[Section]:
        """Return the board's state and its rollout."""
        return [
            Section(f"{self.status.board} ({self.status.board.destination})", tuple(self._state(now))),
            Section(f"rollout {self.stamp}".strip(), tuple(self._rollout())),
            *_some("states", self._states()),
            *_some("the words of what failed", self.answer.get("words", ())),
            *_some(
                "the tests after the way back" if self.answer.get("words") else "the tests' answer",
                self.answer.get("gate", ()),
            ),
        ]

    def after(self) -> list[Section]:
        """Return apt's view and the changes of the board's owner."""
        facts = self.status.facts
        return [
            *_some("apt's policy", self.answer.get("policy", ())),
            *_some("changes on the board", _changes(facts) if facts else ()),
        ]

    def _state(self, now: float) -> Iterator[str]:
        facts, seen = self.status.facts, self.status.seen(now)
        if facts:
            yield f"{facts.text('os_name')}, {facts.architecture}"
        if seen != "now":
            yield "it never answered" if seen == "never" else f"all about the board is {seen} old"
        yield from self.status.problems()
        for package in self.status.packages:
            yield str(package) if package.changes else f"{package} as expected"

    def _rollout(self) -> Iterator[str]:
        board, receipt = self.status.board.name, self.receipt
        if not self.stamp:
            yield "no rollout of Reef was on it"
            return
        plan = self.recorded.plan if self.recorded else {}
        wave = self.recorded.wave(board) if self.recorded else ""
        yield f"by {receipt.get('by') or plan.get('by') or 'unknown'}{f', in its wave {wave!r}' if wave else ''}"
        for name, boards in (plan.get("waves") or {}).items():
            yield f"{name}: {', '.join(boards)}"
        if not self.recorded:
            yield "another machine began it and has its records"
        if not receipt:
            yield "it installed nothing on this board"
        for package in receipt.get("packages", ()):
            yield _change(package)
        for model in receipt.get("models", ()):
            before, after = (" ".join(map(str, model.get(when) or "-")) for when in ("before", "after"))
            yield f"model {model.get('name')}: {before} -> {after}"

    def _states(self) -> Iterator[str]:
        """Yield the states with this machine's times, else with the board's uptime: clocks of boards jump."""
        board = self.status.board.name
        entries = [entry for entry in self.recorded.entries() if entry.board == board] if self.recorded else []
        for entry in entries:
            moment = datetime.fromtimestamp(entry.time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
            yield f"{moment}  {entry.state}{f': {entry.reason}' if entry.reason else ''}"
        journal = [_entered(line) for line in self.answer.get("journal", ())]
        if entries:  # a later command may have gone back from this rollout
            journal = [state for state in journal[-1:] if state[0] != entries[-1].state]
        for state, uptime, reason in journal:
            yield f"{uptime} s after a start of the board  {state}{f': {reason}' if reason else ''}"


def _entered(line: str) -> tuple[str, str, str]:
    """Return the state, the uptime in seconds and the reason in a line of a board's journal."""
    state, _, uptime, reason, *_ = [*line.split(" ", 3), "", "", "", ""]
    return state, uptime, reason.strip()


def _some(title: str, lines: Iterator[str] | Sequence[str]) -> list[Section]:
    found = tuple(lines)
    return [Section(title, found)] if found else []


def _change(package: Mapping[str, Any]) -> str:
    name, before, after = package.get("name"), package.get("before"), package.get("after")
    return f"{name}: {after}, as before" if before == after else f"{name}: {before or 'not installed'} -> {after}"


def _changes(facts: BoardFacts) -> Iterator[str]:
    yield from map(str, changed_files(facts))
    for path in facts.values.get("beside", ()):
        yield f"{path}: the package's new file of an edited conffile; compare the two, then remove it"
    for name in facts.held:
        if name in facts.packages:
            yield f"{name} is held: sudo apt-mark unhold {name}"
    for pin in pins(facts):
        yield f"{pin}; {pin.remedy}"
