"""Rollouts over twenty boards, and a controller that is killed at many moments."""

import re
import signal
import subprocess
import time
from pathlib import Path
from random import Random

import pytest

from builders.pipeline.project import Project
from tests.support.board_project import LEFT, BoardProject, ReachedBoard, installed, version
from tests.support.many_boards import many_boards
from tests.support.repository import Publisher

pytestmark = pytest.mark.nightly
BOARDS, BAD = 20, "board-10"
KILLS = 50


def test_one_of_twenty_boards_fails_in_the_middle(publisher: Publisher, roots: Project, tmp_path: Path) -> None:
    with many_boards(roots, tmp_path / "boards", BOARDS) as boards:
        project = BoardProject(publisher, boards, {"reef_packages": ["demo"], "reef_gate": "./gate.sh"})
        project.canary = "board-01"
        (project.folder / "gate.sh").write_text("! [ -e /etc/bad ] || dpkg -s demo | grep -q '^Version: 1.0'")
        project.trust()
        project.publish(*version(publisher, "1.0-1"))
        project.inv("install-boards", "--batch", "20")
        assert versions(project) == dict.fromkeys(boards, "1.0-1")
        boards[BAD].shell("touch /etc/bad")
        project.publish(*version(publisher, "1.1-1"))

        output = project.inv("install-boards", "--batch", "6", status=15)
        before = [f"board-{number:02}" for number in range(1, 14)]
        assert re.search(rf"{BAD} +rolled-back +gate gate: status 1", output), output
        assert versions(project) == {name: "1.1-1" if name in before and name != BAD else "1.0-1" for name in boards}
        assert len(re.findall(r"board-\d\d +skipped +the rollout halted before it", output)) == BOARDS - len(before)

        output = project.inv("install-boards", "--batch", "6", "--most-failures", "1", status=15)
        assert "1 of 20 boards failed" in output
        assert versions(project) == {name: "1.0-1" if name == BAD else "1.1-1" for name in boards}

        boards[BAD].shell("rm /etc/bad")
        project.inv("install-boards")
        assert versions(project) == dict.fromkeys(boards, "1.1-1")


def test_a_controller_that_is_killed_at_any_moment_is_continued(project: BoardProject) -> None:
    chance = Random(15)
    publish(project, 1)
    started = time.monotonic()
    project.inv("install-boards")
    whole_s = time.monotonic() - started
    etc = {name: digests(board) for name, board in project.boards.items()}
    for number in range(2, KILLS + 2):
        publish(project, number)
        moment_s = chance.uniform(0, whole_s)
        killed = kill_after(project, moment_s)
        output = project.inv("install-boards")
        for name, board in project.boards.items():
            case = f"killed after {moment_s:.2f} of {whole_s:.2f} s\n{killed}\n{output}"
            assert re.search(rf"{name} +good", output), case
            assert installed(board)["demo"] == installed(board)["libdemo"] == f"1.{number}-1", case
            assert installations(board, f"1.{number}-1") == 1, case
            assert not board.shell(LEFT), case
            assert digests(board) == etc[name], case


def kill_after(project: BoardProject, seconds: float) -> str:
    """Start a rollout, kill it after so many seconds, and return what it printed."""
    child = project.start("install-boards")
    try:
        output, _ = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
        output, _ = child.communicate()
    return output


def publish(project: BoardProject, number: int) -> None:
    project.publish(*version(project.publisher, f"1.{number}-1", Depends=f"libdemo (>= 1.{number}-1)"))


def versions(project: BoardProject) -> dict[str, str]:
    return {name: installed(board)["demo"] for name, board in project.boards.items()}


def installations(board: ReachedBoard, number: str) -> int:
    """Return how often dpkg configured a version of demo."""
    return board.shell("cat /var/log/dpkg.log").count(f" status installed demo:amd64 {number}\n")


def digests(board: ReachedBoard) -> str:
    return board.shell("find /etc /usr/local -type f -exec sha256sum {} + | sort -k 2")
