"""Unit tests stay on this machine: a connection to anywhere but loopback fails the test that made it."""

import socket
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _no_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a unit test reached out to {address}")
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
