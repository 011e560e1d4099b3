"""What apt 1.8.2, dpkg 1.19.7 and gpgv 2.2.12 of Debian 10 take of a published suite, each rule with its source.

Their programs are on no mirror. The real apt, gpg and gpgv of this machine are judges beside the rules.
"""

import lzma
import os
import re
import subprocess
import time
import zlib
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from builders.apt import api as apt
from builders.apt.indices.kinds import PACKAGES_PER_CHUNK
from builders.apt.keys.keyring_package import PACKAGE as KEYRING_PACKAGE
from builders.apt.keys.signing import signing_key
from builders.apt.repository.layout import ARMORED_KEYRING, KEYRING
from builders.checks.static.archive import check_archive
from builders.checks.static.contents import read_contents
from builders.host.log import Log
from builders.model.arch import ARM64
from builders.model.deb_file import members, read_deb
from builders.model.settings import RepositorySettings, Settings
from builders.model.target import SUITES, Target
from tests.support.repository import AptClient, Publisher

BUSTER = Target(SUITES["buster"], ARM64)
KNOWN_KEYS = {"Types", "URIs", "Suites", "Components", "Architectures-Remove", "Signed-By"}
"""Keys of a .sources file that apt 1.8.2 reads, of those that Reef needs (its sources.list(5))."""
FIRST_BYTES = {0x98, 0x99, 0xC6}
"""How a keyring begins that apt reads (is_supported_keyring in apt-key, since 1.6~alpha1; Debian bug 876508)."""
CERTIFIES, SIGNS = {"0x10", "0x11", "0x12", "0x13", "0x1f"}, {"0x00", "0x01"}
"""Signature types (RFC 4880, 5.2.1): of keys, and of documents."""
URL = "https://apt.example.org/reef"


@pytest.fixture
def published(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> Publisher:
    """A suite with two packages in different chunks of the indices, and the keyring package."""
    monkeypatch.setenv("REEF_GNUPGHOME", str(publisher.key.home))
    publisher.settings = Settings(repository=RepositorySettings(url=URL))
    names = (f"reef-demo{number}" for number in range(10_000))
    begins_a_chunk = next(name for name in names if not zlib.crc32(name.encode()) % PACKAGES_PER_CHUNK)
    apt.change(publisher.project(), {"buster": [read_deb(publisher.deb(n)) for n in ("reef-demo", begins_a_chunk)]})
    return publisher


def in_dists(publisher: Publisher, *parts: str) -> Path:
    return publisher.repository.joinpath("dists", "buster", *parts)


def packets(content: bytes, home: Path) -> str:
    """Return what gpg itself sees in OpenPGP data."""
    home.mkdir(mode=0o700, exist_ok=True)
    done = subprocess.run(
        ["gpg", "--homedir", str(home), "--batch", "--list-packets"], input=content, capture_output=True, check=True
    )
    return done.stdout.decode()


def require_old_packets(listed: str, signatures: set[str]) -> None:
    """Assert that every key and signature is one that gpgv 2.2.12 verifies.

    GnuPG 2.1.0 added Ed25519 (EdDSA, algorithm 22), 2.3.0 keys and signatures of version 5 and Ed448 (its NEWS). 2.2
    reads no version 6 (RFC 9580). A verifier refuses a critical subpacket that it does not know (RFC 4880, 5.2.3.1).
    """
    assert re.findall(r"^:(?:public key|signature) packet:", listed, re.MULTILINE)
    assert set(re.findall(r"^\tversion (\d+)", listed, re.MULTILINE)) == {"4"}
    assert set(re.findall(r"(?:packet:|version \d,) algo (\d+),", listed)) == {"22"}
    assert set(re.findall(r"digest algo (\d+)", listed)) <= {"8", "9", "10"}  # SHA-256, SHA-384, SHA-512
    assert set(re.findall(r"sigclass (0x\w+)", listed)) <= signatures
    assert "critical" not in listed
    kinds = set(re.findall(r"^:([\w ]+) packet", listed, re.MULTILINE))
    assert kinds <= {"public key", "user ID", "signature"}, kinds


def test_packages(published: Publisher) -> None:
    """The keyring package too, which has its .sources file in it."""
    paths = sorted(published.repository.glob("pool/**/*.deb"))
    assert [path.name.partition("_")[0] for path in paths][:1] == [KEYRING_PACKAGE]
    verdicts = [check_archive(read_contents(read_deb(path)), BUSTER) for path in paths]
    assert len(verdicts) == 3
    assert [verdict.detail for verdict in verdicts if not verdict.passed] == []
    assert "_all.deb" in paths[0].name
    assert "~deb10_" in paths[0].name


def test_release(published: Publisher) -> None:
    """apt 1.6~beta1 and later refuse a Date more than 10 s ahead (Acquire::Max-FutureTime); by-hash came with 1.2."""
    release = in_dists(published, "Release").read_text()
    fields = dict(line.split(": ", 1) for line in release.splitlines() if re.match(r"[A-Z][\w-]*: ", line))
    assert (fields["Suite"], fields["Codename"], fields["Acquire-By-Hash"]) == ("buster", "buster", "yes")
    assert parsedate_to_datetime(fields["Date"]).timestamp() <= time.time() + 10
    assert fields["Date"].endswith(" UTC")  # or GMT or Z: apt refuses other zones (RFC1123StrToTime in strutl.cc)
    assert fields["Signed-By"] == published.key.fingerprint  # since 1.3~exp1; fingerprints alone, separated by commas
    for line in release[release.index("\nSHA256:\n") + 9 :].splitlines():
        sha256, _, name = line.split()
        there = in_dists(published, name).parent.joinpath("by-hash", "SHA256", sha256).exists()
        assert there == (not re.fullmatch(r".*/Contents-[a-z0-9]+", name)), "uncompressed Contents are only listed"


def test_each_index_has_a_form_that_apt_prefers_and_reads(published: Publisher) -> None:
    """``apt-get indextargets`` shows the order: xz, bz2, lzma, gz, lz4, zst; Release lists what exists.

    zstd came as an experiment with 1.6~rc1. apt's xz decoder stops after a single stream (LzmaFileFdPrivate).
    """
    paths = [path for path in in_dists(published).rglob("*") if path.is_file() and "by-hash" not in path.parts]
    indices = {path.with_suffix("") if path.suffix in (".gz", ".xz", ".zst") else path for path in paths}
    indices = {path for path in indices if path.name in ("Packages", "Translation-en")}
    assert len(indices) == 2
    for index in indices:
        assert {index, index.with_suffix(".gz"), index.with_suffix(".xz")} <= set(paths)
        decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        assert decoder.decompress(index.with_suffix(".xz").read_bytes()) == index.read_bytes()
        assert decoder.eof
        assert decoder.unused_data == b""
    packed = str(in_dists(published, "main", "binary-arm64", "Packages.xz"))
    said = subprocess.run(["xz", "--list", "--robot", packed], check=True, capture_output=True, text=True).stdout
    (streams, blocks), *_ = re.findall(r"^file\t(\d+)\t(\d+)\t", said, re.MULTILINE)
    assert (streams, int(blocks) > 1) == ("1", True), "a stream of several chunks, as large indices are"


def test_signatures(published: Publisher, tmp_path: Path) -> None:
    require_old_packets(packets(in_dists(published, "Release.gpg").read_bytes(), tmp_path / "gpg"), SIGNS)
    inrelease = in_dists(published, "InRelease").read_bytes()
    assert inrelease.startswith(b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nOrigin: ")
    signature = inrelease[inrelease.index(b"-----BEGIN PGP SIGNATURE-----") :]
    require_old_packets(packets(signature, tmp_path / "gpg"), SIGNS)
    # apt 1.8.0~rc1 fails on lines after the signature, and before the message.
    assert inrelease.endswith(b"-----END PGP SIGNATURE-----\n")
    words = ["--homedir", str(tmp_path), "--keyring", str(published.keyring), str(in_dists(published, "InRelease"))]
    subprocess.run(["gpgv", *words], check=True, capture_output=True)


def test_keyrings(published: Publisher, tmp_path: Path) -> None:
    """Binary as .gpg and armored as .asc, as the names say: apt 1.4~beta1 and later judge by them."""
    binary = published.keyring.read_bytes()
    assert binary[0] in FIRST_BYTES
    require_old_packets(packets(binary, tmp_path / "gpg"), CERTIFIES)
    armored = (published.repository / ARMORED_KEYRING).read_bytes()
    assert armored.startswith(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n")
    require_old_packets(packets(armored, tmp_path / "gpg"), CERTIFIES)


def test_keyrings_of_two_keys(home: Path, log: Log, publisher: Publisher, tmp_path: Path) -> None:
    first = signing_key(Settings(), log)
    publisher.key = first
    apt.change(publisher.project(), {"buster": []})
    apt.rotate_keys(publisher.project())
    listed = packets(publisher.keyring.read_bytes(), tmp_path / "gpg")
    require_old_packets(listed, CERTIFIES)
    assert listed.count(":public key packet:") == 2
    require_old_packets(packets(in_dists(publisher, "Release.gpg").read_bytes(), tmp_path / "gpg"), SIGNS)


def require_old_source(text: str) -> None:
    """Assert that apt 1.8.2 reads a .sources file: deb822 since 1.1~exp9, comments in it since 1.2~exp1.

    A key inside the file came with 2.3.10, several keyrings with 1.8.0~alpha1.
    """
    lines = text.splitlines()
    fields = dict(line.split(": ", 1) for line in lines if not line.startswith("#"))
    assert set(fields) == KNOWN_KEYS
    assert "" not in lines
    assert fields["Signed-By"] == f"/usr/share/keyrings/{KEYRING}"
    assert (fields["Types"], fields["URIs"], fields["Suites"]) == ("deb", URL, "buster")


def test_sources(published: Publisher) -> None:
    require_old_source((published.repository / "reef-buster.sources").read_text())
    (deb,) = published.repository.glob(f"pool/**/{KEYRING_PACKAGE}_*.deb")
    inside = {os.path.basename(entry.name): content for entry, content in members(deb) if content}
    require_old_source(inside["reef-buster.sources"].decode())
    assert inside[KEYRING] == published.keyring.read_bytes()
    page = (published.repository / "index.html").read_text()
    assert "reef-buster.sources" in page
    assert "Suites: buster\nComponents: main\nArchitectures-Remove: " in page
    assert f"\nSigned-By: /usr/share/keyrings/{KEYRING}" in page


def test_the_apt_of_this_machine_reads_it(published: Publisher, tmp_path: Path) -> None:
    sources = (published.repository / "reef-buster.sources").read_text()
    client = AptClient(tmp_path / "client", sources.replace(URL, published.repository.as_uri()), published.keyring)
    client.update()
    assert len(client.download("reef-demo")) == 64
