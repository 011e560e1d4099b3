"""Locks, scratch and whole writing, against real other processes."""

import errno
import os
import tempfile
from pathlib import Path

import pytest

from builders.errors import BusyError, DiskError
from builders.host.files import disk_error, remove_tree, write_whole
from builders.host.workspace import Workspace


def test_scratch_is_removed_on_any_exception(tmp_path: Path) -> None:
    space = Workspace(tmp_path)

    def interrupted() -> None:
        with space.scratch_folder("x") as folder:
            (folder / "file").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(space.scratch.iterdir()) == []


def test_write_whole_replaces_or_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "file"
    write_whole(path, "first")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskError, match="no space left"):
        write_whole(path, "second")
    assert path.read_text() == "first"
    assert [child.name for child in path.parent.iterdir()] == ["file"]


def test_a_folder_that_may_not_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match="cannot use"), Workspace(tmp_path / "file").locked("x"):
        pass


def test_remove_tree_takes_what_is_not_there(tmp_path: Path) -> None:
    remove_tree(tmp_path / "absent")
    (tmp_path / "a" / "b").mkdir(parents=True)
    remove_tree(tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_no_permission_names_the_path_that_is_meant(tmp_path: Path) -> None:
    refused = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "ci" / "reef.yml"))
    fix = disk_error(refused, tmp_path).fix
    assert f"chown $USER {tmp_path}" in fix
    assert "artifacts" not in fix
    inside = tmp_path / "artifacts" / "apt" / "dists"
    fix = disk_error(PermissionError(errno.EACCES, "Permission denied", str(inside)), inside).fix
    assert f"chown -R $USER {tmp_path}/artifacts;" in fix


def test_the_advice_on_a_read_only_file_system(tmp_path: Path) -> None:
    """Owning a file there does not make it writable."""
    refused = OSError(errno.EROFS, "Read-only file system", str(tmp_path))
    assert disk_error(refused, tmp_path).fix == "mount that file system writable, or choose another folder in reef.yml"


def test_projects_that_share_a_cache_share_its_locks(tmp_path: Path) -> None:
    one, other, cache = Workspace(tmp_path / "one"), Workspace(tmp_path / "other"), tmp_path / "cache"
    said: list[str] = []
    with one.locked("root", beside=cache):
        with pytest.raises(BusyError), other.locked("root", wait_s=0.1, what="the root", say=said.append, beside=cache):
            pass
        assert said == ["waiting for another run of Reef, which holds the root"]
        with other.locked("root", wait_s=0):  # its own, elsewhere
            pass


def test_folders_on_two_disks_are_reported_before_anything_is_made(tmp_path: Path) -> None:
    space = Workspace(tmp_path / "artifacts")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        assert os.stat(other).st_dev != tmp_path.stat().st_dev
        with space.in_use():
            pass
        space.cache.mounts.symlink_to(other)
        with pytest.raises(DiskError, match="mounts is on another disk than") as caught, space.in_use():
            raise AssertionError
        assert other in caught.value.detail
        assert "cache: in reef.yml" in caught.value.fix
