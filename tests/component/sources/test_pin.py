"""Pins of sources that have none yet, with real git and files of this machine."""

import hashlib
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest
import zstandard

from builders.errors import SourceError
from builders.host.log import Log
from builders.pipeline.project import Project
from builders.sources import file_cache, pin
from builders.sources.context import FetchContext
from tests.support.sources import pack_tar, pack_zip


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "reef.yml").write_text("maintainer: Reef <reef@example.org>\n")
    return Project.open(folder, Log(quiet=True), without_recipes=True)


class Repository:
    """A git repository with commits by their names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"file://{folder}"
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch", "main")

    def git(self, *words: str) -> str:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "tag.gpgSign=false"]
        argv = ["git", "-C", str(self.folder), *identity, *words]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, *tag: str) -> str:
        self.git("commit", "--quiet", "--allow-empty", "--message", "change")
        if tag:
            self.git("tag", *tag)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def test_the_newest_release_is_taken_unless_a_name_is_given(repository: Repository, project: Project) -> None:
    nine = repository.commit("v1.9")
    ten = repository.commit("--annotate", "--message", "release", "v1.10")
    candidate = repository.commit("v2.0-rc1")
    head = repository.commit()
    assert pin.pin_commit(repository.url, "", project) == pin.PinnedCommit(ten, "v1.10", "1.10")
    assert pin.pin_commit(repository.url, "v1.9", project) == pin.PinnedCommit(nine, "v1.9", "1.9")
    assert pin.pin_commit(repository.url, "v2.0-rc1", project) == pin.PinnedCommit(candidate, "v2.0-rc1")
    assert pin.pin_commit(repository.url, "main", project) == pin.PinnedCommit(head, "main")
    assert pin.pin_commit(repository.url, nine, project).commit == nine
    with pytest.raises(SourceError, match=r"has no tag or branch 'v1\.11'") as caught:
        pin.pin_commit(repository.url, "v1.11", project)
    assert caught.value.detail == "did you mean 'v1.10'?"


def test_without_a_release_the_newest_commit_is_taken(repository: Repository, project: Project) -> None:
    with pytest.raises(SourceError, match="is empty"):
        pin.pin_commit(repository.url, "", project)
    head = repository.commit("nightly")
    assert pin.pin_commit(repository.url, "", project) == pin.PinnedCommit(head, "HEAD")


def test_a_repository_that_is_not_there_is_reported(project: Project, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot list file:///"):
        pin.pin_commit(f"file://{tmp_path}/nothing", "", project)


def packed(path: Path, *names: str) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 1
            tar.addfile(member, BytesIO(b"x"))
    return path


@pytest.mark.parametrize(
    ("names", "alone"),
    [(["a-1/x", "a-1/y/z"], True), (["./a-1/x"], True), (["a-1/x", "b"], False), (["x", "y"], False), (["x"], False)],
)
def test_a_file_is_pinned_and_cached(project: Project, tmp_path: Path, names: list[str], *, alone: bool) -> None:
    path = packed(tmp_path / "a 1.tar.gz", *names)
    sha256 = pin.pin_url(str(path), project)
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert file_cache.cached(FetchContext.of(project, offline=True), sha256) is not None
    assert pin.has_one_folder(sha256, project) is alone
    assert pin.pin_url(path.as_uri(), project) == sha256  # again, from the cache's point of view


def test_the_folder_of_every_kind_of_archive_is_found(project: Project, tmp_path: Path) -> None:
    """Python 3.11 itself reads no zstd, and takes a tar that ends in a zip for a zip."""
    flat, inner = {"x": b"1", "y": b"2"}, pack_zip({"x": b"1", "y": b"2"})
    made = {
        "flat.tar.zst": (zstandard.compress(pack_tar(flat, "w")), False),
        "deep.tar.zst": (zstandard.compress(pack_tar({"a/x": b"1"}, "w")), True),
        "flat.zip": (inner, False),
        "deep.zip": (pack_zip({"a/x": b"1"}), True),
        "with-zip.tar": (pack_tar({"a/x": b"1", "a/z.zip": inner}, "w"), True),
        "no-archive": (b"text", True),
    }
    for name, (data, alone) in made.items():
        (tmp_path / name).write_bytes(data)
        assert pin.has_one_folder(pin.pin_url(f"{tmp_path}/{name}", project), project) is alone, name


def test_nothing_secret_of_an_url_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = Project.open(tmp_path, Log(live=False), without_recipes=True)
    for url in ("http://me:pw@127.0.0.1:9/a/x.tar.gz?token=pw#pw", "http://me:pw@127.0.0.1:9?token=pw"):
        with pytest.raises(SourceError):
            pin.pin_url(url, project)
    shown = capsys.readouterr().out
    assert "download x.tar.gz from 127.0.0.1" in shown
    assert "download a file from 127.0.0.1" in shown
    assert "pw" not in shown


def test_an_url_without_an_answer_is_reported(project: Project, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot fetch") as caught:
        pin.pin_url(f"{tmp_path}/nothing.tar.gz", project)
    assert "No such file" in caught.value.detail
    with pytest.raises(SourceError, match=r"cannot fetch http://127\.0\.0\.1:9/x\.tar\.gz") as caught:
        pin.pin_url("http://127.0.0.1:9/x.tar.gz", project)
    assert "connection refused" in caught.value.detail
