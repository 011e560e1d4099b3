"""A BuildKit on its own, as buildx's driver ``remote`` reaches one over TCP.

No Debian package has a buildkitd; a Docker engine has one within, and speaks its protocol (gRPC over HTTP/2) on a
connection that asks for it (``POST /grpc``, Docker Engine API). What comes in here is passed on to such a connection.
"""

import socket
import threading
from contextlib import suppress
from pathlib import Path

from builders.engines.relay.relay import pump

ASK = b"POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"


class BuildKit:
    """Listens on a port of loopback for clients of the BuildKit within the engine at the unix socket ``engine``."""

    def __init__(self, engine: Path) -> None:
        self._engine = engine
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Let nobody in any more; connections end with the engine."""
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._speak, args=(client,), daemon=True).start()

    def _speak(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as engine, suppress(OSError):
            engine.connect(str(self._engine))
            engine.sendall(ASK)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                if not (piece := engine.recv(1)):
                    return  # the engine ended
                head += piece
            assert head.startswith(b"HTTP/1.1 101 "), head
            back = threading.Thread(target=pump, args=(engine, client), daemon=True)
            back.start()
            pump(client, engine)
            back.join()
