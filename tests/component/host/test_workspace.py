"""Locks, scratch and whole writing, against real other processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import filelock
import pytest

from builders.errors import BusyError
from builders.host.workspace import Workspace

HOLD = """
import sys, time
from pathlib import Path
from builders.host.workspace import Workspace
with Workspace(Path(sys.argv[1])).{call}:
    print("held", flush=True)
    time.sleep(60)
"""


def holder(folder: Path, call: str) -> "subprocess.Popen[str]":
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(call=call), str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout
    assert child.stdout.readline() == "held\n"
    return child


def end(child: "subprocess.Popen[str]") -> None:
    os.kill(child.pid, signal.SIGKILL)
    child.wait()


def test_a_lock_excludes_another_process_and_falls_with_it(tmp_path: Path) -> None:
    child = holder(tmp_path, "locked('one')")
    space = Workspace(tmp_path)
    with (
        pytest.raises(BusyError, match="another run of Reef holds the thing"),
        space.locked("one", wait_s=0, what="the thing"),
    ):
        pass
    end(child)
    with space.locked("one", wait_s=5):
        pass


def test_a_scratch_folder_keeps_its_lock_though_a_sweep_comes_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep may remove a lock's file after it was opened, before it is locked: nobody else would see that lock."""
    space, real = Workspace(tmp_path), filelock.FileLock.acquire
    swept: list[str] = []

    def acquire(lock: filelock.FileLock, *args: Any, **kwargs: Any) -> Any:
        done = real(lock, *args, **kwargs)
        if not swept:
            swept.append(lock.lock_file)
            Path(lock.lock_file).unlink()
        return done

    monkeypatch.setattr(filelock.FileLock, "acquire", acquire)
    with space.scratch_folder("job") as folder:
        assert swept
        assert sorted(path.name for path in space.scratch.iterdir()) == [folder.name, f"{folder.name}.lock"]
        assert space.sweep() == []
    assert list(space.scratch.iterdir()) == []


def test_sweep_takes_what_the_dead_left_and_spares_the_living(tmp_path: Path) -> None:
    dead, living = holder(tmp_path, "scratch_folder('dead')"), holder(tmp_path, "scratch_folder('living')")
    end(dead)
    space = Workspace(tmp_path)
    removed = space.sweep()
    assert [path.name.split(".")[0] for path in removed] == ["dead"]
    assert [path.name.split(".")[0] for path in space.scratch.iterdir() if path.is_dir()] == ["living"]
    end(living)
    space.sweep()
    assert list(space.scratch.iterdir()) == []


def test_whoever_wants_it_alone_waits_for_nobody_and_keeps_all_out(tmp_path: Path) -> None:
    space = Workspace(tmp_path)
    child = holder(tmp_path, "in_use()")
    with space.in_use(), pytest.raises(BusyError, match="at work"), space.alone(cache=True):
        pass
    with pytest.raises(BusyError, match="at work"), space.alone(cache=True):
        pass
    end(child)
    with space.alone(cache=True):
        pass
    child = holder(tmp_path, "alone(cache=True)")
    with pytest.raises(BusyError, match="at work"), space.in_use():
        pass
    end(child)
