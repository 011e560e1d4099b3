"""Whether a Docker engine answers, asked before an engine is chosen."""

import functools
import socket
from pathlib import Path

from builders.engines.buildx.docker import endpoint
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


def _pings(path: Path) -> bool:
    """Return whether an engine on this machine answers (Docker Engine API, /_ping)."""
    import http.client  # slow to import, and most machines without an engine have no socket

    connection = http.client.HTTPConnection("localhost")
    try:
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(PING_S)
        connection.sock.connect(str(path))
        connection.request("GET", "/_ping")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _distant_answers(place: Endpoint) -> bool:
    from builders.engines.buildx.docker import daemon  # slow to import

    try:
        daemon.connect(place, timeout_s=5)
    except HostError:
        return False
    return True
