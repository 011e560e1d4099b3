"""The script's side of the relay to a ccache storage. It must start fast: each job loads it."""

import socket

VARIABLE = "CCACHE_REMOTE_STORAGE"
"""The variable that names ccache's remote storage (ccache(1), since 4.7)."""
PORT = 7070
"""The relay's port on the loopback of a script's own network namespace."""


def hand_over(handle: int) -> None:
    """Listen on this namespace's loopback and send the socket to the relay at the other end of ``handle``."""
    with socket.socket(fileno=handle) as relay, socket.create_server(("127.0.0.1", PORT), backlog=128) as listener:
        socket.send_fds(relay, [b"0"], [listener.fileno()])
