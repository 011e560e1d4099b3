"""Whether a Docker engine answers, asked before an engine is chosen."""

import functools
import http.client
import socket
from pathlib import Path

from builders.engines.buildx.docker import daemon, endpoint
from builders.engines.buildx.docker.endpoint import Endpoint
from builders.errors import HostError

PING_S = 2.0


@functools.cache
def answers() -> bool:
    """Return whether buildx is installed and the engine of Docker's own tools answers.

    It takes a few milliseconds, and longer for an engine on another machine.
    """
    try:
        place = endpoint.current()
    except HostError:
        return False
    if place.socket is not None and not place.socket.exists():
        return False
    return endpoint.buildx() is not None and (_pings(place.socket) if place.socket else _distant_answers(place))


class _Local(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PING_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PING_S)
        self.sock.connect(str(self._path))


def _pings(path: Path) -> bool:
    """Return whether an engine on this machine answers (Docker Engine API, /_ping)."""
    connection = _Local(path)
    try:
        connection.request("GET", "/_ping")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _distant_answers(place: Endpoint) -> bool:
    try:
        daemon.connect(place, timeout_s=5)
    except HostError:
        return False
    return True
