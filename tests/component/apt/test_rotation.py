"""Keys over the years, as boards live through them: real gpg, dpkg and apt are the judges."""

import gzip
import subprocess
from pathlib import Path

import pytest

from builders.apt import api as apt
from builders.apt.keys import keyring_package, rotation
from builders.apt.keys.keyring_package import PACKAGE as KEYRING_PACKAGE
from builders.apt.keys.signing import signing_key
from builders.apt.repository.layout import KEYRING
from builders.apt.repository.publication import published
from builders.apt.verify.verify import verify
from builders.errors import InputError, PublishError
from builders.host.log import Log
from builders.model.deb_file import members, read_deb, read_dsc
from builders.model.settings import RepositorySettings, Settings, Signing
from builders.model.target import SUITES
from tests.support.repository import DATE, UNKNOWN_KEY, AptClient, Publisher, tree_of

from .test_keys import make_key

URL = "http://apt.lab/reef"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trials on later days have a file of their own (test_client_report.py)."""
    monkeypatch.setattr("builders.apt.publish.change.ask_clients", lambda *_: [])


@pytest.fixture
def place(tmp_path: Path, home: Path, log: Log) -> Publisher:
    """A repository with a key of the test's own."""
    return Publisher(tmp_path, signing_key(Settings(), log), log)


def keyrings(place: Publisher, suite: str = "trixie") -> list[str]:
    words = place.index(suite=suite).split("\n\n")
    return [w.split("Version: ")[1].split("\n")[0] for w in words if w.startswith(f"Package: {KEYRING_PACKAGE}\n")]


def client(place: Publisher, name: str) -> AptClient:
    text = (place.repository / "reef-trixie.sources").read_text()
    return AptClient(place.folder / name, text, place.keyring)


def test_rotation_with_an_overlap(place: Publisher) -> None:
    project = place.project()
    apt.change(project, {"trixie": [read_deb(place.deb())], "bookworm": []})
    first = client(place, "first")
    first.update()
    (old_keyring,) = keyrings(place)
    old = place.key.fingerprint
    apt.rotate_keys(project)
    new = signing_key(Settings(), place.log)
    assert new.older == (old,)
    for suite in ("trixie", "bookworm"):
        assert set(verify(place.repository, suite).fingerprints) == {old, new.fingerprint}
        assert len(keyrings(place, suite)) == 2
    assert keyrings(place)[-1] > old_keyring
    assert f"Signed-By: {new.fingerprint},{old}" in (place.repository / "dists/trixie/Release").read_text()
    # A board of before still updates, and gets the new keyring by apt; one that is new does so too.
    first.update()
    newcomer = client(place, "newcomer")
    newcomer.update()
    assert newcomer.download(KEYRING_PACKAGE) == first.download(KEYRING_PACKAGE)
    with pytest.raises(PublishError, match="an older key is still signing"):
        apt.rotate_keys(project)
    with pytest.raises(InputError, match="is not an older key"):
        apt.retire_key(project, new.fingerprint)
    # Retired: who took the new keyring goes on, who did not is locked out.
    apt.retire_key(project, old)
    assert verify(place.repository, "bookworm").fingerprints == (new.fingerprint,)
    newcomer.update()
    assert UNKNOWN_KEY in first.update(check=False)
    assert [one.role for one in rotation.list_keys(Settings())] == ["not used", "signs"]


def test_both_signatures_count(place: Publisher) -> None:
    """A broken second signature is no second signature."""
    apt.change(place.project(), {"trixie": []})
    apt.rotate_keys(place.project())
    for name in ("InRelease", "Release.gpg"):
        text = (place.repository / "dists/trixie" / name).read_text()
        assert text.count("BEGIN PGP SIGNATURE") == 1
        text = text[text.index("-----BEGIN PGP SIGNATURE") :]
        packets = subprocess.run(["gpg", "--list-packets"], input=text, capture_output=True, text=True, check=False)
        assert packets.stdout.count(":signature packet:") == 2, packets.stderr
    path = place.repository / "dists/trixie/Release.gpg"
    lines = path.read_text().splitlines()
    lines[-4] = lines[-4][::-1]
    path.unlink()
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(PublishError, match="wrong"):
        verify(place.repository, "trixie")


def test_extension_reaches_boards_with_the_keyring(place: Publisher) -> None:
    project = place.project()
    apt.change(project, {"trixie": []})
    before = (place.repository / KEYRING).read_bytes()
    publications = apt.extend_keys(project, 2000)
    assert (place.repository / KEYRING).read_bytes() != before
    assert len(keyrings(place)) == 2
    expires = publications[0].key_expires
    assert expires is not None
    assert round((expires - place.key.created) / 86400) == 2000
    assert not any(one.changed for one in apt.change(project, {"trixie": []}))
    assert len(keyrings(place)) == 2


def test_expired_and_lost_older_keys_stop_nothing(place: Publisher, home: Path) -> None:
    fingerprint = place.key.fingerprint
    gone = make_key(home, "--faked-system-time", "20200101T000000", expire="30d")
    settings = Settings(signing=Signing(key=fingerprint, previous=[gone, "A" * 40]))
    assert signing_key(settings, place.log).older == ()
    with pytest.raises(PublishError, match=r"reef\.yml names"):
        rotation.rotate(settings, place.log)
    with pytest.raises(PublishError, match=r"reef\.yml names"):
        rotation.retire(settings, gone)


def test_named_keys_overlap_too(place: Publisher, home: Path) -> None:
    settings = Settings(signing=Signing(key=make_key(home), previous=[place.key.fingerprint]))
    assert signing_key(settings, place.log).fingerprints == (settings.signing.key, place.key.fingerprint)


def test_no_key_yet(home: Path, log: Log) -> None:
    for verb in (lambda: rotation.extend(Settings(), 100), lambda: rotation.rotate(Settings(), log)):
        with pytest.raises(PublishError, match="no signing key exists yet"):
            verb()


def test_every_suite_follows_another_key(place: Publisher, home: Path) -> None:
    """Also suites that a publication does not name: their signatures and the keyring at the root belong together."""
    apt.change(place.project(), {"trixie": [], "bookworm": []})
    fingerprint = make_key(home)
    place.settings = Settings(signing=Signing(key=fingerprint))
    apt.change(place.project(), {"trixie": []})
    assert verify(place.repository, "bookworm").fingerprints == (fingerprint,)
    assert len(keyrings(place, "bookworm")) == 2


def test_suites_of_one_release_share_a_keyring_package(place: Publisher) -> None:
    """Its ``.sources`` names the release's suite, whatever the CPUs and sources of the others are."""
    place.settings = Settings(repository=RepositorySettings(url=URL))
    debs = {
        "trixie": [read_deb(place.deb())],
        "trixie-testing": [read_deb(place.deb("reef-hf", "1", "riscv64")), read_dsc(place.source()).dsc],
    }
    apt.change(place.project(), debs)
    apt.extend_keys(place.project(), 2000)
    digests = {deb.sha256 for suite in debs for deb in published(place.repository, suite)
               if deb.package == "reef-archive-keyring"}  # fmt: skip
    assert len(digests) == 2
    newest = sorted(place.repository.glob("pool/main/r/reef-archive-keyring/*.deb"))[-1]
    text = next(content or b"" for entry, content in members(newest) if entry.name.endswith(".sources")).decode()
    assert "Architectures-Remove: amd64 armel armhf i386 mips mips64el mipsel ppc64el riscv64 s390x\n" in text
    assert "Types: deb\n" in text


def test_keyring_package(place: Publisher, tmp_path: Path) -> None:
    settings = Settings(repository=RepositorySettings(url=URL, label="Lab"), maintainer="Lab <lab@example.org>")
    paths = []
    for name in ("one", "two"):
        path = keyring_package.keyring_deb(
            settings, place.key, SUITES["trixie"], (), (), date=DATE, folder=tmp_path / name
        )
        assert path
        paths.append(path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    deb = read_deb(paths[0])
    assert (deb.package, deb.version, deb.architecture) == (KEYRING_PACKAGE, "20250615.150640~deb13", "all")
    files = {str(entry.name): (entry, content) for entry, content in members(paths[0])}
    assert files["./usr/share/keyrings/reef-archive-keyring.gpg"][1] == place.key.public
    sources = (files["./etc/apt/sources.list.d/lab-trixie.sources"][1] or b"").decode()
    assert f"URIs: {URL}\nSuites: trixie\n" in sources
    changelog = gzip.decompress(files["./usr/share/doc/reef-archive-keyring/changelog.gz"][1] or b"")
    assert changelog.startswith(b"reef-archive-keyring (20250615.150640~deb13)")
    facts = {(e.uid, e.gid, e.mode & 0o7777, e.mtime <= DATE) for e, content in files.values() if content is not None}
    assert facts == {(0, 0, 0o644, True)}
    conffiles = subprocess.run(
        ["dpkg-deb", "-I", str(paths[0]), "conffiles"], check=True, capture_output=True, text=True
    )
    assert conffiles.stdout == "/etc/apt/sources.list.d/lab-trixie.sources\n"
    parsed = subprocess.run(
        ["dpkg-parsechangelog", "-l-", "-S", "Version"],
        input=changelog.decode(), check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert parsed.stdout.strip() == deb.version


def test_keyring_package_without_a_url_names_no_place(place: Publisher, tmp_path: Path) -> None:
    path = keyring_package.keyring_deb(
        Settings(), place.key, SUITES["trixie"], (), (), date=DATE, folder=tmp_path / "x"
    )
    assert path
    assert not any(".sources" in entry.name for entry, _ in members(path))


def test_keyring_installs_and_upgrades(place: Publisher) -> None:
    """dpkg itself unpacks both versions into a folder, over the .sources file that the README had a board fetch."""
    place.settings = Settings(repository=RepositorySettings(url=URL))
    apt.change(place.project(), {"trixie": []})
    apt.rotate_keys(place.project())
    root = place.folder / "root"
    (root / "var/lib/dpkg/updates").mkdir(parents=True)
    (root / "var/lib/dpkg/info").mkdir()
    (root / "var/lib/dpkg/status").touch()
    (root / "etc/apt/sources.list.d").mkdir(parents=True)
    fetched = (place.repository / "reef-trixie.sources").read_bytes()
    (root / "etc/apt/sources.list.d/reef-trixie.sources").write_bytes(fetched)
    for path in sorted(place.repository.glob(f"pool/**/{KEYRING_PACKAGE}_*.deb")):
        done = subprocess.run(
            ["dpkg", f"--root={root}", "--force-script-chrootless", "--force-not-root", "--install", str(path)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    assert (root / "usr/share/keyrings" / KEYRING).read_bytes() == (place.repository / KEYRING).read_bytes()
    assert (root / "etc/apt/sources.list.d/reef-trixie.sources").read_bytes() == fetched
    assert not list(root.rglob("*.dpkg-*"))


def test_a_killed_rotation_is_finished_by_the_next_publication(place: Publisher) -> None:
    apt.change(place.project(), {"trixie": []})
    before = tree_of(place.repository)
    rotation.rotate(Settings(), place.log)  # killed here: the key is there, nothing is published
    assert tree_of(place.repository) == before
    apt.change(place.project(), {"trixie": []})
    assert len(verify(place.repository, "trixie").fingerprints) == 2
