"""The fleet as a page for people: one file without scripts and without anything from other places."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from builders.boards.status.board_status import BoardStatus
from builders.boards.status.document import utc
from builders.boards.status.last_rollout import LastRollout

QUIET = ("good", "held")
"""Verdicts on boards that need no attention."""


def fleet_page(title: str, statuses: Sequence[BoardStatus], now: float) -> str:
    """Return the page in HTML. Boards that need attention are unfolded."""
    from builders.host import templates  # slow to import, and most commands show no page

    template = templates.environment(Path(__file__).parent, html=True).get_template("fleet_page.html.j2")
    return template.render(title=title, now=_moment(now), boards=[_board(status, now) for status in statuses])


def _board(status: BoardStatus, now: float) -> dict[str, Any]:
    facts = status.facts
    seen = status.seen(now)
    details = {
        "System": f"{facts.text('os_name')}, {facts.architecture}" if facts else "",
        "Hardware": facts.text("model") if facts else "",
        "Groups": ", ".join(status.board.groups),
        "Services": ", ".join(f"{name} {state}" for name, state in facts.services.items()) if facts else "",
        "Models": ", ".join(f"{name} {' '.join(map(str, served))}" for name, served in status.models.items()),
        "Clock": status.clock if facts else "",
        "Hold": str(status.hold) if status.hold else "",
    }
    return {
        "name": status.board.name,
        "verdict": status.verdict,
        "kind": status.verdict if status.verdict in QUIET else "bad",
        "seen": seen if seen in ("now", "never") else f"{seen} ago",
        "moment": _moment(facts.answered) if facts else None,
        "details": {name: text for name, text in details.items() if text},
        "packages": status.packages,
        "drift": (len(status.drift) or "none") if facts else "?",
        "lines": status.lines(),
        "rollout": _rollout(status.rollout) if status.rollout else None,
    }


def _rollout(rollout: LastRollout) -> dict[str, Any]:
    steps = [{"moment": _moment(step.time), "state": step.state, "reason": step.reason} for step in rollout.steps]
    return {"title": str(rollout), "reason": rollout.reason, "steps": steps}


def _moment(seconds: float) -> dict[str, str]:
    """Return a time for programs and for people."""
    return {"exact": utc(seconds), "shown": datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")}
