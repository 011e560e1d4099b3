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
    """Tell whether a Docker engine answers where Docker's tools would look and buildx is there: for choosing an
    engine. Takes a few milliseconds, but for engines that are reached over a network."""
    try:
        place = endpoint.current()
    except HostError:
        return False
    if place.socket is not None and not place.socket.exists():
        return False
    return endpoint.buildx() is not None and (_pings(place.socket) if place.socket else _far_one_answers(place))


class _Local(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PING_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PING_S)
        self.sock.connect(str(self._path))


def _pings(path: Path) -> bool:
    """Ask an engine of this machine for a sign of life (Docker Engine API, /_ping)."""
    connection = _Local(path)
    try:
        connection.request("GET", "/_ping")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _far_one_answers(place: Endpoint) -> bool:
    try:
        daemon.connect(place, timeout_s=5)
    except HostError:
        return False
    return True
