"""Caches as one file: what goes in comes out, nothing that is there is lost, and nothing foreign gets in."""

import hashlib
import io
import os
import random
import tarfile
from pathlib import Path

import pytest
import zstandard

from builders.engines import EngineName
from builders.engines.chroot.engine import ChrootEngine
from builders.errors import InputError
from builders.host.log import Log
from builders.host.workspace import Workspace
from builders.maintenance import cache_archive, engine_caches
from builders.model.arch import AMD64, ARM64
from builders.model.jobs import BuildJob, Input, JobResult, Root
from builders.model.settings import Settings
from builders.pipeline.project import Project

QUIET = Log(quiet=True)
COMMIT = "a" * 40
SOURCE = b"the source"
DIGEST = hashlib.sha256(SOURCE).hexdigest()
CARRIED = {
    f"sources/sha256/{DIGEST}": SOURCE,
    f"sources/sha256/{DIGEST}.url": b"https://example.org/x",
    f"sources/git/{COMMIT}.git/objects/pack/p.pack": b"pack",
    f"sources/git/{COMMIT}.git/refs/heads/reef": COMMIT.encode(),
    "mounts/ccache/a/b/cdefR": b"result",
    "mounts/ccache/a/stats": b"7\n",
    "mounts/bazel-disk/cas/12/1234": b"blob",
}
LEFT = ("mounts/apt/gcc.deb", "mounts/ccache/tmp/x", f"sources/sha256/{DIGEST}.part", "mounts/ccache/lock/auto.lock",
        "roots/trixie/rootfs/etc/passwd", f"sources/git/{COMMIT}.git/config",
        f"sources/git/{COMMIT}.git/hooks/post-checkout")  # fmt: skip
MADE = {f"sources/git/{COMMIT}.git/config": cache_archive.CONFIG.encode()}


def fill(folder: Path, files: dict[str, bytes]) -> Workspace:
    for name, content in files.items():
        path = folder / "cache" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return Workspace(folder)


def content(space: Workspace) -> dict[str, bytes]:
    top = space.path / "cache"
    return {str(p.relative_to(top)): p.read_bytes() for p in sorted(top.rglob("*")) if p.is_file()}


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    space = fill(tmp_path / "one", CARRIED | dict.fromkeys(LEFT, b"left"))
    os.utime(space.cache.mounts / "ccache/a/b/cdefR", (1_000_000_000, 1_000_000_000))
    path = tmp_path / "caches.tar.zst"
    assert cache_archive.export_caches(space, path, QUIET) == (len(CARRIED), path.stat().st_size)
    return path


def test_what_is_useful_is_carried_and_the_rest_is_left(packed: Path, tmp_path: Path) -> None:
    other = Workspace(tmp_path / "two")
    done = cache_archive.import_caches(other, packed, QUIET)
    assert content(other) == CARRIED | MADE
    assert (done.files, done.size, done.known) == (len(CARRIED), sum(map(len, CARRIED.values())), 0)
    assert (other.cache.mounts / "ccache/a/b/cdefR").stat().st_mtime == 1_000_000_000
    assert list(other.cache.scratch.iterdir()) == []
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_an_import_adds_and_never_overwrites(packed: Path, tmp_path: Path) -> None:
    mine = {"mounts/ccache/a/stats": b"9\n", f"sources/git/{COMMIT}.git/HEAD": b"mine", "mounts/ccache/z/ownR": b"own"}
    other = fill(tmp_path / "two", mine)
    done = cache_archive.import_caches(other, packed, QUIET)
    expected = CARRIED | mine
    del (
        expected[f"sources/git/{COMMIT}.git/objects/pack/p.pack"],
        expected[f"sources/git/{COMMIT}.git/refs/heads/reef"],
    )  # a clone is whole or not there
    assert content(other) == expected
    assert (done.files, done.known) == (4, 3)


def test_the_table_shows_what_goes_into_the_file(tmp_path: Path) -> None:
    space = fill(tmp_path, CARRIED | dict.fromkeys(LEFT, b"left"))
    found = {one.name: (one.files, one.size, one.carried) for one in cache_archive.usage(space)}
    assert found == {
        "sources": (4, 75, True), "apt": (1, 4, False), "ccache": (2, 8, True), "bazel-disk": (1, 4, True),
    }  # fmt: skip


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_a_cut_file_is_refused_and_changes_nothing(tmp_path: Path, share: float) -> None:
    noise = {f"mounts/ccache/{n:x}/{n}R": random.Random(n).randbytes(50_000) for n in range(20)}
    path = tmp_path / "caches.tar.zst"
    cache_archive.export_caches(fill(tmp_path / "one", noise), path, QUIET)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    refused(path, tmp_path)


def test_a_flipped_bit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "caches.tar.zst"
    noise = {"mounts/ccache/n/R": random.Random(1).randbytes(50_000)}  # stored as it is: only the checksum can tell
    cache_archive.export_caches(fill(tmp_path / "one", noise), path, QUIET)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    refused(path, tmp_path)


def refused(
    path: Path, tmp_path: Path, message: str = "damaged|truncated|not an export of caches|another version"
) -> None:
    other = fill(tmp_path / "refusing", {"mounts/ccache/a/mineR": b"mine"})
    with pytest.raises(InputError, match=message) as caught:
        cache_archive.import_caches(other, path, QUIET)
    assert caught.value.fix
    assert content(other) == {"mounts/ccache/a/mineR": b"mine"}
    assert list(other.cache.scratch.iterdir()) == []


def member(name: str, text: bytes = b"evil", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(text)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, text


END = member(cache_archive.END, b'{"format": 2, "files": 1, "bytes": 4, "sha256": "0"}')


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([member("mounts/ccache/../../../../escaped"), END], "not an export of caches"),
        ([member("/etc/escaped"), END], "not an export of caches"),
        ([member("roots/trixie/rootfs/bin/sh"), END], "not an export of caches"),
        ([member("mounts/apt/evil.deb"), END], "not an export of caches"),
        ([member("mounts/ccache/link", b"", type=tarfile.SYMTYPE, linkname="/etc"), END], "not an export of caches"),
        ([member("mounts/ccache/null", b"", type=tarfile.CHRTYPE), END], "not an export of caches"),
        ([member("mounts/ccache/a"), member("mounts/ccache/a/b"), END], "damaged, or not an export"),
        ([member("mounts/ccache/a"), member("mounts/ccache/a"), END], "damaged, or not an export"),
        ([member(f"sources/sha256/{DIGEST}"), END], "damaged"),
        ([member("mounts/ccache/a"), member("mounts/ccache/b"), END], "damaged"),
        (
            [member("mounts/ccache/a"), member(cache_archive.END, b'{"format": 1, "files": 1, "bytes": 4}')],
            "another version",
        ),
        ([member("mounts/ccache/a")], "is truncated"),
        ([member("mounts/ccache/a"), END], "damaged"),
        ([member("mounts/ccache/a"), END, member("mounts/ccache/b")], "not an export of caches"),
        *(
            ([member(f"sources/git/{COMMIT}.git/{name}"), END], "not an export of caches")
            for name in (
                "config",
                "hooks/post-checkout",
                "objects/info/alternates",
                "objects/pack/pack-1.promisor",
                "info/attributes",
                "config.worktree",
                "commondir",
                "objects/info/http-alternates",
            )
        ),
    ],
)
def test_a_foreign_file_is_refused(tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]], message: str) -> None:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for info, text in members:
            tar.addfile(info, io.BytesIO(text))
    path = tmp_path / "foreign.tar.zst"
    path.write_bytes(zstandard.compress(plain.getvalue()))
    refused(path, tmp_path, message)
    assert not (tmp_path / "escaped").exists()


def test_what_is_no_archive_at_all_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(b"\xff\xd8\xff" * 100)
    refused(path, tmp_path)
    path.unlink()
    refused(path, tmp_path, "no such file")


def test_a_failed_export_leaves_the_older_file(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = packed.read_bytes()
    monkeypatch.setattr(tarfile.TarFile, "addfile", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cache_archive.export_caches(Workspace(tmp_path / "one"), packed, QUIET)
    assert packed.read_bytes() == before


@pytest.mark.parametrize("lost", [1, 4, 40])
def test_a_file_that_lacks_its_last_bytes_is_refused(packed: Path, tmp_path: Path, lost: int) -> None:
    packed.write_bytes(packed.read_bytes()[:-lost])
    refused(packed, tmp_path)


def test_a_wrong_checksum_is_refused(packed: Path, tmp_path: Path) -> None:
    data = bytearray(packed.read_bytes())
    data[-1] ^= 1
    packed.write_bytes(data)
    refused(packed, tmp_path)


def test_a_place_that_is_none_and_empty_caches_are_reported(packed: Path, tmp_path: Path) -> None:
    space = Workspace(tmp_path / "one")
    with pytest.raises(InputError, match="no such folder"):
        cache_archive.export_caches(space, tmp_path / "none/caches", QUIET)
    with pytest.raises(InputError, match="is a folder"):
        cache_archive.export_caches(space, tmp_path, QUIET)
    with pytest.raises(InputError, match="nothing to export"):
        cache_archive.export_caches(Workspace(tmp_path / "empty"), tmp_path / "file", QUIET)
    with pytest.raises(InputError, match="not a file: /"):
        cache_archive.import_caches(space, Path("/"), QUIET)
    assert not (tmp_path / "none").exists()
    assert not (tmp_path / "file").exists()


def test_what_an_engine_keeps_goes_into_the_file_and_comes_out_of_it(tmp_path: Path) -> None:
    space = fill(tmp_path / "one", {"mounts/ccache/a/bothR": b"same", "mounts/ccache/a/stats": b"mine"})
    path = tmp_path / "caches.tar.zst"

    def take(folder: Path) -> list[Path]:
        for name, text in (("a/bothR", b"same"), ("a/stats", b"theirs"), ("b/innerR", b"new"), ("tmp/x", b"left")):
            (folder / "node/ccache" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "node/ccache" / name).write_bytes(text)
        return [folder / "node"]

    assert cache_archive.export_caches(space, path, QUIET, take)[0] == 3
    given: dict[str, bytes] = {}

    def give(mounts: Path) -> None:
        given.update({str(p.relative_to(mounts)): p.read_bytes() for p in mounts.rglob("*") if p.is_file()})

    other = Workspace(tmp_path / "two")
    cache_archive.import_caches(other, path, QUIET, give)
    assert given == {"ccache/a/bothR": b"same", "ccache/a/stats": b"mine", "ccache/b/innerR": b"new"}
    assert content(other) == {f"mounts/{name}": text for name, text in given.items()}
    # What an engine keeps is worth a file of its own, and without a sound file it is given nothing.
    assert cache_archive.export_caches(Workspace(tmp_path / "three"), path, QUIET, take)[0] == 3
    given.clear()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError):
        cache_archive.import_caches(other, path, QUIET, give)
    assert given == {}


@pytest.mark.parametrize(
    ("targets", "suite"),
    [
        (["bookworm/arm64", "trixie/armhf"], "bookworm"),
        (["buster/arm64", "bookworm/armhf"], "bookworm"),
        (["buster/arm64", "buster/armhf"], "trixie"),
    ],
)
def test_each_node_that_builds_is_asked_for_its_caches(tmp_path: Path, targets: list[str], suite: str) -> None:
    arm = {"name": "arm", "endpoint": "ssh://me@arm", "architectures": ["arm64"]}
    settings = Settings.model_validate({"buildx": {"nodes": [arm]}, "targets": targets})
    project = Project(tmp_path, settings, Workspace(tmp_path), AMD64, QUIET, {})
    asked: list[BuildJob] = []

    class Recording(ChrootEngine):
        name: EngineName = "buildx"

        def check(self, root: Root) -> None:
            pass

        def run(self, job: BuildJob, output: Path, log: Log) -> JobResult:  # noqa: ARG002 - it runs nothing
            asked.append(job)
            return JobResult(job.name, output, ())

    engine = Recording(project)
    assert engine_caches.take(project, engine, tmp_path / "t") == [tmp_path / "t/arm64", tmp_path / "t/amd64"]
    assert [job.root for job in asked] == [Root(suite, cpu, cpu, ()) for cpu in (ARM64, AMD64)]
    asked.clear()
    engine_caches.give(project, engine, tmp_path / "g", tmp_path / "mounts")
    assert [job.inputs for job in asked] == [(Input(tmp_path / "mounts", engine_caches.GIVEN),)] * 2
    assert {cache.name for cache in asked[0].caches} == {"ccache", "bazel-downloads", "bazel-actions"}
    assert all(cache.destination == f"/cache/{cache.name}" for cache in asked[0].caches)  # as the scripts say
