"""An end for a test that hangs, which would otherwise hold up the whole run."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ended_if_hung(after_s: int = 300) -> Iterator[None]:
    """Raise TimeoutError in a block that still runs after so many seconds: far more than any machine needs."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"it still ran after {after_s} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(after_s)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
