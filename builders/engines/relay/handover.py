"""What stands on the script's side of the relay to a ccache storage; see `relay`. Starts fast: each job loads it."""

import socket

VARIABLE = "CCACHE_REMOTE_STORAGE"
"""Tells ccache where its remote storage is (ccache(1), since 4.7)."""
PORT = 7070
"""Where the relay listens on the loopback of a script's own network namespace."""


def hand_over(handle: int) -> None:
    """Listen on this namespace's loopback, and give the socket to the relay at the other end of ``handle``."""
    with socket.socket(fileno=handle) as relay, socket.create_server(("127.0.0.1", PORT), backlog=128) as listener:
        socket.send_fds(relay, [b"0"], [listener.fileno()])
