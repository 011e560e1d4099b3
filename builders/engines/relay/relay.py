"""Lets a build script reach a ccache storage, and nothing else.

A script runs in a network namespace with loopback alone. A relay outside forwards ccache's requests. It accepts
connections either through a socket that listens on the script's loopback (a socket stays in the namespace where it was
made, whichever process holds it), or out of a container (`tunnel`). It knows the protocols, so that the server's other
commands and paths are out of reach. It adds TLS, user and password itself, so that no script has them.
"""

import http.client
import re
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from typing import IO
from urllib.parse import quote

from builders.engines.relay.handover import PORT, VARIABLE
from builders.host.log import Log
from builders.model.jobs import Storage

PATIENCE_S = 5.0
MOST_FAILURES = 3
"""After so many in a row the relay stops asking the server: each failure delays a compiler by up to `PATIENCE_S`."""
LARGEST = 1 << 30
"""The largest compiled file, in bytes."""
READING, WRITING = frozenset((b"EXISTS", b"GET", b"PING")), frozenset((b"SET", b"DEL"))
NAME = re.compile(r"/[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
CODE = re.compile(r"[A-Z]+( |$)")
"""The first word of an error reply of redis."""
FAILURES = (OSError, http.client.HTTPException, ValueError, IndexError)


class Refused(ValueError):
    """The server denies access, or its answer is not of the protocol."""


def variables(storage: Storage) -> dict[str, str]:
    """Return the variables that lead a script's ccache to the relay, never to the server itself."""
    attributes = (f"|layout={storage.layout}" if storage.scheme == "http" else "") + "|read-only" * storage.read_only
    return {VARIABLE: f"{storage.scheme}://127.0.0.1:{PORT}{attributes}"}


class Relay:
    """Forwards requests to a storage, and counts files found, missed and stored."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.found = self.missed = self.stored = self.failures = 0
        self.last_failure = ""
        self._in_a_row = 0
        self._lock = threading.Lock()
        self.ours, self.theirs = socket.socketpair()
        self._listener: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def given_up(self) -> bool:
        """Whether the server failed too often to be asked again."""
        return self._in_a_row >= MOST_FAILURES

    def start(self) -> None:
        """Start a thread that receives a listening socket through `theirs`, and serves its connections."""
        self._thread.start()

    def stop(self) -> None:
        """End the service; connections end with the script that made them."""
        with suppress(OSError):
            self.ours.shutdown(socket.SHUT_RDWR)
        if self._listener:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self.ours.close()
        self.theirs.close()

    def take(self, client: socket.socket) -> None:
        """Serve one connection of the script in a thread."""
        threading.Thread(target=self._speak, args=(client,), daemon=True).start()

    def count(self, kind: str) -> None:
        """Count one answer of the server (``found``, ``missed``, ``stored`` or empty), which ends a row of failures."""
        with self._lock:
            self._in_a_row = 0
            if kind:
                setattr(self, kind, getattr(self, kind) + 1)

    def failed(self, error: BaseException) -> None:
        """Count one failure of the server."""
        with self._lock:
            self.failures += 1
            self._in_a_row += 1
            self.last_failure = reason(error, self.storage)

    def _serve(self) -> None:
        with suppress(OSError):
            _, handles, _, _ = socket.recv_fds(self.ours, 1, 1)
            if not handles:
                return  # the script did not start
            with socket.socket(fileno=handles[0]) as listener:
                self._listener = listener
                while True:
                    self.take(listener.accept()[0])

    def _speak(self, client: socket.socket) -> None:
        speak = {"redis": _speak_redis, "http": _speak_http, "tcp": _speak_tcp}[self.storage.scheme]
        # A client that disconnects early is a compiler that was ended, not a failure of the server.
        with client, suppress(OSError, ValueError, IndexError):
            speak(self, client)


@contextmanager
def relayed(storage: Storage | None, log: Log) -> Iterator[Relay | None]:
    """Give a relay to the storage while a script runs; None without a storage, or if it does not answer.

    The relay gets a listening socket through ``theirs`` (`handover.hand_over`), or single connections by `Relay.take`.
    Its counts are logged at the end.
    """
    if storage is None or not _answers(storage, log):
        yield None
        return
    relay = Relay(storage)
    relay.start()
    try:
        yield relay
    finally:
        relay.stop()
    if relay.failures:
        log.warn(f"the {storage.what} {storage} failed {relay.failures} times ({relay.last_failure}); "
                 "the build continued without it")  # fmt: skip
    if storage.scheme != "tcp":  # whose content the relay does not know
        log.note(f"{storage.what} {storage}: {relay.found} found, {relay.missed} not, {relay.stored} stored")


def reason(error: BaseException, storage: Storage) -> str:
    """Return a failure in a few words, without user and password, which a server's answer may repeat."""
    text = str(error) or type(error).__name__
    for secret in filter(None, (storage.password, _basic(storage), storage.user)):
        for form in (secret, quote(secret, safe=""), repr(secret)[1:-1]):
            text = text.replace(form, "***")
    return text


def _basic(storage: Storage) -> str:
    """Return user and password in HTTP's form, empty without them."""
    pair = f"{storage.user}:{storage.password}"
    return b64encode(pair.encode()).decode() if pair != ":" else ""


def _answers(storage: Storage, log: Log) -> bool:
    try:
        if storage.scheme == "redis":
            connect_redis(storage)[0].close()
        else:
            with _connected(storage):
                pass
    except FAILURES as error:
        log.warn(
            f"the {storage.what} {storage} cannot be used ({reason(error, storage)}); the build continues without it"
        )
        return False
    return True


def _connected(storage: Storage) -> socket.socket:
    plain = socket.create_connection((storage.host, storage.port), PATIENCE_S)
    if not storage.tls:
        return plain
    try:
        context = ssl.create_default_context()
        if storage.scheme == "tcp":
            context.set_alpn_protocols(["h2"])  # gRPC is HTTP/2
        return context.wrap_socket(plain, server_hostname=storage.host)
    except BaseException:
        plain.close()
        raise


def connect_redis(storage: Storage) -> tuple[socket.socket, IO[bytes]]:
    """Return an authenticated connection and its reader; raises Refused, OSError."""
    server = _connected(storage)
    try:
        reader = server.makefile("rb")
        words = [word.encode() for word in (storage.user, storage.password) if word]
        if storage.password:
            _demand(server, reader, b"AUTH", *words)
        if storage.path:
            _demand(server, reader, b"SELECT", storage.path.encode())
        _demand(server, reader, b"PING")
    except BaseException:
        server.close()
        raise
    return server, reader


def _demand(server: socket.socket, reader: IO[bytes], *words: bytes) -> None:
    server.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
    answer = _reply(reader)
    if not answer.startswith((b"+OK", b"+PONG")):
        text = answer.decode(errors="replace").strip("-\r\n")
        if words[0] == b"AUTH":  # the rest may repeat the password in another form
            text = (
                f"the answer to AUTH is {text.split(' ')[0]}" if CODE.match(text) else "the answer to AUTH is unknown"
            )
        raise Refused(text)


def _speak_redis(relay: Relay, client: socket.socket) -> None:
    requests = client.makefile("rb")
    server: tuple[socket.socket, IO[bytes]] | None = None
    allowed = READING if relay.storage.read_only else READING | WRITING
    try:
        while (command := _command(requests)) is not None:
            name, raw = command
            if name not in allowed or relay.given_up:
                client.sendall(b"-ERR not forwarded\r\n")
                continue
            try:
                server = server or connect_redis(relay.storage)
                server[0].sendall(raw)
                answer = _reply(server[1])
            except FAILURES as error:
                relay.failed(error)
                return  # ccache notices the end of the connection
            relay.count({b"GET": "missed" if answer.startswith(b"$-1") else "found", b"SET": "stored"}.get(name, ""))
            client.sendall(answer)
    finally:
        if server:
            server[0].close()


def _command(reader: IO[bytes]) -> tuple[bytes, bytes] | None:
    """Return the name and all bytes of one command (an array of strings), None at the end of the connection."""
    first = reader.readline(32)
    if not first:
        return None
    if first[:1] != b"*" or not 0 < (words := int(first[1:])) < 16:
        raise ValueError("not a command")
    raw, name = [first], b""
    for _ in range(words):
        head = reader.readline(32)
        if head[:1] != b"$" or not 0 <= (length := int(head[1:])) < LARGEST:
            raise ValueError("not a string")
        text = reader.read(length + 2)
        if len(text) < length + 2:
            return None  # a compiler that was ended
        name = name or text[:-2].upper()
        raw += [head, text]
    return name, b"".join(raw)


def _reply(reader: IO[bytes]) -> bytes:
    """Return one answer of the protocol: a line, or a string after its length."""
    line = reader.readline(1 << 16)
    if not line.endswith(b"\r\n"):
        raise Refused("the server ended the connection")
    if line[:1] != b"$" or (length := int(line[1:])) < 0:
        return line
    if length > LARGEST:
        raise Refused("an answer of more than 1 GB")
    text = reader.read(length + 2)
    if len(text) < length + 2:
        raise Refused("the server ended the connection")
    return line + text


def _speak_tcp(relay: Relay, client: socket.socket) -> None:
    """Forward bytes both ways; the relay adds only the server's address and TLS."""
    try:
        server = _connected(relay.storage)
    except FAILURES as error:
        relay.failed(error)
        return
    relay.count("")
    with server:
        server.settimeout(None)
        back = threading.Thread(target=pump, args=(server, client), daemon=True)
        back.start()
        pump(client, server)
        back.join()


def pump(origin: socket.socket, destination: socket.socket) -> None:
    """Copy bytes until the origin ends or either side breaks, then end the destination's input."""
    with suppress(OSError):
        while piece := origin.recv(1 << 16):
            destination.sendall(piece)
    with suppress(OSError):
        destination.shutdown(socket.SHUT_WR)


def _speak_http(relay: Relay, client: socket.socket) -> None:
    connection: list[http.client.HTTPConnection] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = None

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing: the relay counts."""

        def _pass(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if not 0 <= length < LARGEST or "Transfer-Encoding" in self.headers:
                self.close_connection = True  # the body that follows is not read
                return self._answer(413, b"")
            body = self.rfile.read(length)
            if len(body) < length:
                raise ConnectionResetError  # a compiler that was ended: half a file is useless
            writes = self.command in ("PUT", "DELETE")
            if relay.given_up or not NAME.fullmatch(self.path) or (writes and relay.storage.read_only):
                return self._answer(503 if relay.given_up else 403, b"")
            try:
                status, content = _ask(relay.storage, connection, self.command, self.path, body)
            except FAILURES as error:
                relay.failed(error)
                return self._answer(502, b"")
            _count_status(relay, self.command, status)
            return self._answer(status, content)

        def _answer(self, status: int, content: bytes) -> None:
            self.send_response_only(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_PUT = do_DELETE = _pass

    try:
        Handler(client, ("", 0), None)  # type: ignore[arg-type]  # the handler needs nothing of its server
    finally:
        for idle in connection:
            idle.close()


def _count_status(relay: Relay, method: str, status: int) -> None:
    """Count an answer by its status; all but 2xx and 404 are failures of the server."""
    if status // 100 == 2:
        relay.count({"GET": "found", "PUT": "stored"}.get(method, ""))
    elif status == 404:
        relay.count("missed" if method == "GET" else "")
    else:
        relay.failed(Refused(f"the answer to {method} has status {status}"))


def _ask(
    storage: Storage, idle: list[http.client.HTTPConnection], method: str, path: str, body: bytes
) -> tuple[int, bytes]:
    """Send a request over the idle connection, or over a new one if the server has ended it."""
    headers = {"Content-Type": "application/octet-stream"}
    if pair := _basic(storage):
        headers["Authorization"] = f"Basic {pair}"
    full = f"/{storage.path}{path}" if storage.path else path
    reused = bool(idle)
    connection = idle.pop() if reused else _http(storage)
    try:
        connection.request(method, full, body or None, headers)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        if reused:
            return _ask(storage, idle, method, path, body)
        raise
    idle.append(connection)
    return answer.status, content


def _http(storage: Storage) -> http.client.HTTPConnection:
    kind = http.client.HTTPSConnection if storage.tls else http.client.HTTPConnection
    return kind(storage.host, storage.port, timeout=PATIENCE_S)
