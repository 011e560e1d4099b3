"""The way out of a container: `tunnel.pl` speaks to `tunnel.py`, here without BuildKit between them, which passes the
same bytes on; and what others say to the socket."""

import http.client
import os
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builders.engines.buildx import dockerfile
from builders.engines.relay import tunnel
from builders.engines.relay.handover import PORT
from builders.engines.relay.relay import relayed
from builders.engines.relay.tunnel import Tunnel
from builders.host.log import Log
from builders.model.settings import parse_storage
from tests.support.cache_servers import PASSWORD, USER, apache, redis
from tests.support.ports import free_port

PROGRAM = tunnel.PROGRAM


@contextmanager
def dug(take: Callable[[socket.socket], None]) -> Iterator[tuple[Tunnel, int]]:
    """A tunnel and the port at the script's side."""
    port = free_port()
    with tunnel.opened(take) as way:
        words = ["perl", str(PROGRAM), str(way.path), str(port)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True) as child:
            try:
                assert child.stdout
                assert child.stdout.readline() == "listening\n"
                yield way, port
            finally:
                os.killpg(child.pid, signal.SIGKILL)


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 20)


def shouting(stream: socket.socket) -> None:
    """A server that answers in capitals, as long as somebody speaks."""

    def serve() -> None:
        with stream:
            while said := stream.recv(1000):
                stream.sendall(said.upper())

    threading.Thread(target=serve, daemon=True).start()


def test_connections_are_kept_apart_and_end_on_both_sides() -> None:
    with dug(shouting) as (way, port):
        one, other = connected(port), connected(port)
        for number in range(3):
            one.sendall(b"one %d" % number)
            other.sendall(b"other %d" % number)
            assert one.recv(100) == b"ONE %d" % number
            assert other.recv(100) == b"OTHER %d" % number
        one.shutdown(socket.SHUT_WR)
        assert one.recv(100) == b""
        other.sendall(b"still here")
        assert other.recv(100) == b"STILL HERE"
        one.close()
        other.close()
        assert way.reached


def test_much_goes_both_ways_at_once_with_every_byte_in_its_place() -> None:
    data = bytes(range(256)) * (8 << 12)  # more than all buffers on the way hold
    with dug(shouting) as (_, port), connected(port) as stream:

        def send() -> None:
            stream.sendall(data)
            stream.shutdown(socket.SHUT_WR)

        sending = threading.Thread(target=send)
        sending.start()
        with stream.makefile("rb") as answer:
            assert answer.read() == data.upper()
        sending.join()


def test_a_server_that_speaks_unasked_and_hangs_up() -> None:
    def greeting(stream: socket.socket) -> None:
        with stream:
            stream.sendall(b"hello, and good bye")

    with dug(greeting) as (_, port), connected(port) as stream, stream.makefile("rb") as answer:
        assert answer.read() == b"hello, and good bye"


class Listening:
    """A server that says nothing: it counts its connections, and ``ended`` tells that one is over."""

    def __init__(self) -> None:
        self.count = 0
        self.ended = threading.Event()

    def __call__(self, stream: socket.socket) -> None:
        self.count += 1
        threading.Thread(target=self._listen, args=(stream,), daemon=True).start()

    def _listen(self, stream: socket.socket) -> None:
        with stream:
            while stream.recv(100):
                pass
        self.ended.set()


def test_a_client_that_goes_away_ends_the_servers_side() -> None:
    server = Listening()
    with dug(server) as (_, port):
        connected(port).close()
        assert server.ended.wait(20)


def string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def signing(data: bytes) -> bytes:
    return string(b"\x0d" + string(string(b"reef")) + string(data) + bytes(4))


@contextmanager
def agent(way: Tunnel) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as made:
        made.settimeout(20)
        made.connect(str(way.path))
        yield made


def test_a_reader_that_goes_away_ends_the_servers_side() -> None:
    server = Listening()

    def speaking(stream: socket.socket) -> None:
        stream.sendall(b"hello")
        server(stream)

    with tunnel.opened(speaking) as way:
        with agent(way) as reader:
            reader.sendall(signing(b"R0001"))
            assert b"hello" in reader.recv(100)
        assert server.ended.wait(20)


def test_what_comes_after_the_end_opens_no_second_connection() -> None:
    server = Listening()

    def deaf(stream: socket.socket) -> None:
        stream.shutdown(socket.SHUT_WR)
        server(stream)

    with tunnel.opened(deaf) as way, agent(way) as both:
        for request in (b"R0001", b"W0001late", b"R0001", b"W0001"):
            both.sendall(signing(request))
            assert both.recv(100).endswith(string(b"reef") + string(b""))
    assert server.count == 1


def test_the_end_of_the_build_ends_all() -> None:
    server = Listening()
    with tunnel.opened(server) as way, agent(way) as writer:
        writer.sendall(signing(b"W0001well"))
        assert writer.recv(100)
        assert way.path.parent.stat().st_mode & 0o077 == 0
        way.close()
        assert server.ended.wait(20)
        assert writer.recv(100) == b""
    assert not way.path.parent.exists()


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (string(b"\x0b"), b"\x00\x00\x00\x05\x0c\x00\x00\x00\x00"),  # which keys are there? none
        (string(b"\x11key"), b"\x00\x00\x00\x01\x05"),  # another one is refused
        (string(b"\x0d"), b""),  # cut
        (b"\xff\xff\xff\xff", b""),
        (string(b"\x0d" + b"\xff" * 40), b""),
        (string(b"\x0d" + string(string(b"reef")) + string(b"X1234") + bytes(4)), b""),
        (b"GET / HTTP/1.1\r\n\r\n", b""),
    ],
)
def test_what_a_stranger_says_does_no_harm(said: bytes, answer: bytes) -> None:
    with dug(shouting) as (way, port):
        with agent(way) as stranger:
            stranger.sendall(said)
            stranger.shutdown(socket.SHUT_WR)
            with stranger.makefile("rb") as reader:
                assert reader.read()[: len(answer) or 1] == answer
        with connected(port) as stream:
            stream.sendall(b"well")
            assert stream.recv(10) == b"WELL"


def test_where_nobody_answers_the_scripts_side_gives_up(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "agent"))
        done = subprocess.run(
            ["perl", str(PROGRAM), str(tmp_path / "agent"), str(free_port())],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.stdout == ""
    assert "Connection refused" in done.stderr


def test_the_relay_filters_what_comes_out_of_a_tunnel() -> None:
    with redis() as (port, _):
        storage = parse_storage(
            f"redis://{USER}:{PASSWORD.replace('/', '%2F').replace('%25', '%2525')}@127.0.0.1:{port}"
        )
        with relayed(storage, Log(quiet=True)) as relay:
            assert relay
            with dug(relay.take) as (_, inside), connected(inside) as stream, stream.makefile("rb") as answer:
                stream.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$200000\r\n" + b"x" * 200000 + b"\r\n")
                assert answer.readline() == b"+OK\r\n"
                stream.sendall(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$8\r\nFLUSHALL\r\n")
                assert answer.read(200011) == b"$200000\r\n" + b"x" * 200000 + b"\r\n"
                assert answer.readline() == b"-ERR not forwarded\r\n"
            assert (relay.found, relay.stored, relay.failures) == (1, 1, 0)


def test_http_goes_through_too() -> None:
    with apache() as (port, files):
        storage = parse_storage(f"http://{USER}:p%40ss%3Aw%C3%B6rd%2F%2525@127.0.0.1:{port}/cache")
        with relayed(storage, Log(quiet=True)) as relay:
            assert relay
            with dug(relay.take) as (_, inside):
                asked = http.client.HTTPConnection("127.0.0.1", inside, timeout=120)
                asked.request("PUT", "/abcR", b"compiled")
                assert asked.getresponse().read() is not None
                assert (files / "abcR").read_bytes() == b"compiled"
                asked.close()
            assert (relay.stored, relay.failures) == (1, 0)


def test_both_sides_mean_the_same_places() -> None:
    runner = Path(dockerfile.__file__).with_name("runner.pl").read_text()
    assert f"('{tunnel.SOCKET}', {PORT})" in runner
    assert {path.name for path in dockerfile.PROGRAMS} == {"runner.pl", "tunnel.pl", "apt-access.sh"}
