"""The repository as real apt sees it, over file: and HTTP, and as a reader sees it while it changes."""

import functools
import gzip
import hashlib
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from builders.apt.indices.release import parse_release
from builders.apt.publish.switch import make_live
from builders.model.deb_file import read_deb
from builders.model.settings import RepositorySettings, Settings
from tests.support.repository import DATE, TAMPERED, AptClient, Publisher


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder and writes down what was asked."""

    asked: list[str]

    def log_message(self, *_: object) -> None:
        self.asked.append(self.path)


@pytest.fixture
def server(publisher: Publisher) -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    kind = type("Recording", (Handler,), {"asked": asked})
    publisher.repository.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(kind, directory=str(publisher.repository))) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}", asked
        http.shutdown()


def sources(publisher: Publisher) -> str:
    return (publisher.repository / "reef-trixie.sources").read_text()


def test_over_file(publisher: Publisher, tmp_path: Path) -> None:
    deb, data = publisher.deb(), publisher.deb("reef-data", "1:2", "all")
    publisher.publish(deb, data)
    apt = AptClient(tmp_path / "client", sources(publisher), publisher.keyring)
    apt.update()
    assert apt.download("reef-demo") == read_deb(deb).sha256
    assert apt.download("reef-data=1:2") == read_deb(data).sha256


def test_over_http(publisher: Publisher, tmp_path: Path, server: tuple[str, list[str]]) -> None:
    url, asked = server
    publisher.settings = Settings(repository=RepositorySettings(url=url))
    old, new = publisher.deb(), publisher.deb(version="1.0-2")
    symbols = publisher.deb("reef-demo-dbgsym", fields={"Auto-Built-Package": "debug-symbols"})
    publisher.publish(old, symbols)
    apt = AptClient(tmp_path / "client", sources(publisher), publisher.keyring)
    apt.update()
    assert any("/by-hash/SHA256/" in path for path in asked)
    assert apt.download("reef-demo") == read_deb(old).sha256
    assert "Unable to locate" in apt.run("download", "reef-demo-dbgsym", check=False)
    publisher.publish(new, date=DATE + 1)
    apt.update()
    assert apt.download("reef-demo") == read_deb(new).sha256
    assert apt.download("reef-demo=1.0-1") == read_deb(old).sha256
    asked.clear()
    assert not publisher.publish(new).changed
    assert "Hit:1" in apt.update()
    assert asked == ["/dists/trixie/InRelease"]


@pytest.mark.parametrize(
    ("native", "foreign", "fetched"),
    [
        ("arm64", (), {"arm64"}),
        ("arm64", ("i386",), {"arm64"}),
        ("arm64", ("armhf", "i386"), {"arm64", "armhf"}),
        ("amd64", ("arm64",), {"arm64"}),
    ],
)
def test_a_board_asks_for_its_own_cpus_among_those_published(
    publisher: Publisher, tmp_path: Path, native: str, foreign: tuple[str, ...], fetched: set[str]
) -> None:
    """Without the notice of an architecture that the repository does not support."""
    publisher.publish(publisher.deb(), publisher.deb("reef-hf", "1", "armhf"), publisher.source())
    apt = AptClient(tmp_path / "client", sources(publisher), publisher.keyring, native)
    with (apt.folder / "apt.conf").open("a") as conf:
        conf.write('quiet "0";\n' + "".join(f'APT::Architectures:: "{cpu}";\n' for cpu in foreign))
    said = apt.update()
    assert "N:" not in said
    targets = apt.run("indextargets", "--format", "$(ARCHITECTURE)", "Created-By: Packages")
    assert set(targets.split()) == fetched


def test_changelogs(publisher: Publisher, tmp_path: Path, server: tuple[str, list[str]]) -> None:
    """apt-get changelog asks by source and its version: of a package alone, of several, of debug symbols."""
    url, asked = server
    publisher.settings = Settings(repository=RepositorySettings(url=url))
    text = b"libsource (1:2.0+dfsg~rc1-1) trixie; urgency=low\n\n  * Ours.\n"
    source = {"Source": "libsource (1:2.0+dfsg~rc1-1)"}
    publisher.publish(
        publisher.deb("reef-a", "3+b1", fields=source),
        publisher.deb("reef-b", "4", fields=source, changelog=gzip.compress(text)),
        publisher.deb("reef-b-dbgsym", "4", fields={**source, "Auto-Built-Package": "debug-symbols"}),
        publisher.deb("reef-own", "1:5", "all", changelog=gzip.compress(b"reef-own (1:5) x; urgency=low\n")),
        publisher.deb("reef-none"),
    )
    apt = AptClient(tmp_path / "client", sources(publisher).replace("Components: main", "Components: main debug"),
                    publisher.keyring)  # fmt: skip
    apt.update()
    for name in ("reef-a", "reef-b", "reef-b-dbgsym"):
        apt.run("changelog", "--download-only", name)
        assert (apt.folder / "libsource.changelog").read_bytes() == text
        (apt.folder / "libsource.changelog").unlink()
    apt.run("changelog", "--download-only", "reef-own")
    assert (apt.folder / "reef-own.changelog").read_bytes() == b"reef-own (1:5) x; urgency=low\n"
    assert "Changelog unavailable" in apt.run("changelog", "--download-only", "reef-none", check=False)
    assert "/pool/main/libs/libsource/libsource_2.0%2bdfsg%7erc1-1.changelog" in asked
    publisher.verify()


def test_debug_symbols_on_request(publisher: Publisher, tmp_path: Path) -> None:
    symbols = publisher.deb("reef-demo-dbgsym", fields={"Auto-Built-Package": "debug-symbols"})
    publisher.publish(publisher.deb(), symbols)
    text = sources(publisher).replace("Components: main", "Components: main debug")
    apt = AptClient(tmp_path / "client", text, publisher.keyring)
    apt.update()
    assert apt.download("reef-demo-dbgsym") == read_deb(symbols).sha256


def test_candidate_and_snapshots_serve_apt_too(publisher: Publisher, tmp_path: Path) -> None:
    old, new = publisher.deb(), publisher.deb(version="2")
    publisher.publish(old)
    staged = publisher.stage({"trixie": [new]}, DATE + 1)
    apt = AptClient(
        tmp_path / "one",
        sources(publisher).replace(publisher.repository.as_uri(), staged.path.as_uri()),
        publisher.keyring,
    )
    apt.update()
    assert apt.download("reef-demo") == read_deb(new).sha256
    make_live(staged, publisher.repository)
    first = sorted((publisher.repository / "snapshots/trixie").iterdir())[0]
    apt = AptClient(
        tmp_path / "two", sources(publisher).replace(publisher.repository.as_uri(), first.as_uri()), publisher.keyring
    )
    apt.update()
    assert apt.download("reef-demo") == read_deb(old).sha256


def test_apt_refuses_what_was_tampered_with(publisher: Publisher, tmp_path: Path) -> None:
    publisher.publish(publisher.deb())
    inrelease = publisher.repository / "dists/trixie/InRelease"
    inrelease.write_bytes(inrelease.read_bytes().replace(b"Label: Reef", b"Label: Leaf"))
    apt = AptClient(tmp_path / "client", sources(publisher), publisher.keyring)
    assert TAMPERED in apt.update(check=False)


def test_a_reader_at_any_moment_is_served_whole(publisher: Publisher) -> None:
    """A by-hash reader that takes its time meets no missing and no mixed file while eight publications pass."""
    publisher.publish(publisher.deb())
    suite = publisher.repository / "dists" / "trixie"
    done, wrong, seen = threading.Event(), [], set()

    def read() -> None:
        while not done.is_set():
            try:
                text = (suite / "InRelease").read_text().split("\n\n", 1)[1].split("-----BEGIN PGP SIG")[0]
                release = parse_release(text.encode(), "InRelease")
                seen.add(release.date)
                for name, digest in release.present.items():
                    by_hash = suite / Path(name).parent / "by-hash" / "SHA256" / digest.sha256
                    if hashlib.sha256(by_hash.read_bytes()).hexdigest() != digest.sha256:
                        wrong.append(name)
                    for line in by_hash.read_text().splitlines() if name.endswith("Packages") else ():
                        if line.startswith("Filename: ") and not (publisher.repository / line[10:]).exists():
                            wrong.append(line)
            except OSError as error:
                wrong.append(str(error))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(8):
        publisher.publish(publisher.deb(version=f"2.{number}"), date=DATE + 1 + number)
    done.set()
    reader.join()
    assert wrong == []
    assert len(seen) > 4
