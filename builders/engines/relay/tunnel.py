"""Carries connections from a script in a container to this process, through BuildKit's forwarding of ssh-agent sockets.

``RUN --mount=type=ssh`` gives the script a socket whose bytes reach the client of the build through their session, also
on a distant builder. All clients but the newest forward only the agents' protocol (draft-ietf-sshm-ssh-agent), but they
check neither the data to sign nor the signature. So a request to sign carries bytes from the script, and its answer
carries bytes back. `tunnel.pl` is the script's side. The data to sign begins with one letter and four bytes that number
the script's connection:

- ``W``, followed by bytes for the server; no bytes mean that no more will follow.
- ``R``: the answer has the server's next bytes, as soon as any arrive; it is empty at their end.

Each direction has its own connection to the agent, so that neither waits for the other.
"""

import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

PROGRAM = Path(__file__).with_name("tunnel.pl")
"""The script's side, which runs in the container."""
NAME = "reef-storage"
"""BuildKit's name for the forwarded socket."""
SOCKET = "/reef/tunnel.sock"
"""The path of the socket in the container."""
PIECE = 1 << 16
LONGEST = 2 * PIECE
"""The longest message, in bytes; `tunnel.pl` sends none longer."""
# Numbers of messages: a request for keys and its answer, a request to sign and its answer, a refusal.
NAMES, NAMED, SIGN, SIGNED, REFUSED = b"\x0b", b"\x0c", b"\x0d", b"\x0e", b"\x05"


class Tunnel:
    """Listens at ``path``; each connection of the script goes to ``take`` as a socket.

    ``reached`` is True after the first message from the script's side.
    """

    def __init__(self, path: Path, take: Callable[[socket.socket], None]) -> None:
        self.path = path
        self.reached = False
        self._take = take
        self._lock = threading.Lock()
        self._open = True
        self._streams: dict[bytes, socket.socket | None] = {}
        self._agents: set[socket.socket] = set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(128)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the service and all connections."""
        with self._lock:
            self._open = False
        with suppress(OSError), socket.socket(socket.AF_UNIX) as last:
            last.connect(str(self.path))  # wakes the thread, which ending the listener does only on Linux
        self._thread.join()
        self._listener.close()
        with self._lock:
            for connection in [*self._agents, *filter(None, self._streams.values())]:
                _end(connection)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                agent, _ = self._listener.accept()
                with self._lock:
                    if not self._open:
                        agent.close()
                        return
                    self._agents.add(agent)
                threading.Thread(target=self._answer_all, args=(agent,), daemon=True).start()

    def _answer_all(self, agent: socket.socket) -> None:
        """Answer as an agent does until the other side disconnects; then the stream that it read from ends too."""
        reading = b""
        # Any program in the container may use this socket: a message of another kind ends the connection.
        with agent, agent.makefile("rb") as messages, suppress(OSError, ValueError, struct.error):
            while message := _message(messages):
                self.reached = True
                if message[:1] == NAMES:
                    answer = NAMED + bytes(4)
                elif message[:1] == SIGN:
                    request = _request(message)
                    reading = request[1:5] if request[:1] == b"R" else reading
                    answer = SIGNED + _string(_string(b"reef") + _string(self._carried(request)))
                else:
                    answer = REFUSED
                agent.sendall(_string(answer))
        with self._lock:
            self._agents.discard(agent)
        if reading:
            self._ended(reading)

    def _carried(self, request: bytes) -> bytes:
        """Carry out a request and return its answer."""
        way, number, data = request[:1], request[1:5], request[5:]
        stream = self._stream(number)
        with suppress(OSError):  # the server's side has ended, which the next read finds
            if way == b"R":
                found = stream.recv(PIECE) if stream else b""
                if not found:
                    self._ended(number)
                return found
            if stream and data:
                stream.sendall(data)
            elif stream:
                stream.shutdown(socket.SHUT_WR)
        return b""

    def _stream(self, number: bytes) -> socket.socket | None:
        """Return this side of a connection, made on first use; None after its end."""
        with self._lock:
            if number not in self._streams and self._open:
                self._streams[number], theirs = socket.socketpair()
                self._take(theirs)
            return self._streams.get(number)

    def _ended(self, number: bytes) -> None:
        with self._lock:
            stream = self._streams.get(number)
            self._streams[number] = None
        if stream:
            _end(stream)  # so that the other side's writes fail at once
            stream.close()


@contextmanager
def opened(take: Callable[[socket.socket], None]) -> Iterator[Tunnel]:
    """Give a tunnel for the time of a build; its socket is in a private folder."""
    with tempfile.TemporaryDirectory(prefix="reef-") as folder:
        tunnel = Tunnel(Path(folder) / "agent", take)
        try:
            yield tunnel
        finally:
            tunnel.close()


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _message(reader: IO[bytes]) -> bytes:
    """Return one message of the agents' protocol, empty at the end; raises ValueError beyond `LONGEST`."""
    head = reader.read(4)
    if len(head) < 4:
        return b""
    [length] = struct.unpack(">I", head)
    if length > LONGEST:
        raise ValueError(f"a message of {length} bytes")
    return reader.read(length)


def _request(message: bytes) -> bytes:
    """Return the data to sign, after the message's number and the key; raises ValueError if it is no request."""
    _, rest = _cut(message[1:])
    request, _ = _cut(rest)
    if request[:1] not in (b"W", b"R") or len(request) < 5:
        raise ValueError("neither a write nor a read")
    return request


def _cut(data: bytes) -> tuple[bytes, bytes]:
    [length] = struct.unpack(">I", data[:4])
    return data[4 : 4 + length], data[4 + length :]


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
