"""Ending a run in good order before somebody else ends it: CI systems kill jobs at a limit."""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from builders.errors import InputError
from builders.host.log import Log

UNITS = {"s": 1, "m": 60, "h": 3600}
LONGEST_S = 30 * 24 * 3600
"""A time box that is longer bounds nothing; far beyond it the kernel's timer takes no number either."""


class TimeBoxOver(KeyboardInterrupt):
    """The time that a run was given is over; it travels, and cleans up, as Ctrl-C does. ``at`` is what was going on."""

    def __init__(self, at: str) -> None:
        super().__init__()
        self.at = at


def parse_duration(text: str) -> float:
    """Return the seconds of ``5h``, ``90m``, ``1h30m``, ``45s``; raises InputError, also for more than a month."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh])", text)
    seconds = sum(float(number) * UNITS[unit] for number, unit in parts)
    if not parts or "".join(number + unit for number, unit in parts) != text or seconds <= 0:
        raise InputError(f"not a time: {text!r}", "hours, minutes or seconds are wanted, as in 5h, 90m or 1h30m")
    if seconds > LONGEST_S:
        raise InputError(f"too long for a time box: {text!r}", f"{LONGEST_S // 3600}h at the most")
    return seconds


@contextmanager
def time_box(seconds: float | None, log: Log) -> Iterator[None]:
    """Raise TimeBoxOver in the main thread where the block takes longer than that; None is no bound."""
    if seconds is None:
        yield
        return

    def over(_number: int, _frame: FrameType | None) -> None:
        raise TimeBoxOver(log.current())

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
