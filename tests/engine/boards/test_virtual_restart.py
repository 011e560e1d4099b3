"""Restarts and power cuts during a rollout, on a virtual board: what was begun continues at the board's next start."""

import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.board_project import ANSWERS, STARTS, STOPS, UNIT, BoardProject, installed
from tests.support.repository import Publisher
from tests.support.virtual_board import TestedBoard

pytestmark = pytest.mark.nightly
WAIT_S = 1800
UNTIL_RESTART = ANSWERS.replace("exec", "[ -e /run/answer-installed ] || exit 1\nexec")
"""A program that works until the next start of the board: what it needs is gone then."""
INTERRUPTED = "#!/bin/sh\n[ ! -e /var/tmp/cut ] || exit 0\ntouch /var/tmp/cut\nsync\nexec sleep 3600\n"
"""A preinst that ends only where the power is cut."""
TELLS = (
    "dpkg-query -W -f 'gate of ${Version}\\n' answer >/dev/console; busybox wget -q -O - http://127.0.0.1:8080/content"
)
OURS = "find /etc/systemd /run/systemd -name 'reef-*'"
JOURNAL = "cut -d' ' -f1,2 $(ls -d /var/lib/reef/receipts/* | tail -n 1)/journal"
ENDED = "until grep -Eqs '^(good|rolled-back|broken)' /var/lib/reef/receipts/*/state; do sleep 1; done"


def answer(publisher: Publisher, number: str, program: str = ANSWERS, starts: str = STARTS, **texts: str) -> Path:
    """Return a version of the service ``answer``; ``texts`` are more maintainer scripts."""
    return publisher.deb(
        "answer", number, "arm64",
        texts={"usr/bin/answer": program, "usr/lib/systemd/system/answer.service": UNIT, "DEBIAN/postinst": starts,
               "DEBIAN/prerm": STOPS} | {f"DEBIAN/{name}": text for name, text in texts.items()},
    )  # fmt: skip


def until(child: "subprocess.Popen[str]", pattern: str) -> str:
    """Return what a command prints up to a line with a ``pattern``."""
    assert child.stdout
    seen = ""
    for line in child.stdout:
        seen += line
        if re.search(pattern, line):
            return seen
    raise AssertionError(seen)


def until_console(board: TestedBoard, text: str, since: int) -> None:
    """Wait for a text on the board's console after the first ``since`` characters."""
    console, limit = board.machine.console, time.monotonic() + WAIT_S
    while text not in console.read_text(errors="replace")[since:]:
        assert time.monotonic() < limit, console.read_text(errors="replace")[since:]
        time.sleep(0.2)


def states(board: TestedBoard) -> list[tuple[str, str]]:
    """Return the states of a board in its newest rollout, each with the id of the board's start."""
    return [(words[0], words[1]) for line in board.shell(JOURNAL).splitlines() if (words := line.split())]


@pytest.fixture
def board(virtual_one: BoardProject) -> TestedBoard:
    (virtual_one.folder / "answers.sh").write_text(TELLS)
    found = virtual_one.boards["one"]
    assert isinstance(found, TestedBoard)
    return found


def test_a_board_restarts_and_goes_back_where_it_fails_then(virtual_one: BoardProject, board: TestedBoard) -> None:
    output = virtual_one.inv("install-boards", "--reboot", timeout_s=WAIT_S)
    assert re.search(r"one +good", output), output
    found = states(board)
    assert [state for state, _ in found] == ["installing", "gating", "restarting", "gating", "good"]
    assert [boot == found[0][1] for _, boot in found] == [True, True, True, False, False]
    assert board.shell(OURS) == ""

    starts = STARTS.replace("set -e", "set -e\ntouch /run/answer-installed")
    virtual_one.publish(answer(virtual_one.publisher, "1.1-1", UNTIL_RESTART, starts))
    since = len(board.machine.console.read_text(errors="replace"))
    child = virtual_one.start("install-boards", "--reboot")
    seen = until(child, "one +restarting")
    board.machine.cable(plugged=False)
    until_console(board, "gate of 1.1-1", since)
    until_console(board, "gate of 1.0-1", since)  # without a connection
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
    virtual_one.publish(answer(virtual_one.publisher, "1.1-1", preinst=INTERRUPTED))
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
