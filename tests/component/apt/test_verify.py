"""Verification as a stranger: each thing that can be wrong is found and named."""

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from builders.apt.indices.compression import OPEN
from builders.apt.keys.signing import signing_key
from builders.apt.repository.layout import KEYRING
from builders.apt.repository.publication import digest_of
from builders.apt.state.verify_cache import VerifyCache
from builders.apt.verify.verify import verify
from builders.errors import PublishError
from builders.host.files import sha256_of
from builders.host.log import Log
from builders.model.settings import Settings
from tests.support.repository import DATE, Publisher

INDEX = "dists/trixie/main/binary-arm64"


@pytest.fixture
def sound(publisher: Publisher) -> Publisher:
    publisher.publish(publisher.deb(), publisher.deb("reef-data", "1", "all"))
    publisher.publish(publisher.deb(version="2"), date=DATE + 1)
    assert publisher.verify().debs == 3
    return publisher


def edit(path: Path, change: Callable[[bytes], bytes]) -> None:
    content = change(path.read_bytes())
    path.unlink()  # not through the hard link
    path.write_bytes(content)


def wrong(publisher: Publisher, told: str, keyring: Path | None = None) -> PublishError:
    with pytest.raises(PublishError) as caught:
        verify(publisher.repository, "trixie", keyring)
    assert told in str(caught.value)
    return caught.value


def proven(publisher: Publisher) -> None:
    """Verify with what was proven before, and keep what is proven now."""
    verify_cache = VerifyCache.recall(publisher.state)
    verify(publisher.repository, "trixie", verify_cache=verify_cache)
    verify_cache.save()


def test_deb_tampered_with(sound: Publisher) -> None:
    deb = next(sound.repository.glob("pool/**/*_2_arm64.deb"))
    edit(deb, lambda content: content[:-1] + b"?")
    assert str(deb) in wrong(sound, "the index says").what


def test_deb_missing(sound: Publisher) -> None:
    next(sound.repository.glob("pool/**/reef-data*.deb")).unlink()
    wrong(sound, "but it is missing")


@pytest.mark.parametrize("name", ["Packages", "Packages.gz", "Packages.xz"])
def test_index_changed_or_missing(sound: Publisher, name: str) -> None:
    path = sound.repository / INDEX / name
    edit(path, lambda content: content + b"\n")
    wrong(sound, "Release says")
    path.unlink()
    wrong(sound, "No such file")


def test_index_unnamed_by_release(sound: Publisher) -> None:
    (sound.repository / INDEX / "Packages.bz2").write_bytes(b"")
    wrong(sound, "Release does not name it")


def test_by_hash_missing_or_false(sound: Publisher) -> None:
    digest = digest_of((sound.repository / INDEX / "Packages.xz").read_bytes()).sha256
    twin = sound.repository / INDEX / "by-hash/SHA256" / digest
    edit(twin, lambda content: content + b"\n")
    wrong(sound, "do not match its name")
    twin.unlink()
    wrong(sound, "is missing beside it")


@pytest.mark.parametrize("name", ["Release", "InRelease", "Release.gpg"])
def test_release_changed_or_missing(sound: Publisher, name: str) -> None:
    path = sound.repository / "dists/trixie" / name
    edit(path, lambda content: content.replace(b"Label: Reef", b"Label: Leaf").replace(b"\n=", b"\n=A"))
    wrong(sound, "wrong")
    path.unlink()
    wrong(sound, name)


def test_text_outside_the_signature(sound: Publisher) -> None:
    edit(sound.repository / "dists/trixie/InRelease", lambda content: b"Label: x\n" + content)
    wrong(sound, "not a single clear-signed message")


def test_release_and_inrelease_of_two_times(sound: Publisher) -> None:
    old = sorted((sound.repository / "snapshots/trixie").iterdir())[0] / "dists/trixie"
    for name in ("Release", "Release.gpg"):
        path = sound.repository / "dists/trixie" / name
        path.unlink()
        shutil.copy(old / name, path)
    wrong(sound, "it differs from Release")


def test_another_key(sound: Publisher, home: Path, log: Log, tmp_path: Path) -> None:
    other = signing_key(Settings(), log)
    path = tmp_path / "other.gpg"
    path.write_bytes(other.public)
    wrong(sound, "wrong", path)
    sound.key = other
    assert sound.publish(date=DATE + 9).changed
    assert sound.verify().fingerprints == (other.fingerprint,)
    assert (sound.repository / KEYRING).read_bytes() == other.public


@pytest.mark.parametrize("name", ["binary-arm64/Packages.gz", "Contents-arm64.gz"])
def test_compressed_index_of_another_text(sound: Publisher, name: str) -> None:
    """A repository whose Release is in order, but whose compressed index says something else than the plain one.

    Of Contents the plain index is only listed.
    """
    folder = sound.repository / "dists/trixie"
    path, false = folder / "main" / name, gzip.compress(b"Package: evil\n")
    old, new = digest_of(path.read_bytes()), digest_of(false)
    edit(path, lambda _: false)
    (path.parent / "by-hash/SHA256" / new.sha256).write_bytes(false)
    edit(
        folder / "Release",
        lambda text: text.replace(f"{old.sha256} {old.size:16d}".encode(), f"{new.sha256} {new.size:16d}".encode()),
    )
    for signed in ("InRelease", "Release.gpg"):
        (folder / signed).unlink()
    sound.key.sign(folder / "Release", date=DATE)
    wrong(sound, "does not unpack to the plain index")


def test_a_file_where_only_a_name_is_listed(sound: Publisher) -> None:
    (sound.repository / "dists/trixie/main/Contents-arm64").write_text("opt/x\tmisc/x\n")
    wrong(sound, "Release does not name it")


def test_unknown_suite(sound: Publisher) -> None:
    with pytest.raises(PublishError, match="No such file"):
        verify(sound.repository, "bullseye")
    with pytest.raises(PublishError, match="unsafe suite"):
        verify(sound.repository, "../trixie")


def test_what_was_proven_is_not_read_again_and_what_changed_is(
    sound: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    debs = sorted(sound.repository.glob("pool/**/*.deb"))
    proven(sound)
    read: list[Path] = []
    unpacked: list[str] = []

    def hashed(path: Path) -> str:
        read.append(path)
        return sha256_of(path)

    monkeypatch.setattr("builders.apt.verify.verify.sha256_of", hashed)

    def counting(suffix: str, unpack: Callable[[Path], BinaryIO]) -> Callable[[Path], BinaryIO]:
        def counted(path: Path) -> BinaryIO:
            unpacked.append(suffix)
            return unpack(path)

        return counted

    for suffix, unpack in tuple(OPEN.items()):
        monkeypatch.setitem(OPEN, suffix, counting(suffix, unpack))
    proven(sound)
    assert not {path for path in read if path.suffix == ".deb"}
    assert unpacked == []
    verify(sound.repository, "trixie")
    assert set(unpacked) == {".gz", ".xz", ".zst"}, "without a proof everything is unpacked"
    assert {path for path in read if path.suffix == ".deb"} == set(debs), "without a proof everything is read"
    facts = debs[0].stat()
    debs[0].write_bytes(debs[0].read_bytes()[:-1] + b"?")
    os.utime(debs[0], ns=(facts.st_atime_ns, facts.st_mtime_ns))
    with pytest.raises(PublishError, match="is wrong"):
        verify(sound.repository, "trixie", verify_cache=VerifyCache.recall(sound.state))


def test_a_broken_proof_proves_nothing(sound: Publisher) -> None:
    proven(sound)
    (sound.state / "proof.sqlite").write_bytes(b"no database" * 99)
    assert VerifyCache.recall(sound.state) == VerifyCache(sound.state)
    proven(sound)
    assert VerifyCache.recall(sound.state).files
