"""Follows the program of a rollout on a board to its end; the board goes on without the connection."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from builders.boards.connection import LineLost, Ssh, Unreachable
from builders.boards.rollout import steps
from builders.boards.rollout.steps import Progress

State = Literal[
    "planned", "reached", "ready", "staged", "installing", "gating", "restarting", "good", "rolling-back",
    "rolled-back", "broken", "skipped", "failed", "lost",
]  # fmt: skip
UNFINISHED = ("installing", "gating", "restarting", "rolling-back")
"""States of a board's program that it leaves by itself."""
LOST_S = 900
"""Seconds for which a board may stay out of reach while its program runs; a restart takes a part of that."""
RETRY_S = 5
MOST_IDLE = 1
"""How often in a row a program may be found not running: right after its start it holds no lock yet."""
RELAUNCHES = 3
"""How often a program that ended without a last state is started again."""


@dataclass
class Follower:
    """Reports the states of the program of a rollout. ``idle`` counts how often it was found not running."""

    ssh: Ssh
    stamp: str
    report: Callable[[State, str], None]
    idle: int = 0
    _launches: int = 0
    _known: str = ""
    _heard: float = field(default_factory=time.monotonic)
    _entered: float = 0

    def end(self) -> Progress:
        """Return the last state of the program, ``lost`` if it has none."""
        while True:
            try:
                found = self._next()
            except (LineLost, Unreachable) as error:
                if time.monotonic() - self._heard > LOST_S:
                    return self._lost(error.what)
                self.ssh.stop.wait(RETRY_S)
                continue
            if found.ended:  # whoever follows reports it
                return found
            if self.idle > MOST_IDLE and self._launches >= RELAUNCHES:
                return Progress("lost", f"its program ends without a result: {found.line}", False, False, found.line)
            if not found.alive:
                self.ssh.stop.wait(RETRY_S)

    def _next(self) -> Progress:
        """Wait for the next state and return it; a program that is not running is started again first."""
        if self.idle > MOST_IDLE:
            self.idle, self._launches = 0, self._launches + 1
            steps.launch(self.ssh, self.stamp, "")
        found = steps.poll(self.ssh, self.stamp, self._known)
        self._heard = time.monotonic()
        if found.state != self._known:
            self._known, self._entered = found.state, self._heard
            if not found.ended and found.state != "staged":  # whoever staged it reported that
                self.report(found.state, found.reason)  # type: ignore[arg-type] # run.sh knows no others
        self.idle = self.idle + 1 if not found.alive and not self._leaving(found) else 0
        return found

    def _leaving(self, found: Progress) -> bool:
        """Return whether the board shuts down, which ends its program."""
        return (
            found.state == "restarting" and found.same_boot and time.monotonic() - self._entered < steps.RESTART_S
        )  # fmt: skip

    def _lost(self, what: str) -> Progress:
        reason = f"{what}; its last state was {self._known or 'staged'}"
        if self._known == "restarting":
            reason = (
                f"{what}; it did not come back from its restart: look at its power and its console, then run this again"
            )
        return Progress("lost", reason, False, False, "")
