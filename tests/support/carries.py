"""Carries standard input and output to a port of loopback: ssh's ProxyCommand into a network namespace."""

import contextlib
import os
import socket
import sys
import threading


def main() -> None:
    """Connect to the port that is the argument."""
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as line:
        threading.Thread(target=_sends, args=(line,), daemon=True).start()
        while data := line.recv(65536):
            with contextlib.suppress(BrokenPipeError):
                os.write(1, data)


def _sends(line: socket.socket) -> None:
    while data := os.read(0, 65536):
        line.sendall(data)
    line.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main()
