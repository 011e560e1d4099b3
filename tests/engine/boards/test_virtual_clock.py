"""Clocks that are a year wrong, on a virtual board: its apt verifies with sqv, which believes the clock."""

import re
import time

import pytest

from tests.support.board_project import DAY, BoardProject, ReachedBoard, installed, service

YEAR = 365 * 86400


def wrong(board: ReachedBoard, seconds: int) -> None:
    board.shell(f"date -u -s @{int(time.time()) + seconds} >/dev/null")


def offset(board: ReachedBoard) -> float:
    return int(board.shell("date +%s")) - time.time()


def test_a_clock_that_is_a_year_behind_is_set_before_apt_runs(virtual_one: BoardProject) -> None:
    board = virtual_one.boards["one"]
    board.shell("timedatectl set-ntp true")  # its servers are out of reach
    wrong(board, -YEAR)
    assert "its clock is 365 days behind" in virtual_one.inv("check-boards")
    assert offset(board) < -YEAR / 2, "a check changes nothing"
    output = virtual_one.inv("install-boards")
    assert re.search(r"ready: the clock was set by 315\d{5} s", output), output
    assert re.search(r"one +good", output), output
    assert abs(offset(board)) < DAY
    assert board.shell("systemctl is-active answer; timedatectl show -p NTP --value") == "active\nyes\n"


@pytest.mark.nightly
def test_a_clock_that_is_a_year_ahead_is_set_back(virtual_one: BoardProject) -> None:
    board = virtual_one.boards["one"]
    virtual_one.inv("install-boards")
    wrong(board, YEAR)
    virtual_one.publish(service(virtual_one.publisher, "1.1-1"))
    output = virtual_one.inv("install-boards")
    assert re.search(r"ready: the clock was set by -315\d{5} s", output), output
    assert re.search(r"one +good", output), output
    assert abs(offset(board)) < DAY
    assert installed(board)["answer"] == "1.1-1"
