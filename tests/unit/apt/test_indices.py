"""Indices beyond Packages' text, in every compression and in pieces; apt, apt-ftparchive and dpkg-deb judge."""

import hashlib
import lzma
import zlib
from functools import partial
from pathlib import Path

import pytest

from builders.apt.indices.chunks import Chunk
from builders.apt.indices.compression import FORMS
from builders.apt.packages import file_list
from builders.apt.packages.ar_reader import BadArchive
from builders.apt.publish.suite import architectures_of
from builders.apt.state.chunk_cache import ChunkCache
from builders.model.settings import Settings
from tests.support.repository import files_in

from .test_ar_reader import ar, tar


def test_joined_xz_is_a_single_stream() -> None:
    """apt's own unpacker stops at the end of the first stream."""
    whole = b"".join(FORMS[".xz"].join([FORMS[".xz"].pack(chunk) for chunk in (b"one\n", b"", b"two\n" * 999)]))
    engine = lzma.LZMADecompressor(lzma.FORMAT_XZ)
    assert engine.decompress(whole) == b"one\n" + b"two\n" * 999
    assert (engine.eof, engine.unused_data) == (True, b"")


def pieces_of(*texts: bytes) -> list[Chunk]:
    return [Chunk(b"", len(text), hashlib.sha256(text).hexdigest(), partial(bytes, text)) for text in texts]


def test_packer_forgets_and_mends(tmp_path: Path) -> None:
    wanted = pieces_of(b"a", b"b")
    chunk_cache = ChunkCache(tmp_path)
    first = list(chunk_cache.pack([".gz"], wanted))
    chunk_cache.save()
    assert list(ChunkCache(tmp_path).pack([".gz"], wanted)) == first
    for number in range(8):
        later = ChunkCache(tmp_path)
        list(later.pack([".gz"], pieces_of(str(number).encode())))
        later.save()
    assert ChunkCache(tmp_path).stored(".gz", [wanted[0].sha256]) == {}
    (tmp_path / "packed.sqlite").write_bytes(b"no database" * 99)
    again = ChunkCache(tmp_path)
    assert list(again.pack([".gz"], wanted)) == first
    again.save()
    assert ChunkCache(tmp_path).stored(".gz", [wanted[0].sha256]) == {wanted[0].sha256: first[0][1][".gz"]}


def data_deb(path: Path, data: bytes, name: str = "data.tar") -> Path:
    path.write_bytes(ar(("debian-binary", b"2.0\n"), ("control.tar", tar()), (name, data)))
    return path


@pytest.mark.parametrize(
    ("data", "name", "told"),
    [
        (lzma.compress(bytes(10240))[:-20], "data.tar.xz", "truncated"),
        (b"junk" * 99, "data.tar.xz", "does not unpack"),
        (zlib.compress(bytes(99)), "data.tar.gz", "does not unpack"),
        (b"junk" * 99, "data.tar.zst", "does not unpack"),
        (b"junk" * 300, "data.tar", "broken header"),
        (b"junk", "data.tar.rar", "unknown compression"),
        (tar(("./a", b"1" * 2000))[:1300], "data.tar", "truncated"),
    ],
)
def test_broken_data_archives(tmp_path: Path, data: bytes, name: str, told: str) -> None:
    with pytest.raises(BadArchive, match=told):
        files_in(data_deb(tmp_path / "a.deb", data, name))


def test_data_bombs_stop_at_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_list, "MOST_DATA", 1 << 20)
    bomb = data_deb(tmp_path / "a.deb", lzma.compress(tar(("./zeros", bytes(9 << 20)))), "data.tar.xz")
    with pytest.raises(BadArchive, match="unpacks to more than"):
        files_in(bomb)
    monkeypatch.setattr(file_list, "MOST_ENTRIES", 10)
    with pytest.raises(BadArchive, match="entries"):
        files_in(data_deb(tmp_path / "b.deb", tar(*((f"./{n}", b"") for n in range(11)))))
    monkeypatch.setattr(file_list, "MOST_NAME", 100)
    with pytest.raises(BadArchive, match="a name of"):
        files_in(data_deb(tmp_path / "c.deb", tar(("./" + "x" * 300, b""))))


@pytest.mark.parametrize(
    ("suite", "arriving", "expected"),
    [
        ("trixie", ["all"], ("amd64", "armhf")),
        ("trixie-testing", ["all"], ("amd64", "armhf")),
        ("trixie", ["all", "arm64"], ("amd64", "arm64", "armhf")),
        ("bookworm", ["all"], ("amd64", "arm64", "armhf")),
    ],
)
def test_packages_for_all_cpus_are_in_the_indices_of_the_targets(
    suite: str, arriving: list[str], expected: tuple[str, ...]
) -> None:
    """Boards ask for the index of their own CPU; without it apt finds no package at all."""
    settings = Settings(targets=["trixie/armhf", "trixie/amd64"])
    assert architectures_of(settings, suite, None, arriving) == expected
