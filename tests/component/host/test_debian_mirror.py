"""The mirror that Reef finds through a real apt, for sources of every kind that apt understands."""

import base64
import http.server
import stat
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from builders.errors import HostError
from builders.host import apt_access, debian_mirror, process
from builders.host.debian_mirror import Mirror, parse
from builders.host.log import Log
from tests.support.host_apt import HostApt

DEBIAN = "deb [signed-by=/x] {} bookworm main\n"
DEB822 = "Types: deb deb-src\nURIs: {}\nSuites: bookworm bookworm-updates\nComponents: main contrib\n{}\n"
INLINE = "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDMEYCQjIx\n -----END PGP PUBLIC KEY BLOCK-----"


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostApt]:
    with HostApt(tmp_path, monkeypatch) as made:
        yield made


def found() -> str:
    debian_mirror.host_mirror.cache_clear()
    return debian_mirror.host_mirror().url


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("http://deb.example/debian", "http://deb.example/debian"),
        ("https://deb.example/debian/", "https://deb.example/debian"),
        ("http://localhost:3142/deb.example/debian", "http://localhost:3142/deb.example/debian"),
        ("http://cache:3142/HTTPS///deb.example/debian", "http://cache:3142/HTTPS///deb.example/debian"),
        ("file:/srv/debian", "file:/srv/debian"),
        ("copy:/srv/debian", "file:/srv/debian"),
        ("https://me:it%20is@mirror.example/debian", "https://mirror.example/debian"),
    ],
)
def test_one_line_and_deb822_sources(apt: HostApt, uri: str, url: str) -> None:
    apt.source("list", DEBIAN.format(uri))
    apt.has(uri)
    assert found() == url
    apt.source("list", "")
    for options in ("", "Trusted: yes", "Enabled: yes", INLINE):
        apt.source("sources", DEB822.format(uri, options))
        assert found() == url


@pytest.mark.parametrize(
    "uri", ["cdrom:[Debian GNU/Linux 12.5.0 _Bookworm_]/", "tor+https://deb.example/debian", "ssh://me@host/debian"]
)
def test_what_no_root_can_use_is_named_unless_there_is_more(apt: HostApt, uri: str) -> None:
    apt.source("list", DEBIAN.format(uri))
    apt.has(uri)
    with pytest.raises(HostError, match="cannot use the Debian mirror of this machine's apt") as caught:
        found()
    assert f": {uri.partition(':')[0]}:" in caught.value.what
    assert "me@" not in caught.value.what
    assert "debian_mirror: in reef.yml" in caught.value.fix
    apt.source("list", DEBIAN.format(uri) + DEBIAN.format("http://a.example/debian"))
    apt.has("http://a.example/debian")
    assert found() == "http://a.example/debian"


LIST = "# Debian's cloud images\n\nhttps://deb.example/debian\n"
LONG = (
    "file:/srv/partial\tpriority:1 type:index\nhttp://last.example/debian\n"
    "http://second.example/debian\tpriority:2\nhttp://first.example/debian priority:1\n"
)


@pytest.mark.parametrize(("text", "url"), [(LIST, "https://deb.example/debian"), (LONG, "http://first.example/debian")])
@pytest.mark.parametrize("scheme", ["mirror+file:", "mirror+copy:"])
def test_a_list_of_mirrors(apt: HostApt, scheme: str, text: str, url: str) -> None:
    file = apt.folder / "mirrors.list"
    file.write_text(text)
    apt.source("sources", DEB822.format(f"{scheme}{file}", ""))
    apt.has(f"{scheme}{file}")
    assert found() == url
    file.unlink()
    with pytest.raises(HostError, match="apt's list of mirrors cannot be read") as caught:
        found()
    assert "debian_mirror: in reef.yml" in caught.value.fix


class Lists(http.server.ThreadingHTTPServer):
    """A server of a list of mirrors at /list, and at /private with a login. ``asked`` are the paths of requests."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def site(self, scheme: str = "mirror+http", login: str = "") -> str:
        return f"{scheme}://{login}127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Lists

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        good = self.headers["Authorization"] == "Basic " + base64.b64encode(b"me:p@w").decode()
        status = {"/list": 200, "/private": 200 if good else 401}.get(self.path, 404)
        self.send_response(status)
        self.send_header("Content-Length", str(len(LONG)))
        self.end_headers()
        self.wfile.write(LONG.encode())

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def lists() -> Iterator[Lists]:
    with Lists() as server:
        yield server
        server.shutdown()


@pytest.mark.parametrize("scheme", ["mirror+http", "mirror"])
def test_a_list_of_mirrors_on_a_server(apt: HostApt, lists: Lists, scheme: str) -> None:
    for path, url in (("list", "http://first.example/debian"), ("none", "")):
        uri = f"{lists.site(scheme)}/{path}"
        apt.source("list", DEBIAN.format(uri))
        apt.has(uri)
        if url:
            assert found() == url
        else:
            for _ in range(2):
                with pytest.raises(HostError, match="apt's list of mirrors cannot be fetched"):
                    found()
            assert lists.asked.count("/none") == 1, "nobody waits twice for a server that is away"


def test_the_login_of_a_list_of_mirrors_is_no_argument_and_in_no_error(
    apt: HostApt, lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments: list[str] = []
    capture = process.capture

    def seen(argv: Sequence[str], **more: Any) -> str:
        arguments.extend(argv)
        for name, file in more.get("extra_environment", {}).items():
            assert name == "APT_CONFIG"
            assert stat.S_IMODE((Path(file).parent / "auth.conf").stat().st_mode) == 0o600
        return capture(argv, **more)

    monkeypatch.setattr(process, "capture", seen)
    login = "me:p%40w@"
    assert next(debian_mirror._resolved(f"{lists.site(login=login)}/private")) == "http://first.example/debian"
    with pytest.raises(HostError, match="cannot be fetched") as caught:
        list(debian_mirror._resolved(f"{lists.site(login=login)}/none"))
    for text in (*arguments, caught.value.what, caught.value.detail):
        assert "p%40w" not in text
        assert "p@w" not in text


def test_mirrors_after_the_first_usable_are_not_asked(apt: HostApt, lists: Lists) -> None:
    dead, good = f"{lists.site()}/none", "http://good.example/debian"
    for order, asked in (((good, dead), []), ((dead, good), ["/none"])):
        apt.source("list", "".join(map(DEBIAN.format, order)))
        for uri in order:
            apt.has(uri)
        lists.asked.clear()
        assert found() == good
        assert lists.asked == asked


def test_only_debians_main_archive_counts(apt: HostApt) -> None:
    apt.source("list", "deb file:/srv/flat ./\n" + DEBIAN.format("http://u.example/ubuntu"))
    apt.has("http://u.example/ubuntu", origin="Ubuntu", label="Ubuntu")
    apt.has("file:/srv/flat")
    with pytest.raises(HostError, match="names no Debian mirror"):
        found()
    apt.source("sources", DEB822.format("http://off.example/debian", "Enabled: no"))
    with pytest.raises(HostError, match="names no Debian mirror"):
        found()
    apt.source("list", "deb-src http://src.example/debian bookworm main\n")
    apt.has("http://src.example/debian")
    with pytest.raises(HostError, match="names no Debian mirror"):
        found()


def test_sources_without_indices_and_none_at_all(apt: HostApt) -> None:
    with pytest.raises(HostError, match="names no Debian mirror") as caught:
        found()
    apt.source("list", DEBIAN.format("http://deb.example/debian"))
    with pytest.raises(HostError, match="names no Debian mirror") as caught:
        found()
    assert "sudo apt-get update" in caught.value.fix


def test_sources_that_apt_itself_refuses(apt: HostApt) -> None:
    apt.source("list", "deb http://a.example/debian\n")
    with pytest.raises(HostError) as caught:
        found()
    assert "Malformed" in caught.value.detail


def test_security_updates_come_from_where_apt_gets_them(apt: HostApt) -> None:
    debian_mirror._security.cache_clear()
    assert debian_mirror.security_mirror() is None
    uri = "https://deb.example/debian-security"
    apt.source("list", f"deb {uri} bookworm-security main\n")
    apt.has(uri, label="Debian-Security")
    debian_mirror._security.cache_clear()
    assert debian_mirror.security_mirror() == Mirror(uri)
    assert debian_mirror.security_trouble() == ""


def test_a_broken_source_of_security_updates_blocks_nothing(
    apt: HostApt, lists: Lists, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = f"{lists.site()}/none"
    apt.source("list", f"deb {uri} bookworm-security main\n")
    apt.has(uri, label="Debian-Security")
    lists.asked.clear()
    log = Log(live=False)
    for url in ("http://a.example/debian", "http://b.example/debian"):
        assert apt_access.access(Mirror(url)).logins == ""
        apt_access.warn_of_security(log)
    assert debian_mirror.security_mirror() is None
    assert lists.asked == ["/none"]
    warned = capsys.readouterr().out
    assert warned.count("warning: Debian's security updates are not used: apt's list of mirrors cannot be fetched") == 1


def test_a_mirror_that_others_signed_is_named(apt: HostApt, tmp_path: Path) -> None:
    apt.source("list", DEBIAN.format("http://a.example/debian"))
    apt.has("http://a.example/debian")
    debian_mirror.host_mirror.cache_clear()
    with pytest.raises(HostError, match=r"http://a\.example/debian is not signed by Debian") as caught:
        debian_mirror.check(None)
    assert "debian_mirror: in reef.yml" in caught.value.fix
    debian_mirror.check("http://b.example/debian")
    with pytest.raises(HostError, match="has no folder dists"):
        debian_mirror.check(f"file:{tmp_path}")
    (tmp_path / "dists").mkdir()
    debian_mirror.check(f"file://{tmp_path}")


def test_the_mirror_of_this_machine_is_signed_by_debian() -> None:
    for file in debian_mirror._releases():
        process.capture(["gpgv", f"--keyring={debian_mirror.KEYRING}", file])


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://me:pw@h/debian/", Mirror("https://h/debian", "me:pw")),
        ("http://h:80/debian", Mirror("http://h:80/debian")),
        ("file:///srv/a%20b", Mirror("file:///srv/a%20b")),
    ],
)
def test_logins_are_no_part_of_urls(url: str, expected: Mirror) -> None:
    assert parse(url) == expected
    assert "pw" not in repr(parse(url))
    assert parse(url).folder == ("/srv/a b" if url.startswith("file") else None)
