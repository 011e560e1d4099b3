"""Work in a child process that is killed at a chosen moment."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

CALLS = ("replace", "rename", "symlink", "unlink", "rmdir", "mkdir", "link", "chmod", "fsync")
"""The ways in which a run changes what is in a folder, and the waits for the disk."""


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


def die_at(number: int) -> None:
    """Make this process end by SIGKILL just before its ``number``-th call that may change the disk."""
    count = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            nonlocal count
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **more)

        return call

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))


def killed_at(work: Callable[[], object], number: int) -> bool:
    """Run ``work`` in a child that is killed at its ``number``-th disk call; False where it ended before."""

    def doomed() -> None:
        die_at(number)
        work()

    return killed(doomed)
