"""Unit tests stay in their process and on this machine: starting a program, or a connection to anywhere but loopback,
fails the test."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
STARTS = {"subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"}
"""Python's audit events of a new process."""

_running: str | None = None
"""The unit test that runs, its fixtures included."""


def _refuse_processes(event: str, args: tuple[Any, ...]) -> None:
    if _running and event in STARTS:
        # Not an Exception, which the tested code could catch.
        pytest.fail(f"a unit test started a process ({event} of {args[:2]}); such a test belongs to tests/component")


sys.addaudithook(_refuse_processes)  # for as long as Python runs: there is no way to take a hook back


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    global _running  # noqa: PLW0603 - the audit hook is told of no test
    _running = item.nodeid if item.path.is_relative_to(HERE) else None  # pytest calls this for every folder's tests
    try:
        return (yield)
    finally:
        _running = None


@pytest.fixture(autouse=True)
def _no_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a unit test reached out to {address}")
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
