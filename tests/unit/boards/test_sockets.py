"""Folders of connections' sockets: those of killed runs are removed, and no others."""

import os
import tempfile
from pathlib import Path

import pytest

from builders.boards.connection.sockets import STALE_S, sockets_folder


def test_folders_of_killed_runs_are_removed_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    old, new = tmp_path / "reef-ssh-old", tmp_path / "reef-ssh-new"
    for folder in (old, new):
        folder.mkdir()
    (old / "socket").touch()
    with sockets_folder() as used:
        for folder in (old, used):
            made = folder.stat().st_mtime - 2 * STALE_S
            os.utime(folder, (made, made))
        (tmp_path / "reef-ssh-link").symlink_to(new)
        with sockets_folder() as other:
            assert used.is_dir()
            assert other.is_dir()
            assert new.is_dir()
            assert not old.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"reef-ssh-new", "reef-ssh-link"}
