"""The relay to a ccache storage, in front of real servers: what it lets through, and what it tells."""

import io
import re
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from rich.console import Console

from builders.engines.relay.relay import Relay, relayed, variables
from builders.errors import InputError
from builders.host.log import Log
from builders.model.jobs import Storage
from builders.model.settings import ccache_storage, load_settings, parse_storage
from tests.support.cache_servers import PASSWORD, USER
from tests.support.ports import free_port

SECRET = re.compile(r"p@ss|w.rd|p%40ss")


def url(scheme: str, port: int, path: str = "") -> str:
    return f"{scheme}://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{port}{path}"


class Told:
    """A display that keeps what it showed."""

    def __init__(self) -> None:
        self.text = io.StringIO()
        self.log = Log(live=False, console=Console(file=self.text, width=400, soft_wrap=True))

    def __str__(self) -> str:
        return self.text.getvalue()


@contextmanager
def script_side(storage: Storage, told: Told) -> Iterator[tuple[Relay | None, socket.socket]]:
    """A relay as a script meets it: a connection to the socket that was handed over."""
    with relayed(storage, told.log) as relay, socket.create_server(("127.0.0.1", 0)) as listener:
        if relay:
            socket.send_fds(relay.theirs, [b"0"], [listener.fileno()])
        with socket.create_connection(listener.getsockname(), 10) as client:
            client.settimeout(10)
            yield relay, client


@pytest.fixture
def told() -> Told:
    return Told()


def test_a_server_that_is_not_there_is_reported_at_once(told: Told) -> None:
    with relayed(parse_storage(f"redis://127.0.0.1:{free_port()}"), told.log) as relay:
        assert relay is None
    assert "Connection refused" in str(told)
    assert "the build continues without it" in str(told)


def test_the_script_knows_the_relay_alone() -> None:
    secret = parse_storage(url("https", 443, "/cache"), "bazel", read_only=True)
    assert variables(secret) == {"CCACHE_REMOTE_STORAGE": "http://127.0.0.1:7070|layout=bazel|read-only"}
    assert not SECRET.search(str(secret) + repr(secret))


@pytest.mark.parametrize(
    "wrong",
    ["ftp://a/b", "redis://", "redis://h:port", "redis://h/zero", "http://h/x?y=1", "redis://u:hush@h:99999", "[", ""],
)
def test_a_wrong_url_is_reported_without_showing_it(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reef.yml").write_text(f"ccache_storage: {{url: '{wrong}'}}\n")
    with pytest.raises(InputError) as caught:
        load_settings(tmp_path)
    assert "reef.yml:1: ccache_storage.url: not the URL of a ccache storage" in str(caught.value)
    assert "hush" not in str(caught.value)
    if wrong:
        (tmp_path / "reef.yml").write_text("")
        monkeypatch.setenv("REEF_CCACHE_STORAGE", wrong)
        with pytest.raises(InputError, match="REEF_CCACHE_STORAGE is not the URL") as caught:
            ccache_storage(load_settings(tmp_path).ccache_storage)
        assert "hush" not in str(caught.value)


def test_the_variable_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "reef.yml").write_text("ccache_storage: {url: 'http://lab/ccache/', layout: flat}\n")
    settings = load_settings(tmp_path)
    assert ccache_storage(settings.ccache_storage) == Storage("http", False, "lab", 80, "ccache", layout="flat")
    monkeypatch.setenv("REEF_CCACHE_STORAGE", url("rediss", 7000, "/2"))
    assert ccache_storage(settings.ccache_storage) == Storage(
        "redis", True, "127.0.0.1", 7000, "2", USER, PASSWORD, "flat"
    )


def test_bytes_go_both_ways_and_to_one_place_alone(told: Told) -> None:
    def answer(server: socket.socket) -> None:
        for _ in range(2):  # the first looks whether anybody is there
            client, _ = server.accept()
            with client:
                client.sendall(client.recv(100).upper())

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=(server,), daemon=True)
        thread.start()
        storage = Storage("tcp", tls=False, host="127.0.0.1", port=server.getsockname()[1], what="Bazel server")
        assert variables(storage) == {"CCACHE_REMOTE_STORAGE": "tcp://127.0.0.1:7070"}
        with script_side(storage, told) as (relay, client):
            client.sendall(b"hello")
            assert client.recv(100) == b"HELLO"
            assert client.recv(100) == b""
            assert relay
            assert relay.failures == 0
        thread.join(10)
    assert "found" not in str(told)


@pytest.mark.parametrize("scheme", ["redis", "http"])
def test_a_server_that_repeats_the_password_is_not_repeated(told: Told, scheme: str) -> None:
    def echo(server: socket.socket) -> None:
        for _ in range(1 if scheme == "redis" else 2):
            client, _ = server.accept()
            with client:
                client.sendall(b"-ERR unknown command, with args " + client.recv(4000).replace(b"\r\n", b" ") + b"\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=echo, args=(server,), daemon=True)
        thread.start()
        with script_side(parse_storage(url(scheme, server.getsockname()[1])), told) as (_, client):
            if scheme == "http":
                client.sendall(b"GET /abcR HTTP/1.1\r\n\r\n")
                assert client.recv(12) == b"HTTP/1.1 502"
        thread.join(10)
    assert "the build" in str(told)
    basic = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    assert not SECRET.search(str(told))
    assert basic not in str(told)
    assert USER not in str(told)
