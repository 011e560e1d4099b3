"""The fleet as a document for programs; its keys stay."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from builders.boards.status.board_status import BoardStatus
from builders.boards.status.last_rollout import LastRollout


def fleet_document(statuses: Sequence[BoardStatus], now: float) -> dict[str, Any]:
    """Return the states of boards, in plain values; times are ISO 8601 in UTC, unknown values None."""
    return {"time": utc(now), "boards": [_board(status) for status in statuses]}


def _board(status: BoardStatus) -> dict[str, Any]:
    facts, error, hold = status.facts, status.error, status.hold
    return {
        "name": status.board.name,
        "groups": list(status.board.groups),
        "answers": status.answers,
        "seen": utc(facts.answered) if facts else None,
        "error": {"text": error.what, "fix": error.fix} if error else None,
        "system": facts.text("os_name") if facts else None,
        "suite": facts.text("os_codename") if facts else None,
        "architecture": facts.architecture if facts else None,
        "packages": [
            {"name": package.name, "installed": package.before, "expected": package.after}
            for package in status.packages
        ],
        "models": {name: list(versions) for name, versions in status.models.items()},
        "services": facts.services if facts else {},
        "clock_offset_s": facts.clock_offset_s if facts else None,
        "hold": {"until": str(hold.until), "reason": hold.reason, "by": hold.by} if hold else None,
        "findings": [
            {"severity": found.severity, "text": found.text, "fix": found.fix} for found in status.findings
        ],
        "drift": list(status.drift),
        "verdict": status.verdict,
        "rollout": _rollout(status.rollout) if status.rollout else None,
    }  # fmt: skip


def _rollout(rollout: LastRollout) -> dict[str, Any]:
    return {"stamp": rollout.stamp, "wave": rollout.wave, "state": rollout.state, "reason": rollout.reason}


def utc(seconds: float) -> str:
    """Return a time as ISO 8601 has it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
