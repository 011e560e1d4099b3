"""Serving over HTTP: real apt, curl and Python's client ask."""

import http.client
import os
import signal
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.apt.verify.server import serving
from builders.cli import repository as cli_repository
from builders.errors import HostError, InputError, PublishError
from builders.model.deb_file import read_deb
from tests.support.repository import PLACES, AptClient, Publisher


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def url(publisher: Publisher, asked: list[str]) -> Iterator[str]:
    publisher.publish(publisher.deb())
    (publisher.repository / "data.deb").write_bytes(bytes(range(100)))
    with serving(publisher.repository, say=asked.append) as url:
        yield url


def get(url: str, **headers: str) -> http.client.HTTPResponse:
    wish = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        answer: http.client.HTTPResponse = urllib.request.urlopen(wish)
    except urllib.error.HTTPError as error:
        return error  # type: ignore[return-value]
    return answer


@pytest.mark.parametrize(
    ("wish", "status", "content_range", "first"),
    [
        ("bytes=0-9", 206, "bytes 0-9/100", 0),
        ("bytes=90-", 206, "bytes 90-99/100", 90),
        ("bytes=-5", 206, "bytes 95-99/100", 95),
        ("bytes=50-500", 206, "bytes 50-99/100", 50),
        ("bytes=100-", 416, "bytes */100", None),
        ("bytes=9-3", 200, None, 0),
        ("bytes=-", 200, None, 0),
        ("lines=1-2", 200, None, 0),
        ("bytes=0-1,5-6", 200, None, 0),
        (f"bytes={'9' * 5000}-", 200, None, 0),
        (f"bytes=-{'9' * 5000}", 200, None, 0),
    ],
)
def test_ranges(url: str, wish: str, status: int, content_range: str | None, first: int | None) -> None:
    answer = get(f"{url}/data.deb", Range=wish)
    body = answer.read()
    assert (answer.status, answer.headers["Content-Range"]) == (status, content_range)
    assert len(body) == int(answer.headers["Content-Length"])
    assert first is None or body[0] == first


def test_a_part_of_what_changed_meanwhile_is_not_given(url: str) -> None:
    whole = get(f"{url}/data.deb")
    same = get(f"{url}/data.deb", Range="bytes=5-", If_Range=whole.headers["Last-Modified"])
    assert (same.status, len(same.read())) == (206, 95)
    for other in ("Mon, 01 Jan 2001 00:00:00 GMT", '"tag"'):
        assert get(f"{url}/data.deb", Range="bytes=5-", If_Range=other).status == 200


def test_types_and_caching(url: str, publisher: Publisher, asked: list[str]) -> None:
    kinds = {
        "data.deb": "application/vnd.debian.binary-package",
        "dists/trixie/InRelease": "text/plain; charset=utf-8",
        "dists/trixie/main/binary-arm64/Packages.xz": "application/x-xz",
        "reef-archive-keyring.gpg": "application/pgp-keys",
    }
    folder = "dists/trixie/main/binary-arm64/by-hash/SHA256"
    kinds |= {f"{folder}/{path.name}": "application/octet-stream" for path in (publisher.repository / folder).iterdir()}
    kinds["reef-trixie.sources"] = "text/plain; charset=utf-8"
    for path, kind in kinds.items():
        answer = get(f"{url}/{path}")
        assert (answer.headers["Content-Type"], answer.headers["Accept-Ranges"]) == (kind, "bytes")
    date = answer.headers["Last-Modified"]
    assert get(f"{url}/reef-trixie.sources", If_Modified_Since=date).status == 304
    assert any('"GET /data.deb HTTP/1.1" 200' in line and line.startswith("127.0.0.1 [") for line in asked)


def test_nothing_outside_and_no_listings(url: str, publisher: Publisher) -> None:
    (publisher.folder / "secret").write_text("x")
    for path in ("/../secret", "/%2e%2e/secret", "/dists/../../secret", "/pool/", "/nothing"):
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as line:
            line.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            assert line.makefile("rb").readline().split()[1] == b"404", path


def test_strange_requests_do_not_reach_the_log_raw(url: str, asked: list[str]) -> None:
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as line:
        line.sendall(b"GET /\x1b[31mred\x07 HTTP/1.0\r\n\r\n")
        line.makefile("rb").read()
    assert asked
    assert all(text.isprintable() for text in asked)


def test_apt_resumes(url: str, publisher: Publisher, tmp_path: Path, asked: list[str]) -> None:
    big = publisher.deb("reef-big", content="0123456789" * 90000, compression="none")
    publisher.publish(big, date=1_750_000_100)
    text = (publisher.repository / "reef-trixie.sources").read_text()
    apt = AptClient(tmp_path / "c", text.replace(publisher.repository.as_uri(), url), publisher.keyring)
    apt.update()
    part = apt.folder / "cache/archives/partial/reef-big_1.0-1_arm64.deb"
    part.write_bytes(big.read_bytes()[:500_000])
    os.utime(part, (1_750_000_100,) * 2)  # as apt leaves it: the date that the server told
    apt.run("install", "-y", "--download-only", "reef-big")
    assert any("reef-big" in line and " 206 " in line for line in asked)
    assert read_deb(apt.folder / "cache/archives/reef-big_1.0-1_arm64.deb").sha256 == read_deb(big).sha256


def test_tls(publisher: Publisher, tmp_path: Path) -> None:
    publisher.publish(publisher.deb())
    pem, key = tmp_path / "c.pem", tmp_path / "k.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(pem)],
        check=True, capture_output=True,
    )  # fmt: skip
    with serving(publisher.repository, certificate=(pem, key)) as url:
        assert url.startswith("https://")
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))):  # a silent one holds up nobody
            context = ssl.create_default_context(cafile=str(pem))
            with urllib.request.urlopen(f"{url}/dists/trixie/InRelease", context=context) as answer:
                assert b"Suite: trixie" in answer.read()


def test_wrong_words(publisher: Publisher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cli_repository, "open_project", publisher.project)
    with pytest.raises(PublishError, match="nothing is published yet"):
        cli_repository.serve_apt(host="127.0.0.1", port=0, certificate=None, key=None)
    publisher.publish(publisher.deb())
    with pytest.raises(InputError, match="TLS needs a certificate and its key"):
        cli_repository.serve_apt(host="127.0.0.1", port=0, certificate="x", key=None)
    for port in (70_000, -1):
        with pytest.raises(InputError, match=f"not a port: {port}"):
            cli_repository.serve_apt(host="127.0.0.1", port=port, certificate=None, key=None)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(HostError, match="cannot serve"):
        cli_repository.serve_apt(host="127.0.0.1", port=taken.getsockname()[1], certificate=None, key=None)
    with pytest.raises(HostError, match="cannot serve"):
        cli_repository.serve_apt(host="127.0.0.1", port=0, certificate="/no.pem", key="/no.key")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ending_it_is_no_failure(publisher: Publisher, number: signal.Signals) -> None:
    publisher.publish(publisher.deb())
    (publisher.folder / "reef.yml").write_text(PLACES)
    child = publisher.command("serve-apt", "--host", "127.0.0.1", "--port", "0")
    assert child.stdout is not None
    try:
        assert child.stdout.readline().startswith("project: ")
        assert "serving" in child.stdout.readline()
        child.send_signal(number)
        rest, _ = child.communicate(timeout=60)
    finally:
        child.kill()
    assert rest.endswith("no longer serving\n")  # a signal within its first words may have them said twice
    assert "interrupted" not in rest
    assert child.returncode == 0
