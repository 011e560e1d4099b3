"""TCP ports of loopback for servers that tests start, of which no two tests get the same."""

import errno
import itertools
import os
import socket
import tempfile
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

FIRST, LAST = 20000, 31999
"""Below the ports that Linux gives to clients and to servers on port 0 (by default from 32768 on, ip(7)).

A free port of those can be taken again before the server that it was meant for listens on it.
"""
BLOCK = 100
"""Ports that belong to one process of a run, for as long as it runs."""


def free_port() -> int:
    """Return a port on which nobody listens; no process of this or another run gets it until this process ends.

    A process that has had all ports of its block begins again with the first.
    """
    for port in itertools.islice(_block().ports, BLOCK):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return port
    raise AssertionError(f"all {BLOCK} ports of this process are in use")


class _Block:
    """Ports that this process alone gives away. The kernel frees the lock when the process ends, however it ends."""

    def __init__(self) -> None:
        folder = Path(tempfile.gettempdir()) / f"reef-test-ports-{os.geteuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        for first in range(FIRST, LAST, BLOCK):
            self._lock = FileLock(folder / f"{first}.lock", timeout=0)
            try:
                self._lock.acquire()
            except Timeout:
                continue
            self.ports = itertools.cycle(range(first, first + BLOCK))
            return
        raise AssertionError(f"all blocks of ports in {folder} are in use")


@cache
def _block() -> _Block:
    return _Block()
