"""Indices beyond Packages' text, in every compression and in pieces; apt, apt-ftparchive and dpkg-deb judge."""

import gzip
import hashlib
import io
import lzma
import random
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard

from builders.apt.indices import kinds
from builders.apt.indices.chunks import Chunking, cut
from builders.apt.indices.compression import FORMS, UNPACK
from builders.apt.indices.entry import parse_translation
from builders.apt.indices.kinds import stanzas
from builders.apt.indices.release import Digest, Release
from builders.apt.packages import file_list
from builders.apt.packages.ar_reader import BadArchive, Member
from builders.apt.repository.layout import RepositoryLayout
from builders.apt.repository.publication import read_release
from builders.apt.state.chunk_cache import ChunkCache
from builders.apt.upload import upload
from builders.errors import PublishError
from builders.model.deb_file import read_deb
from builders.model.settings import Folder, RepositorySettings, Settings
from tests.support.hanging import ended_if_hung
from tests.support.repository import DATE, AptClient, Publisher, control_in, files_in, make_deb
from tests.unit.apt.test_ar_reader import tar
from tests.unit.apt.test_indices import data_deb

MAIN = "dists/trixie/main"


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut at every other name, so that a handful of packages makes several pieces."""
    monkeypatch.setattr(kinds, "PACKAGES_PER_CHUNK", 2)
    monkeypatch.setattr(kinds, "PATHS_PER_CHUNK", 2)


def client(publisher: Publisher, kind: str) -> AptClient:
    apt = AptClient(
        publisher.folder / f"client-{kind}",
        (publisher.repository / "reef-trixie.sources").read_text(),
        publisher.keyring,
    )
    with (apt.folder / "apt.conf").open("a") as conf:
        conf.write(f'Acquire::CompressionTypes::Order:: "{kind}";\nAcquire::Languages {{ "en"; }};\n')
        conf.write('Acquire::GzipIndexes "true";\n')
    return apt


@pytest.mark.parametrize("kind", ["xz", "gz", "zst"])
def test_apt_reads_every_compression_in_pieces(publisher: Publisher, small_pieces: None, kind: str) -> None:
    names = [f"reef-{letter}" for letter in "abcdefgh"]
    publisher.publish(*(publisher.deb(name) for name in names))
    apt = client(publisher, kind)
    # apt takes the plain file over file: where it is; a mirror may have left it out.
    for path in publisher.repository.rglob("*"):
        if path.is_file() and path.name in ("Packages", "Translation-en"):
            path.unlink()
    for path in [*publisher.repository.rglob("Packages.*"), *publisher.repository.rglob("Translation-en.*")]:
        if path.suffix != f".{kind}":
            path.unlink()
    apt.update()
    shown = subprocess.run(
        ["apt-cache", "show", *names], env={"APT_CONFIG": str(apt.folder / "apt.conf"), "PATH": "/usr/bin"},
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in names:
        assert f"Description-en: demo of {name}\n Long text of {name}.\n .\n Its end.\n" in shown
    assert len(list((apt.folder / "state/lists").glob("*Packages*"))) == 1


@pytest.mark.parametrize(("suffix", "judge"), [(".gz", "gzip"), (".xz", "xz")])
@pytest.mark.parametrize("count", [1, 2, 7, 300])
def test_joined_pieces_are_one_file(suffix: str, judge: str, count: int) -> None:
    chance = random.Random(count)
    chunks = [chance.randbytes(chance.randrange(3000)) + b"text\n" * chance.randrange(2000) for _ in range(count)]
    whole = b"".join(FORMS[suffix].join([FORMS[suffix].pack(chunk) for chunk in chunks]))
    assert UNPACK[suffix](whole) == b"".join(chunks)
    subprocess.run([judge, "--test"], input=whole, check=True, capture_output=True)
    assert subprocess.run([judge, "-dc"], input=whole, check=True, capture_output=True).stdout == b"".join(chunks)


def test_a_new_package_changes_one_piece(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "PACKAGES_PER_CHUNK", 4)
    publisher.settings = Settings(repository=RepositorySettings(contents=False))
    publisher.publish(*(publisher.deb(f"reef-{number:03}") for number in range(40)))
    packed: list[bytes] = []
    real = FORMS[".xz"]

    def pack(chunk: bytes) -> bytes:
        packed.append(chunk)
        return real.pack(chunk)

    monkeypatch.setitem(FORMS, ".xz", replace(real, pack=pack))
    publisher.publish(publisher.deb("reef-017x"), date=DATE + 1)
    assert len(packed) == 2, "one piece of Packages, one of Translation-en"
    assert sum(map(len, packed)) < len(publisher.index()) / 2
    publisher.verify()
    # The bytes are those of a publication that begins from nothing.
    before = (publisher.repository / MAIN / "binary-arm64/Packages.xz").read_bytes()
    chunks = cut(stanzas(publisher.index().encode()), Chunking(4, stanzas))
    chunk_cache = ChunkCache(publisher.folder / "nothing")
    assert before == b"".join(real.join([packed[".xz"] for _, packed in chunk_cache.pack([".xz"], chunks)]))


def test_descriptions_are_those_of_the_debs(publisher: Publisher) -> None:
    publisher.publish(
        publisher.deb(), publisher.deb(version="2"), publisher.deb("reef-short", fields={"Description": "x"})
    )
    text = (publisher.repository / MAIN / "i18n/Translation-en").read_text()
    assert text.count("Package: ") == 1
    digest, whole = next(iter(parse_translation(text.encode()).items()))
    assert hashlib.md5(whole + b"\n").hexdigest().encode() == digest
    assert f"Description-md5: {digest.decode()}\n" in publisher.index()
    # They survive the next publication, which knows only what is published.
    shutil.rmtree(publisher.state)
    publisher.publish(publisher.deb("reef-more"), date=DATE + 1)
    assert "Long text of reef-demo." in (publisher.repository / MAIN / "i18n/Translation-en").read_text()


def test_contents(publisher: Publisher) -> None:
    publisher.publish(
        publisher.deb(files=["usr/bin/reef tool", "etc/reef.conf"], fields={"Section": "utils"}),
        publisher.deb(version="2", files=["usr/bin/new"], fields={"Section": "utils"}),
        publisher.deb("reef-other", files=["etc/reef.conf"]),
        publisher.deb("reef-data", "1", "all", files=["usr/share/data"]),
        publisher.deb("reef-hf", "1", "armhf", files=["usr/lib/hf"]),
    )
    text = UNPACK[".gz"]((publisher.repository / MAIN / "Contents-arm64.gz").read_bytes()).decode()
    assert text.splitlines() == [
        "etc/reef.conf\tutils/reef-demo,misc/reef-other",
        "usr/bin/new\tutils/reef-demo",
        "usr/bin/reef tool\tutils/reef-demo",
        "usr/share/data\tmisc/reef-data",
        "usr/share/reef-data/content\tmisc/reef-data",
        "usr/share/reef-demo/content\tutils/reef-demo",
        "usr/share/reef-other/content\tmisc/reef-other",
    ]
    assert (
        "usr/lib/hf\tmisc/reef-hf"
        in UNPACK[".gz"]((publisher.repository / MAIN / "Contents-armhf.gz").read_bytes()).decode().splitlines()
    )
    publisher.verify()


def contents_of(publisher: Publisher) -> tuple[dict[str, Digest], bytes]:
    """Return what the Release lists, and the text of arm64's Contents."""
    release = read_release(RepositoryLayout(publisher.repository), "trixie", publisher.stamps()[-1])
    return dict(release.files), UNPACK[".gz"]((publisher.repository / MAIN / "Contents-arm64.gz").read_bytes())


def test_the_release_lists_the_uncompressed_form_of_every_index(publisher: Publisher, small_pieces: None) -> None:
    """apt fetches no other index (Debian RepositoryFormat, MD5Sum, SHA1, SHA256)."""
    publisher.publish(publisher.deb(), publisher.deb("reef-hf", "1", "armhf"), publisher.source())
    publisher.publish(publisher.deb("reef-more", files=["opt/more"]), date=DATE + 1)
    files, text = contents_of(publisher)
    assert {name.rpartition(".")[0] for name in files if name.endswith(".gz")} <= set(files)
    assert files["main/Contents-arm64"] == Digest(len(text), hashlib.sha256(text).hexdigest())
    assert b"opt/more" in text
    assert {path.name for path in publisher.repository.glob("snapshots/*/*/dists/*/*/Contents-*")} == {
        "Contents-arm64.gz", "Contents-armhf.gz"
    }  # fmt: skip
    publisher.verify()
    # The Contents of armhf did not change: they were taken over.
    assert files["main/Contents-armhf"].size > 0


def test_contents_that_were_not_listed_are_published_again(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    deb, real = publisher.deb(), Release.render
    with monkeypatch.context() as patch:
        patch.setattr(Release, "render", lambda release: real(Release(release.fields, release.present)))
        publisher.publish(deb)
    assert "main/Contents-arm64" not in contents_of(publisher)[0]
    publisher.verify()
    assert publisher.publish(deb, date=DATE + 1).changed
    files, text = contents_of(publisher)
    assert files["main/Contents-arm64"].size == len(text)
    publisher.verify()
    assert not publisher.publish(deb, date=DATE + 2).changed


def test_apt_fetches_contents(publisher: Publisher) -> None:
    """With the target of apt-file's own configuration."""
    publisher.publish(publisher.deb(files=["opt/lab/odd tool"]), publisher.deb("reef-data", "1", "all"))
    apt = client(publisher, "gz")
    with (apt.folder / "apt.conf").open("a") as conf:
        conf.write(
            'Acquire::IndexTargets::deb::Contents-deb { MetaKey "$(COMPONENT)/Contents-$(ARCHITECTURE)"; '
            'ShortDescription "Contents"; Description "Contents"; KeepCompressed "true"; };\n'
        )
    apt.update()
    (path,) = apt.run("indextargets", "--format", "$(FILENAME)", "Created-By: Contents-deb").split()
    text = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", path], check=True, capture_output=True).stdout
    assert text == contents_of(publisher)[1]


def test_contents_name_the_paths_that_apt_ftparchive_names(publisher: Publisher) -> None:
    publisher.publish(publisher.deb(files=["usr/bin/a", "b" * 90 + "/" + "c" * 120]), publisher.deb("reef-b"))
    judge = subprocess.run(
        ["apt-ftparchive", "contents", "pool"], cwd=publisher.repository, check=True, capture_output=True, text=True
    ).stdout
    theirs = [line.split() for line in judge.splitlines()]
    ours = UNPACK[".gz"]((publisher.repository / MAIN / "Contents-arm64.gz").read_bytes()).decode()
    assert [[p, n.rpartition("/")[2]] for p, n in map(str.split, ours.splitlines())] == sorted(theirs)


def test_file_lists_are_read_once(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    publisher.publish(publisher.deb(), publisher.deb(version="2"))
    read: list[Member] = []
    real = file_list.files_of

    def counted(handle: int, data: Member, *wanted: Any) -> tuple[bytes, dict[bytes, bytes]]:
        read.append(data)
        return real(handle, data, *wanted)

    for place in ("builders.apt.publish.write.files_of", "builders.apt.packages.file_list.files_of"):
        monkeypatch.setattr(place, counted)
    publisher.publish(publisher.deb("reef-more"), date=DATE + 1)
    assert len(read) == 1
    shutil.rmtree(publisher.state)
    publisher.publish(publisher.deb("reef-most"), date=DATE + 2)
    assert len(read) == 5, "without the record each is read once more"
    next(publisher.repository.glob("pool/**/*_2_arm64.deb")).unlink()
    shutil.rmtree(publisher.state)
    with pytest.raises(PublishError, match="cannot read the published"):
        publisher.publish(publisher.deb("reef-last"), date=DATE + 3)


@pytest.mark.parametrize("compression", ["xz", "gzip", "zstd", "none"])
def test_files_are_those_that_dpkg_lists(tmp_path: Path, compression: str) -> None:
    long_name = "/".join(["d" * 80] * 4)
    deb = make_deb(tmp_path, compression=compression, files=["usr/bin/a", long_name, "a b", "usr/ümlaut"])
    tarball = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(deb)], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(tarball)) as judge:
        wanted = sorted(e.name.removeprefix("./").encode() for e in judge.getmembers() if not e.isdir())
    assert files_in(deb).split(b"\n")[:-1] == wanted


@pytest.mark.parametrize(
    ("pack", "suffix"),
    [(lzma.compress, ".xz"), (gzip.compress, ".gz"), (zstandard.compress, ".zst"), (bytes, "")],
)
def test_large_files_before_others_hide_none(tmp_path: Path, pack: Callable[[bytes], bytes], suffix: str) -> None:
    """What unpacks in blocks gives nothing of one before it has the whole block."""
    words = random.Random(5).choices([b"alpha", b"beta", b"gamma", b"delta"], k=400_000)
    large = b"".join(words)
    packed = pack(tar(("./a", large), ("./b", b""), ("./c", large)))
    assert files_in(data_deb(tmp_path / "a.deb", packed, f"data.tar{suffix}")) == b"a\nb\nc\n"


def test_broken_data_never_hangs_or_surprises(tmp_path: Path) -> None:
    whole = make_deb(tmp_path, compression="none", files=["usr/bin/a", "y" * 150]).read_bytes()
    chance = random.Random(3)
    start = whole.index(b"data.tar")
    with ended_if_hung():
        for _ in range(400):
            content = bytearray(whole)
            for _ in range(chance.randrange(1, 5)):
                content[chance.randrange(start, len(content))] = chance.randrange(256)
            (tmp_path / "x.deb").write_bytes(content)
            try:
                listed = files_in(tmp_path / "x.deb")
            except BadArchive:
                continue
            assert len(listed) < len(whole)


def test_debs_with_broken_data_are_refused_at_the_door(publisher: Publisher) -> None:
    deb = publisher.deb()
    content = bytearray(deb.read_bytes())
    content[-8] ^= 0xFF
    deb.write_bytes(content)
    with pytest.raises(PublishError, match=r"invalid \.deb"):
        publisher.publish(deb)
    assert control_in(deb)


def test_validity(publisher: Publisher) -> None:
    publisher.settings = Settings(repository=RepositorySettings(valid_days=10, url="https://apt.lab/r/"))
    deb = publisher.deb()
    publisher.publish(deb)
    text = (publisher.repository / "dists/trixie/Release").read_text()
    assert "\nDate: Sun, 15 Jun 2025 15:06:40 UTC\nValid-Until: Wed, 25 Jun 2025 15:06:40 UTC\n" in text
    assert "\nSnapshots: https://apt.lab/r/snapshots/trixie/@SNAPSHOTID@/\n" in text
    assert f"\nSigned-By: {publisher.key.fingerprint}\n" in text
    assert not publisher.publish(deb, date=DATE + 4 * 86400).changed
    assert publisher.publish(deb, date=DATE + 6 * 86400).changed
    assert not publisher.publish(deb, date=DATE + 7 * 86400).changed


S3_THERE = {"name": "a", "kind": "s3", "bucket": "boards"}
FOLDER_THERE = {"name": "a", "kind": "folder", "path": "there"}


@pytest.mark.parametrize(
    ("destination", "promised"),
    [
        (FOLDER_THERE | {"url": "https://apt.lab/r"}, True),
        (FOLDER_THERE | {"url": "https://apt.lab/r", "links": False}, False),
        (S3_THERE | {"url": "https://apt.lab/r/"}, False),
        (S3_THERE | {"url": "https://s3.lab/r/"}, True),
        (S3_THERE, True),
    ],
)
def test_snapshots_are_promised_where_boards_find_them(
    publisher: Publisher, destination: dict[str, object], promised: bool
) -> None:
    """Release names snapshots below ``url`` unless the copy there is known to have none; a linked copy has them."""
    wish = {"url": "https://apt.lab/r/", "upload": [destination]}
    publisher.settings = Settings(repository=RepositorySettings.model_validate(wish))
    publisher.publish(publisher.deb())
    text = (publisher.repository / "dists/trixie/Release").read_text()
    promise = re.search(r"^Snapshots: https://apt.lab/r/(.+)$", text, re.MULTILINE)
    assert bool(promise) == promised
    (to,) = publisher.settings.repository.upload
    if promise and isinstance(to, Folder):
        to = to.model_copy(update={"url": None})  # nobody answers there
        upload(publisher.repository, to, publisher.settings, publisher.log, base=publisher.folder,
               state=publisher.state)  # fmt: skip
        snapshot = publisher.folder / "there" / promise[1].replace("@SNAPSHOTID@", publisher.stamps()[0])
        (deb,) = re.findall(r"^Filename: (.+)$", (snapshot / MAIN / "binary-arm64/Packages").read_text(), re.MULTILINE)
        assert (snapshot / "dists/trixie/InRelease").is_file()
        assert (snapshot / deb).is_file()


def test_published_bytes_have_a_record(publisher: Publisher) -> None:
    deb = publisher.deb()
    publisher.publish(deb)
    assert read_deb(next(publisher.repository.glob("pool/**/*.deb"))).sha256 == read_deb(deb).sha256
