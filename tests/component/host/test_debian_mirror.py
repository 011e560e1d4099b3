"""The mirror that Reef finds through a real apt, for sources of every kind that apt understands."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.errors import HostError
from builders.host import debian_mirror, process
from builders.host.debian_mirror import Mirror, parse
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
        ("http://deb.debian.org/debian", "http://deb.debian.org/debian"),
        ("https://deb.debian.org/debian/", "https://deb.debian.org/debian"),
        ("http://localhost:3142/deb.debian.org/debian", "http://localhost:3142/deb.debian.org/debian"),
        ("http://cache:3142/HTTPS///deb.debian.org/debian", "http://cache:3142/HTTPS///deb.debian.org/debian"),
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
    "uri", ["cdrom:[Debian GNU/Linux 12.5.0 _Bookworm_]/", "tor+https://deb.debian.org/debian", "ssh://me@host/debian"]
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


LIST = "# Debian's cloud images\n\nhttps://deb.debian.org/debian\n"
LONG = (
    "file:/srv/partial\tpriority:1 type:index\nhttp://last.example/debian\n"
    "http://second.example/debian\tpriority:2\nhttp://first.example/debian priority:1\n"
)


@pytest.mark.parametrize(
    ("text", "url"), [(LIST, "https://deb.debian.org/debian"), (LONG, "http://first.example/debian")]
)
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


@pytest.mark.parametrize("scheme", ["mirror+http", "mirror"])
def test_a_list_of_mirrors_on_a_server(apt: HostApt, scheme: str) -> None:
    class Lists(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/list" else 404)
            self.send_header("Content-Length", str(len(LONG)))
            self.end_headers()
            self.wfile.write(LONG.encode())

        def log_message(self, *_: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Lists) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for path, url in (("list", "http://first.example/debian"), ("none", "")):
            uri = f"{scheme}://127.0.0.1:{server.server_port}/{path}"
            apt.source("list", DEBIAN.format(uri))
            apt.has(uri)
            if url:
                assert found() == url
            else:
                with pytest.raises(HostError, match="apt's list of mirrors cannot be fetched"):
                    found()
        server.shutdown()


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
    apt.source("list", DEBIAN.format("http://deb.debian.org/debian"))
    with pytest.raises(HostError, match="names no Debian mirror") as caught:
        found()
    assert "sudo apt-get update" in caught.value.fix


def test_sources_that_apt_itself_refuses(apt: HostApt) -> None:
    apt.source("list", "deb http://a.example/debian\n")
    with pytest.raises(HostError) as caught:
        found()
    assert "Malformed" in caught.value.detail


def test_security_updates_come_from_where_apt_gets_them(apt: HostApt) -> None:
    debian_mirror.security_mirror.cache_clear()
    assert debian_mirror.security_mirror() is None
    uri = "https://deb.debian.org/debian-security"
    apt.source("list", f"deb {uri} bookworm-security main\n")
    apt.has(uri, label="Debian-Security")
    debian_mirror.security_mirror.cache_clear()
    assert debian_mirror.security_mirror() == Mirror(uri)


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
