"""A way from a script in a container to this process, wherever the builder is: BuildKit forwards sockets of ssh-agents.

``RUN --mount=type=ssh`` gives the script a socket, and what it says there reaches the client of the build through the
session that both have anyway. All clients but the newest pass on nothing but the agents' protocol
(draft-ietf-sshm-ssh-agent), yet they look neither at what is to be signed nor at the signature. So a request "sign
this" carries bytes from the script, and its answer carries bytes back. `tunnel.pl` speaks it in the container. What is
signed begins with one letter and the four bytes that number one connection of the script's:

- ``W``, and bytes: they go to the server; none say that no more will come.
- ``R``: answered with what came from the server, as soon as there is some; with nothing at its end.

One connection to the agent for each of the two makes them independent of each other.
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
"""The script's side; it runs in the container."""
NAME = "reef-storage"
"""What BuildKit calls the forwarded socket."""
SOCKET = "/reef/tunnel.sock"
"""Where the script's side finds it."""
PIECE = 1 << 16
LONGEST = 2 * PIECE
"""Bytes of one message; `tunnel.pl` sends no longer ones."""
# Numbers of messages: a list of keys is asked for, and given; something is to be signed, and was; a refusal.
NAMES, NAMED, SIGN, SIGNED, REFUSED = b"\x0b", b"\x0c", b"\x0d", b"\x0e", b"\x05"


class Tunnel:
    """Listens at ``path``; each connection of the script's goes to ``take`` as a socket.

    ``reached`` tells whether the script's side was ever heard of.
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
            last.connect(str(self.path))  # wakes the thread; ending a listener does not, outside of Linux
        self._thread.join()
        self._listener.close()
        with self._lock:
            for one in [*self._agents, *filter(None, self._streams.values())]:
                _end(one)

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
        """Answer as an agent does until the other side has enough; what it read from has nobody else to read it."""
        reading = b""
        # Anything in a container may speak to this socket: what is no message of ours ends the connection.
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
        """Do what a request says and return its answer."""
        way, number, data = request[:1], request[1:5], request[5:]
        stream = self._stream(number)
        with suppress(OSError):  # the server's side has ended: reading tells
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
        """Return our end of a connection, made at its first mention; None once it has ended."""
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
            _end(stream)  # who still writes there must not wait
            stream.close()


@contextmanager
def opened(take: Callable[[socket.socket], None]) -> Iterator[Tunnel]:
    """Give a tunnel for the time of a build; its socket lies where nobody else may look."""
    with tempfile.TemporaryDirectory(prefix="reef-") as folder:
        tunnel = Tunnel(Path(folder) / "agent", take)
        try:
            yield tunnel
        finally:
            tunnel.close()


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


def _message(reader: IO[bytes]) -> bytes:
    """Read one message of the agents' protocol, empty at an end; raises ValueError for one that is none of ours."""
    head = reader.read(4)
    if len(head) < 4:
        return b""
    [length] = struct.unpack(">I", head)
    if length > LONGEST:
        raise ValueError("a message of more than what is sent here")
    return reader.read(length)


def _request(message: bytes) -> bytes:
    """Return what is to be signed, after the message's number and the key; raises ValueError where it says nothing."""
    _, rest = _cut(message[1:])
    request, _ = _cut(rest)
    if request[:1] not in (b"W", b"R") or len(request) < 5:
        raise ValueError("neither writes nor reads")
    return request


def _cut(data: bytes) -> tuple[bytes, bytes]:
    [length] = struct.unpack(">I", data[:4])
    return data[4 : 4 + length], data[4 + length :]


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
