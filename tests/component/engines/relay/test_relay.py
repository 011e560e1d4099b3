"""The relay to a ccache storage, in front of real servers: what it lets through, and what it tells."""

import http.client
import re
import socket

import pytest

from builders.engines.relay.relay import MOST_FAILURES, relayed
from builders.model.settings import parse_storage
from tests.support.cache_servers import USER, apache, redis
from tests.unit.engines.relay.test_relay import Told, script_side, url

SECRET = re.compile(r"p@ss|w.rd|p%40ss")


def said(client: socket.socket, *words: bytes) -> bytes:
    client.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
    return client.recv(65536)


@pytest.fixture
def told() -> Told:
    return Told()


def test_redis_passes_what_ccache_asks_for_and_no_more(told: Told) -> None:
    with redis() as (port, _), script_side(parse_storage(url("redis", port, "/3")), told) as (relay, client):
        assert said(client, b"GET", b"key") == b"$-1\r\n"
        assert said(client, b"SET", b"key", b"two\r\nlines") == b"+OK\r\n"
        assert said(client, b"get", b"key") == b"$10\r\ntwo\r\nlines\r\n"
        assert said(client, b"EXISTS", b"key") == b":1\r\n"
        for forbidden in (b"CONFIG", b"REPLICAOF", b"MIGRATE", b"FLUSHALL", b"SELECT", b"EVAL", b"AUTH"):
            assert said(client, forbidden, b"a", b"b") == b"-ERR not forwarded\r\n"
        # The answers stay in the order of the questions when several come at once.
        client.sendall(b"*1\r\n$4\r\nINFO\r\n" + b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n")
        with client.makefile("rb") as answers:
            assert [answers.readline() for _ in range(4)] == [
                b"-ERR not forwarded\r\n", b"$10\r\n", b"two\r\n", b"lines\r\n",
            ]  # fmt: skip
        assert relay
        assert (relay.found, relay.missed, relay.stored, relay.failures) == (2, 1, 1, 0)
    assert f"ccache storage redis://127.0.0.1:{port}: 2 found, 1 not, 1 stored" in str(told)
    assert not SECRET.search(str(told))


def test_what_is_no_command_ends_the_connection(told: Told) -> None:
    with redis() as (port, _):
        for rubbish in (b"GET / HTTP/1.1\r\n\r\n", b"*-1\r\n", b"*99\r\n", b"*1\r\n:5\r\n", b"*1\r\n$99999999999\r\n"):
            with script_side(parse_storage(url("redis", port)), told) as (_, client):
                client.sendall(rubbish)
                assert client.recv(100) == b""


def test_a_read_only_storage_stores_nothing(told: Told) -> None:
    with redis() as (port, _):
        with script_side(parse_storage(url("redis", port), read_only=True), told) as (_, client):
            assert said(client, b"SET", b"key", b"x").startswith(b"-ERR")
        with script_side(parse_storage(url("redis", port)), told) as (_, client):
            assert said(client, b"GET", b"key") == b"$-1\r\n"


def test_a_database_of_redis_is_chosen_by_its_number(told: Told) -> None:
    with redis() as (port, _):
        with script_side(parse_storage(url("redis", port, "/3")), told) as (_, client):
            assert said(client, b"SET", b"key", b"x") == b"+OK\r\n"
        with script_side(parse_storage(url("redis", port)), told) as (_, client):
            assert said(client, b"GET", b"key") == b"$-1\r\n"


def test_a_read_only_storage_takes_no_file(told: Told) -> None:
    with apache() as (port, files):
        with script_side(parse_storage(url("http", port, "/cache"), read_only=True), told) as (_, client):
            assert request(over_http(client), "PUT", "/abcR", b"compiled")[0] == 403
        assert list(files.iterdir()) == []


def request(client: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    client.request(method, path, body)
    answer = client.getresponse()
    return answer.status, answer.read()


def over_http(client: socket.socket) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("relay")
    connection.sock = client
    return connection


def test_http_passes_files_below_the_path_and_no_more(told: Told) -> None:
    with apache() as (port, files):
        (files.parent / "outside").write_text("no cache")
        with script_side(parse_storage(url("http", port, "/cache")), told) as (relay, client):
            asked = over_http(client)
            assert request(asked, "GET", "/abcR")[0] == 404
            assert request(asked, "PUT", "/abcR", b"compiled")[0] == 201
            assert (files / "abcR").read_bytes() == b"compiled"
            assert request(asked, "GET", "/abcR") == (200, b"compiled")
            assert request(asked, "HEAD", "/abcR") == (200, b"")
            assert request(asked, "DELETE", "/abcR")[0] == 204
            for path in ("/../outside", "/%2e%2e/outside", "/", "http://127.0.0.1/x"):
                assert request(asked, "GET", path)[0] == 403
            assert request(asked, "PROPFIND", "/")[0] == 501
            assert relay
            assert (relay.found, relay.missed, relay.stored, relay.failures) == (1, 1, 1, 0)
    assert not SECRET.search(str(told))


@pytest.mark.parametrize("scheme", ["redis", "http"])
def test_a_wrong_password_is_reported_and_the_server_left_alone(told: Told, scheme: str) -> None:
    server = redis if scheme == "redis" else apache
    with server() as (port, _):
        address = parse_storage(f"{scheme}://{USER}:hush-hush@127.0.0.1:{port}")
        with script_side(address, told) as (relay, client):
            if scheme == "redis":
                assert relay is None
                assert "WRONGPASS" in str(told)
            else:
                assert request(over_http(client), "GET", "/abc")[0] == 401
    assert f"the ccache storage {scheme}://127.0.0.1:{port} " in str(told)
    verb = "continues" if scheme == "redis" else "continued"
    assert f"the build {verb} without it" in str(told)
    assert "hush-hush" not in str(told)


def test_a_server_that_dies_in_a_build_is_soon_asked_no_more(told: Told) -> None:
    with redis() as (port, child), relayed(parse_storage(url("redis", port)), told.log) as relay, \
                socket.create_server(("127.0.0.1", 0)) as listener:  # fmt: skip
        assert relay
        socket.send_fds(relay.theirs, [b"0"], [listener.fileno()])
        with socket.create_connection(listener.getsockname(), 10) as client:
            assert said(client, b"GET", b"x") == b"$-1\r\n"
            child.kill()
            child.wait()
            client.sendall(b"*2\r\n$3\r\nGET\r\n$1\r\nx\r\n")
            assert client.recv(100) == b""
        for _ in range(MOST_FAILURES - 1):
            with socket.create_connection(listener.getsockname(), 10) as client:
                client.sendall(b"*2\r\n$3\r\nGET\r\n$1\r\nx\r\n")
                assert client.recv(100) == b""
        with socket.create_connection(listener.getsockname(), 10) as client:
            assert said(client, b"GET", b"x") == b"-ERR not forwarded\r\n"
        assert relay.failures == MOST_FAILURES
    assert f"failed {MOST_FAILURES} times" in str(told)
    assert "the build continued without it" in str(told)


def test_a_file_that_is_cut_by_its_compilers_end_is_not_stored(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builders.engines.relay.relay.LARGEST", 1000)
    with apache() as (port, files):
        address = parse_storage(url("http", port, "/cache"))
        for head in (b"Content-Length: 100", b"Content-Length: 1000", b"Transfer-Encoding: chunked"):
            with script_side(address, told) as (relay, client):
                client.sendall(b"PUT /abcR HTTP/1.1\r\n" + head + b"\r\n\r\n" + b"x" * 20)
                client.shutdown(socket.SHUT_WR)
                with client.makefile("rb") as answer:
                    assert answer.read(12) == (b"" if head[-5:] == b": 100" else b"HTTP/1.1 413")
                assert relay
                assert (relay.stored, relay.failures) == (0, 0)
        assert list(files.iterdir()) == []


def test_a_command_that_is_cut_is_not_the_servers_failure(told: Told) -> None:
    with redis() as (port, _), script_side(parse_storage(url("redis", port)), told) as (relay, client):
        client.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100\r\nhalf")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b""
        assert relay
        assert relay.failures == 0
