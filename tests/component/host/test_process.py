"""The door to other programs, tried with real ones."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from builders.errors import HostError
from builders.host import process


def test_output_goes_to_log_listener_and_tail(tmp_path: Path) -> None:
    lines: list[str] = []
    log = tmp_path / "x.log"
    done = process.run(["sh", "-c", "echo one; echo two >&2; printf three"], log=log, on_line=lines.append)
    assert lines == ["one", "two", "three"]
    assert log.read_text() == "one\ntwo\nthree"
    assert done.tail == "one\ntwo\nthree"
    assert done.returncode == 0


def test_a_failure_carries_status_command_and_tail() -> None:
    with pytest.raises(process.ProgramFailed) as caught:
        process.run(["sh", "-c", "echo why; exit 7"])
    assert caught.value.completed.returncode == 7
    assert "why" in caught.value.detail
    assert "sh -c 'echo why; exit 7'" in caught.value.detail
    assert process.run(["false"], check=False).returncode == 1


def test_only_listed_variables_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REEF_SECRET", "hush")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    seen = process.capture(["env"], extra_environment={"GIVEN": "yes"})
    assert "REEF_SECRET" not in seen
    assert "http_proxy=http://127.0.0.1:9" in seen
    assert "GIVEN=yes" in seen
    assert "LC_ALL=C.UTF-8" in seen


def test_a_missing_program_is_reported() -> None:
    for call in (process.run, process.capture):
        with pytest.raises(HostError, match="no-such-program is not installed"):
            call(["no-such-program"])


def programs() -> str:
    """Return the command lines of all that runs on this machine."""
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


def test_a_listener_ends_a_silent_program() -> None:
    calls: list[int] = []

    def listen() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        process.run(["sh", "-c", "sleep 663 & wait"], on_sample=listen)
    assert len(calls) == 3
    assert "sleep 663" not in programs()


def test_a_time_limit_ends_the_whole_group() -> None:
    with pytest.raises(process.ProgramFailed, match="time limit"):
        process.run(["sh", "-c", "sleep 661 & wait"], timeout_s=0.5)
    assert "sleep 661" not in programs()


def test_a_daemon_left_behind_does_not_hold_us() -> None:
    done = process.run(["sh", "-c", "sleep 664 & echo $!"], timeout_s=300)
    assert "sleep 664" in programs()
    os.kill(int(done.tail), signal.SIGKILL)


def test_input_reaches_the_program() -> None:
    assert process.run(["cat"], input_text="in\n").tail == "in"
    assert process.capture(["cat"], input_text="in") == "in"


def test_memory_is_measured() -> None:
    code = "import time; block = bytearray(80_000_000); time.sleep(1.2)"
    assert process.run([sys.executable, "-c", code]).peak_memory_bytes > 80_000_000


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it may go at any moment
        return False


def test_children_die_with_us_even_by_kill_9() -> None:
    code = "from builders.host import process; process.run(['sh', '-c', 'sleep 62 & echo up; wait'], on_line=print)"
    parent = subprocess.Popen([sys.executable, "-uc", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    assert parent.stdout.readline() == "up\n"
    [child] = [int(p) for p in subprocess.run(["pgrep", "-P", str(parent.pid)], capture_output=True, text=True,
               check=True).stdout.split()]  # fmt: skip
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 120
    while lives(child):
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.05)


def test_an_interrupt_ends_the_program() -> None:
    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process.run(["sh", "-c", "echo go; sleep 663"], on_line=interrupt, timeout_s=300)
    assert "sleep 663" not in programs()
