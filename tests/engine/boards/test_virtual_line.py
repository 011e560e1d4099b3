"""A cable that is out during the installation, on a virtual board: the board goes on, and the receipt tells the end."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from builders.pipeline.virtual_board import reach
from tests.support.board_project import ASKS, BoardProject, installed, service, states, until
from tests.support.virtual_board import TestedBoard

WAIT_S = 1800
CUT = """\
#!/bin/sh
set -e
echo unpacks >/dev/console
until grep -qx 0 /sys/class/net/e*/carrier; do sleep 0.2; done
echo cut off >/dev/console
"""
"""A preinst that ends only without the cable."""
TELLS = f"{ASKS} && echo gate passed >/dev/console"
GOES_ON = f"{CUT}until [ -e /run/goes-on ]; do sleep 0.2; done\n"


@pytest.fixture
def board(virtual_one: BoardProject) -> TestedBoard:
    (virtual_one.folder / "answers.sh").write_text(TELLS)
    found = virtual_one.boards["one"]
    assert isinstance(found, TestedBoard)
    return found


def plug_in(board: TestedBoard) -> None:
    board.machine.cable(plugged=True)
    reach.wait_until_started(board.machine, board.ssh)


def ssh_processes(pid: int) -> set[int]:
    """Return the ssh processes that a command runs now."""
    children = Path(f"/proc/{pid}/task").glob("*/children")
    return {int(child) for path in children for child in path.read_text().split()}


def until_noticed(pid: int) -> None:
    """Wait until a command asks the board anew: its question before the cut has no answer."""
    first, limit = ssh_processes(pid), time.monotonic() + WAIT_S
    while not ssh_processes(pid) - first:
        assert time.monotonic() < limit
        time.sleep(0.5)


def test_a_command_waits_for_a_board_that_installs_without_the_line(
    virtual_one: BoardProject, board: TestedBoard
) -> None:  # fmt: skip
    virtual_one.publish(service(virtual_one.publisher, "1.1-1", preinst=CUT))
    child = virtual_one.start("install-boards")
    board.until_console("unpacks")
    board.machine.cable(plugged=False)
    board.until_console("gate passed")
    until_noticed(child.pid)
    assert child.poll() is None
    plug_in(board)
    output, _ = child.communicate(timeout=WAIT_S)
    assert child.returncode == 0, output
    assert re.search(r"one +good", output), output
    assert [state for state, _ in states(board)] == ["installing", "gating", "good"]
    assert installed(board)["answer"] == "1.1-1"


@pytest.mark.nightly
def test_a_command_that_was_killed_without_the_line_is_continued(
    virtual_one: BoardProject, board: TestedBoard
) -> None:  # fmt: skip
    virtual_one.publish(service(virtual_one.publisher, "1.1-1", preinst=GOES_ON))
    child = virtual_one.start("install-boards")
    board.until_console("unpacks")
    board.machine.cable(plugged=False)
    board.until_console("cut off")
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    output = virtual_one.inv("install-boards")
    assert re.search(r"one +skipped +it does not answer", output), output
    plug_in(board)
    child = virtual_one.start("install-boards")
    seen = until(child, r"was interrupted \(installing\): it continues")
    board.shell("touch /run/goes-on")
    output, _ = child.communicate(timeout=WAIT_S)
    assert child.returncode == 0, seen + output
    assert re.search(r"one +good", output), seen + output
    assert [state for state, _ in states(board)] == ["installing", "gating", "good"]
