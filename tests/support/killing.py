"""Work in a child process that is killed at a chosen moment."""

import itertools
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import Any

CALLS = ("replace", "rename", "symlink", "unlink", "rmdir", "mkdir", "link", "chmod", "fsync")
"""The ways in which a run changes what is in a folder, and the waits for the disk."""
SWITCHES = ("replace", "rename")
"""Those of them by which something new takes the place of something old."""


def killed(work: Callable[[], object], by: int = signal.SIGKILL) -> bool:
    """Run ``work`` in a child; tell whether the signal ``by`` ended it. What ``work`` raises fails the test, shown."""
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -by), f"the child ended with {status}"
    return status == -by


def _before_each(act: Callable[[str, int], None]) -> None:
    """Let this process call ``act`` with the name and the number of each call that may change the disk, before it."""
    numbers = itertools.count(1)

    def watched(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            act(name, next(numbers))
            return real(*arguments, **more)

        return call

    for name in CALLS:
        setattr(os, name, watched(name, getattr(os, name)))


def killed_at(work: Callable[[], object], number: int) -> bool:
    """Run ``work`` in a child that is killed just before its ``number``-th disk call; False where it ended before."""

    def die(_: str, count: int) -> None:
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def doomed() -> None:
        _before_each(die)
        work()

    return killed(doomed)


def kill_points(work: Callable[[], object], *, complete: bool) -> list[int]:
    """Run ``work`` in a child to its end, and return before which of its disk calls to kill it; the last is after them.

    All of them where ``complete``; else each switch from old to new, the call after it, and every tenth.
    """
    with tempfile.TemporaryFile("w+") as notes:

        def noted() -> None:
            _before_each(lambda name, _: print(name, file=notes, flush=True))
            work()

        assert not killed(noted)
        notes.seek(0)
        calls = notes.read().split()
    end = len(calls) + 1
    if complete:
        return list(range(1, end + 1))
    switches = {number + after for number, name in enumerate(calls, 1) if name in SWITCHES for after in (0, 1)}
    return sorted(switches | {*range(1, end, 10), end})
