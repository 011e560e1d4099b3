"""What is taken over from the settings of a real apt, and what stays on this machine."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.errors import HostError
from builders.host import apt_access
from builders.host.apt_access import CONFIG, AptAccess
from builders.host.debian_mirror import Mirror
from tests.support.host_apt import HostApt

HTTP = Mirror("http://deb.example.org/debian")
HTTPS = Mirror("https://deb.example.org/debian")


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostApt]:
    for name in ("SSL_CERT_FILE", *apt_access.BUNDLES, *apt_access.VARIABLES):
        monkeypatch.delenv(name, raising=False)
    with HostApt(tmp_path, monkeypatch) as made:
        yield made


def access(mirror: Mirror = HTTP) -> AptAccess:
    apt_access.access.cache_clear()
    return apt_access.access(mirror)


def program(apt: HostApt, output: str) -> Path:
    path = apt.folder / "detect"
    path.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$1\" >>{apt.folder}/asked\n{output}\n")
    path.chmod(0o755)
    return path


def test_no_program_and_no_hook_is_taken_over(apt: HostApt) -> None:
    detect = program(apt, "echo http://found:3128/")
    apt.setting(
        f'Acquire::http::Proxy-Auto-Detect "{detect}"; Acquire::http::Timeout "7"; Acquire::Retries "2";\n'
        'APT::Update::Pre-Invoke { "/hook"; }; DPkg::Post-Invoke { "/hook"; }; DPkg::Pre-Install-Pkgs { "/hook"; };\n'
        'Acquire::http::User-Agent "mine"; Acquire::https::Verify-Peer "false"; Dir::Cache "/elsewhere";\n'
        'Acquire::IndexTargets::deb::Extra { MetaKey "x"; }; Acquire::Max-FutureTime "9";\n'
    )
    found = access()
    assert found.options == (
        'Acquire::http::Timeout "7";', 'Acquire::http::User-Agent "mine";', 'Acquire::Retries "2";',
        'Acquire::https::Verify-Peer "false";', 'Acquire::Max-FutureTime "9";',
        'Acquire::http::Proxy::deb.example.org "http://found:3128/";',
    )  # fmt: skip
    assert (apt.folder / "asked").read_text() == "http://deb.example.org/debian\n"
    assert found.proxies == {"http://deb.example.org": "http://found:3128/"}
    apt.setting("")
    assert access() == AptAccess()


@pytest.mark.parametrize("output", ["echo DIRECT", "true"])
def test_a_program_that_finds_no_proxy(apt: HostApt, output: str) -> None:
    apt.setting(f'Acquire::http::ProxyAutoDetect "{program(apt, output)}";')
    assert access().proxies == {}
    assert "detect" not in str(access()).lower()


def test_a_program_that_fails_is_named(apt: HostApt) -> None:
    apt.setting(f'Acquire::http::Proxy-Auto-Detect "{program(apt, "exit 3")}";')
    with pytest.raises(HostError, match="the program with which this machine's apt finds its proxy fails") as caught:
        access()
    assert caught.value.fix


def test_files_are_copied_byte_by_byte(apt: HostApt) -> None:
    certificate, key = apt.folder / "ca.pem", apt.folder / "key.pem"
    certificate.write_bytes(b"caf\xe9\0")
    key.write_bytes(b"key")
    apt.setting(f'Acquire::https::CaInfo "{certificate}"; Acquire::https::deb.example.org::SslKey "{key}";')
    assert access().places == {
        "Acquire::https::CaInfo": str(certificate), "Acquire::https::deb.example.org::SslKey": str(key),
    }  # fmt: skip
    content = access().content("/in/root")
    assert content["0.pem"] + content["1.pem"] == b"caf\xe9\0key"
    assert str(apt.folder) not in content[CONFIG].decode()
    assert 'SslKey "/in/root/1.pem";' in content[CONFIG].decode()
    key.unlink()
    with pytest.raises(HostError, match="a file of this machine's apt cannot be read") as caught:
        access()
    assert str(key) in caught.value.what
    assert caught.value.fix


def test_settings_keep_their_bytes(apt: HostApt) -> None:
    lines = [b'Acquire::http::User-Agent "caf\xe9 \xff";', b'Acquire::http::Proxy "http://p\xe9:1/";']
    apt.setting(b"\n".join(lines))
    assert set(lines) <= set(access().content("/x")[CONFIG].splitlines())


def test_https_needs_certificates(apt: HostApt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.pem").write_bytes(b"pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "own.pem"))
    assert access().files == {}
    assert access(HTTPS).files == {"Acquire::https::CAInfo": b"pem"}
    assert access(HTTPS).places == {"Acquire::https::CAInfo": str(tmp_path / "own.pem")}
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/other.pem")
    assert access(HTTPS).places == {}


def test_a_snapshot_of_the_archive_may_have_expired(apt: HostApt) -> None:
    url = "http://snapshot.example/archive/debian/20250520T000000Z"
    assert access(Mirror(url)).options == ('Acquire::Check-Valid-Until "false";',)
    assert access().options == ()


def test_logins_of_the_mirror_and_of_its_proxy_alone(apt: HostApt) -> None:
    (apt.folder / "etc" / "auth.conf").write_bytes(b"# caf\xe9\nmachine other.example login x password y\n")
    parts = apt.folder / "etc" / "auth.conf.d"
    (parts / "one.conf").write_bytes(b"machine deb.example.org/debian\n login me\n password p\xe9\xff\n")
    (parts / "two").write_text("machine proxy.example login p password q\n")
    (parts / "ignored.bak").write_text("machine deb.example.org login z password z\n")
    apt.setting('Acquire::http::Proxy "http://proxy.example:3128";')
    content = access(HTTPS).content("/in/root")
    assert content["auth.conf"].splitlines() == [
        b"machine deb.example.org/debian login me password p\xe9\xff", b"machine proxy.example login p password q",
    ]  # fmt: skip
    assert b'Dir::Etc::netrc "/in/root/auth.conf";' in content[CONFIG]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        # The examples of apt_auth.conf(5), for https://example.org/debian, and more.
        ("example.org", True),
        ("example.org/deb", True),
        ("example.org/debian", True),
        ("example.org/debian/", True),
        ("example.org:443", False),
        ("example.org/deb/", False),
        ("example.org/ubuntu", False),
        ("example.orga", False),
        ("example", False),
        ("https://example", False),
        ("https://EXAMPLE.org/debian", True),
        ("http://example.org", False),
    ],
)
def test_a_login_is_for_its_host_and_path(name: str, *, found: bool) -> None:
    access = AptAccess(logins=f"machine other login x\nmachine {name} login me password p/w\n")
    assert access.login("https://example.org/debian/x") == (("me", "p/w") if found else None)
    assert access.login("https://example.org:444/debian/x") == (("me", "p/w") if found else None)
    assert access.login("https://example.org.evil/debian/x") is None
    assert access.login("http://example.org:80/debian/x") == (("me", "p/w") if name.startswith("http:") else None)


def test_options_of_a_host_come_first_and_https_inherits() -> None:
    """apt-transport-http(1), apt-transport-https(1)."""
    access = AptAccess(
        (
            'Acquire::http::Proxy "http://all:1/";', 'Acquire::http::Proxy::near.example "DIRECT";',
            'Acquire::https::proxy::far.example "http://me:pw@far:1/";', 'Acquire::https::Verify-Peer "false";',
        ),
        logins="machine http://all login p password q/\udce9\n",
        places={"Acquire::https::CaInfo": "/ca.pem", "Acquire::https::CAInfo::near.example": "/near.pem"},
    )  # fmt: skip
    assert access.proxy("http://near.example/x") == ""
    assert access.proxy("https://near.example/x") == ""
    assert access.proxy("http://far.example/x") == "http://p:q%2F%E9@all:1/"
    assert access.proxy("https://far.example/x") == "http://me:pw@far:1/"
    assert AptAccess().proxy("http://far.example/x") is None
    assert access.option("CAInfo", "https://near.example/x") == "/near.pem"
    assert access.option("CAInfo", "https://far.example/x") == "/ca.pem"
    assert access.option("CAInfo", "http://far.example/x") is None
    assert access.option("Verify-Peer", "https://far.example/x") == "false"


def test_the_logins_of_all_mirrors_come_along(apt: HostApt) -> None:
    uri = "http://you:word@security.example/debian-security"
    apt.source("list", f"deb [signed-by=/x] {uri} bookworm-security main\n")
    apt.has(uri, label="Debian-Security")
    both = access(Mirror("http://h/debian", "me:pw")).logins
    assert both == (
        "machine http://h/debian login me password pw\n"
        "machine http://security.example/debian-security login you password word\n"
    )
    alone = apt_access.access(Mirror("http://h/debian", "me:pw"), security=False)
    assert alone.logins == "machine http://h/debian login me password pw\n"


def test_the_login_of_a_url(apt: HostApt) -> None:
    found = access(Mirror("http://h/debian", "me:p%40w"))
    assert found.content("/x")["auth.conf"] == b"machine http://h/debian login me password p@w\n"
    assert "p@w" not in repr(found)


def test_a_machine_without_apt(apt: HostApt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    assert access() == AptAccess()
