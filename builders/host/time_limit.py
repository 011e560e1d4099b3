"""Ends a run in good order at a time limit (the option --time-box), before a CI system kills it."""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from builders.errors import InputError
from builders.host.log import Log

UNITS = {"s": 1, "m": 60, "h": 3600}
LONGEST_S = 30 * 24 * 3600
"""The longest useful limit; the kernel's timer rejects much larger numbers."""


class TimeBoxOver(KeyboardInterrupt):
    """The run's time is over; it propagates and cleans up like Ctrl-C. ``at`` names the running steps."""

    def __init__(self, at: str) -> None:
        super().__init__()
        self.at = at


def parse_duration(text: str) -> float:
    """Return the seconds of ``5h``, ``90m``, ``1h30m``, ``45s``; raises InputError, also for more than a month."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh])", text)
    seconds = sum(float(number) * UNITS[unit] for number, unit in parts)
    if not parts or "".join(number + unit for number, unit in parts) != text or seconds <= 0:
        raise InputError(f"not a time: {text!r}", fix="write hours, minutes or seconds, such as 5h, 90m or 1h30m")
    if seconds > LONGEST_S:
        raise InputError(f"too long for a time box: {text!r}", fix=f"write at most {LONGEST_S // 3600}h")
    return seconds


@contextmanager
def time_box(seconds: float | None, log: Log) -> Iterator[None]:
    """Raise TimeBoxOver in the main thread if the block takes longer than ``seconds``; None is no limit."""
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
