"""One cache for several projects, with real locks and real other processes."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from builders.errors import DiskError, InputError
from builders.host.log import Log
from builders.host.workspace import CACHE_NAMES, Workspace
from builders.pipeline.project import Project

QUIET = Log(quiet=True)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "the cache, é"


def test_the_cache_may_lie_on_another_disk_than_artifacts(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as disk:
        assert os.stat(disk).st_dev != tmp_path.stat().st_dev
        space = Workspace(tmp_path / "artifacts", shared_cache=Path(disk, "cache"))
        with space.in_use(), space.cache.scratch_folder("root") as scratch:
            space.cache.roots.mkdir()
            scratch.rename(space.cache.roots / "root")  # what is finished stays on its disk


def test_a_folder_with_other_things_is_no_cache(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for name in ("sources", "letters"):
        (home / name).mkdir(parents=True)
    space = Workspace(tmp_path / "artifacts", shared_cache=home)
    with pytest.raises(DiskError, match="is not a cache of Reef") as caught, space.in_use():
        raise AssertionError
    assert caught.value.detail == "it contains 'letters'"
    assert "cache: in reef.yml, or the variable REEF_CACHE" in caught.value.fix
    with pytest.raises(DiskError, match="is not a cache of Reef"), space.alone(cache=True):
        raise AssertionError
    assert sorted(os.listdir(home)) == ["letters", "sources"]


def test_a_cache_that_is_moved_there_is_used(tmp_path: Path) -> None:
    own = Workspace(tmp_path / "artifacts")
    with own.in_use(), own.cache.scratch_folder("x"):
        for folder in (own.cache.downloads, own.cache.mounts, own.cache.trees, own.cache.roots):
            folder.mkdir()
    assert set(os.listdir(own.cache.path)) <= CACHE_NAMES
    shared = own.cache.path.rename(tmp_path / "shared")
    shutil.rmtree(shared / "locks")  # as a version before shared caches left it
    with Workspace(tmp_path / "artifacts", shared_cache=shared).in_use():
        (shared / "a note").touch()  # a cache stays one
    with Workspace(tmp_path / "artifacts", shared_cache=shared).in_use():
        pass


def test_a_cache_belongs_to_one_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = Workspace(tmp_path / "artifacts", shared_cache=tmp_path / "cache")
    with space.in_use():
        pass
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(DiskError, match=r"belongs to user .*; this is user 54321") as caught, space.in_use():
        raise AssertionError
    assert "cache: in reef.yml, or the variable REEF_CACHE" in caught.value.fix
    with Workspace(tmp_path / "artifacts").in_use():  # the project's own: whose files those are, it knows itself
        pass


def test_a_cache_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    space = Workspace(tmp_path / "artifacts", shared_cache=tmp_path / "file" / "cache")
    with pytest.raises(DiskError, match="cannot be written") as caught, space.in_use():
        raise AssertionError
    assert "cache: in reef.yml, or the variable REEF_CACHE" in caught.value.fix


@pytest.mark.parametrize(
    ("setting", "variable", "expected"),
    [
        ("", None, "artifacts/cache"),
        ("cache: ../shared", None, "../shared"),
        ("cache: ~/shared", None, "../home/shared"),
        ("cache: /srv/shared", None, "/srv/shared"),
        ("cache: artifacts/cache", None, "artifacts/cache"),
        ("cache: ../shared", "/srv/ci", "/srv/ci"),
        ("cache: ../shared", "~/ci", "../home/ci"),
        ("cache: ../shared", "", "../shared"),
    ],
)
def test_where_the_cache_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, variable: str | None, expected: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("REEF_CACHE", raising=False)
    if variable is not None:
        monkeypatch.setenv("REEF_CACHE", variable)
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "reef.yml").write_text(setting)
    found = Project.open(folder, QUIET, without_recipes=True).workspace.cache
    assert found.path == Path(os.path.normpath(folder / expected))
    assert found.shared == (expected != "artifacts/cache")


@pytest.mark.parametrize(
    ("setting", "variable", "message"),
    [
        ("", "shared", "REEF_CACHE is not an absolute path: 'shared'"),
        ("", "../shared", "REEF_CACHE is not an absolute path: '../shared'"),
        ("", "/", "REEF_CACHE names a folder that cannot be the cache: /"),
        ("cache: ''", None, "cache: expected the path of a folder other than /"),
        ("cache: /../", None, "cache: expected the path of a folder other than /"),
        ("cache: artifacts", None, "reef.yml: cache names a folder that cannot be the cache"),
        ("cache: artifacts/apt", None, "reef.yml: cache names a folder that cannot be the cache"),
        ("cache: ~nobody-at-all/x", None, "reef.yml: cache cannot be used: '~nobody-at-all/x'"),
        ("cache: ../shared\nsigning: {home: ../shared/key}", None, "signing.home is inside"),
    ],
)
def test_what_cannot_be_the_cache_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, variable: str | None, message: str
) -> None:
    monkeypatch.delenv("REEF_CACHE", raising=False)
    if variable:
        monkeypatch.setenv("REEF_CACHE", variable)
    (tmp_path / "reef.yml").write_text(setting)
    with pytest.raises(InputError) as caught:
        Project.open(tmp_path, QUIET, without_recipes=True)
    assert message in str(caught.value)
    assert caught.value.fix
