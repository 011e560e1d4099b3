"""Restarts and power cuts during a rollout, on a virtual board: what was begun continues at the board's next start."""

import re
import subprocess
import time
from random import Random

import pytest

from tests.support.board_project import ANSWERS, LEFT, STARTS, BoardProject, installed, service, states, until
from tests.support.virtual_board import TestedBoard

WAIT_S = 1800
CUTS = 20
UNTIL_RESTART = ANSWERS.replace("exec", "[ -e /run/answer-installed ] || exit 1\nexec")
"""A program that works until the next start of the board: what it needs is gone then."""
INTERRUPTED = "#!/bin/sh\n[ ! -e /var/tmp/cut ] || exit 0\ntouch /var/tmp/cut\nsync\nexec sleep 3600\n"
"""A preinst that ends only where the power is cut."""
TELLS = (
    "dpkg-query -W -f 'gate of ${Version}\\n' answer >/dev/console; busybox wget -q -O - http://127.0.0.1:8080/content"
)
OURS = "find /etc/systemd /run/systemd -name 'reef-*'"
ENDED = "until grep -Eqs '^(good|rolled-back|broken)' /var/lib/reef/receipts/*/state; do sleep 1; done"


@pytest.fixture
def board(virtual_one: BoardProject) -> TestedBoard:
    (virtual_one.folder / "answers.sh").write_text(TELLS)
    found = virtual_one.boards["one"]
    assert isinstance(found, TestedBoard)
    return found


@pytest.mark.nightly  # two restarts
def test_a_board_restarts_and_goes_back_where_it_fails_then(virtual_one: BoardProject, board: TestedBoard) -> None:
    output = virtual_one.inv("install-boards", "--reboot", timeout_s=WAIT_S)
    assert re.search(r"one +good", output), output
    found = states(board)
    assert [state for state, _ in found] == ["installing", "gating", "restarting", "gating", "good"]
    assert [boot == found[0][1] for _, boot in found] == [True, True, True, False, False]
    assert board.shell(OURS) == ""

    starts = STARTS.replace("set -e", "set -e\ntouch /run/answer-installed")
    virtual_one.publish(service(virtual_one.publisher, "1.1-1", UNTIL_RESTART, postinst=starts))
    since = len(board.machine.console.read_text(errors="replace"))
    child = virtual_one.start("install-boards", "--reboot")
    seen = until(child, "one +restarting")
    board.machine.cable(plugged=False)
    board.until_console("gate of 1.1-1", since)
    board.until_console("gate of 1.0-1", since)  # without a connection
    board.machine.cable(plugged=True)
    output, _ = child.communicate(timeout=WAIT_S)
    assert child.returncode == 15, seen + output
    assert re.search(r"one +rolled-back +.*answer.service", output), seen + output
    assert [state for state, _ in states(board)] == [
        "installing", "gating", "restarting", "gating", "rolling-back", "rolled-back",
    ]  # fmt: skip
    assert installed(board)["answer"] == "1.0-1"
    assert board.shell("systemctl is-active answer") == "active\n"
    assert board.shell(OURS) == ""


def test_a_board_whose_power_is_cut_continues_at_its_next_start(virtual_one: BoardProject, board: TestedBoard) -> None:
    virtual_one.publish(service(virtual_one.publisher, "1.1-1", preinst=INTERRUPTED))
    child = virtual_one.start("install-boards")
    board.shell("until [ -e /var/tmp/cut ]; do sleep 1; done")
    child.kill()
    child.communicate()
    board.pull_power()
    board.start()
    board.shell(ENDED)  # no command runs
    assert [state for state, _ in states(board)] == ["installing", "installing", "gating", "good"]
    assert installed(board)["answer"] == "1.1-1"
    assert board.shell(OURS) == ""
    output = virtual_one.inv("install-boards")
    assert re.search(r"one +good +unchanged", output), output


@pytest.mark.nightly  # a start after each cut
def test_power_cuts_at_any_moment(virtual_one: BoardProject, board: TestedBoard) -> None:
    """The command that follows the board goes on after each start."""
    chance = Random(15)
    _, whole_s, output = rollout(virtual_one, WAIT_S)
    assert "1 good" in output
    for number in range(1, CUTS + 1):
        virtual_one.publish(service(virtual_one.publisher, f"1.{number}-1"))
        moment_s = chance.uniform(0, whole_s)
        child, _, seen = rollout(virtual_one, moment_s)
        board.pull_power()
        board.start()
        output, _ = child.communicate(timeout=WAIT_S)
        case = f"power cut {moment_s:.1f} of {whole_s:.1f} s after it was staged\n{seen}{output}"
        if child.returncode:  # the board had nothing to continue yet
            case += virtual_one.inv("install-boards", timeout_s=WAIT_S)
        assert installed(board)["answer"] == f"1.{number}-1", case
        assert states(board)[-1][0] == "good", case
        assert board.shell(f"{OURS}\n{LEFT}") == "", case
        assert board.shell("systemctl is-active answer") == "active\n", case


def rollout(project: BoardProject, seconds: float) -> "tuple[subprocess.Popen[str], float, str]":
    """Start a rollout, and follow it for so many seconds after the board is staged, or to its end.

    Return the command, the seconds, and what it printed.
    """
    child = project.start("install-boards")
    seen = until(child, "one +staged")
    started = time.monotonic()
    try:
        output, _ = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        output = ""
    return child, time.monotonic() - started, seen + output
