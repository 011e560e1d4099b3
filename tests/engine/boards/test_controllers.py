"""Commands that are interrupted or meet another, and inventories that change meanwhile: one installation always."""

import re
import signal
import subprocess
from typing import Any

import pytest

from tests.support.board_project import BoardProject, installed
from tests.support.light_board import FRONTEND, LightBoard
from tests.support.repository import Publisher

MOMENTS = {"asking": "one  reached", "ready": "one  ready", "staged": "one  staged", "installing": "one  installing",
           "gating": "one  gating"}  # fmt: skip


@pytest.fixture
def slow(project: BoardProject) -> BoardProject:
    """The project with the board one alone, whose packages and gate take a moment."""
    project.boards = {"one": project.boards["one"]}
    project.canary = None
    texts = {"DEBIAN/postinst": "#!/bin/sh\nsleep 2\n"}
    fields = {"Depends": "libdemo (>= 1.1-1)"}
    demo = project.publisher.deb("demo", "1.1-1", "amd64", fields=fields, texts=texts)
    project.publish(demo, project.publisher.deb("libdemo", "1.1-1", "amd64"))
    (project.folder / "gate.sh").write_text("sleep 2")
    project.keys["reef_gate"] = "./gate.sh"
    return project


def until(child: "subprocess.Popen[str]", words: str) -> None:
    """Read what a command prints until a line has these words."""
    assert child.stdout
    for line in child.stdout:
        if words in line:
            return
    raise AssertionError(f"no {words!r} before the end")


def installations(project: BoardProject) -> int:
    """Return how often apt installed demo."""
    history = project.boards["one"].shell("cat /var/log/apt/history.log")
    return len(re.findall(r"^(?:Install|Upgrade): .*\bdemo:amd64", history, re.M))


def moments() -> list[Any]:
    """Return all pairs of a moment and a signal; those of CI are two."""
    pairs = [(moment, number) for moment in MOMENTS for number in (signal.SIGKILL, signal.SIGINT)]
    often = [("staged", signal.SIGKILL), ("gating", signal.SIGINT)]
    return [pytest.param(*pair, marks=[] if pair in often else pytest.mark.nightly) for pair in pairs]


@pytest.mark.parametrize(("moment", "number"), moments())
def test_the_same_command_continues(slow: BoardProject, moment: str, number: signal.Signals) -> None:
    child = slow.start("install-boards")
    until(child, MOMENTS[moment])
    child.send_signal(number)
    output, _ = child.communicate(timeout=120)
    assert child.returncode == (130 if number == signal.SIGINT else -number), output
    assert "Traceback" not in output
    goes_on = "the installation goes on to its end, without this command: one"
    assert (goes_on in output) == (number == signal.SIGINT and moment in ("installing", "gating"))
    output = slow.inv("install-boards")
    assert re.search(r"one +good", output)
    assert installed(slow.boards["one"])["demo"] == "1.1-1"
    assert installations(slow) == 1


def test_a_rollout_that_went_back_meanwhile_is_not_tried_again(slow: BoardProject) -> None:
    (slow.folder / "gate.sh").write_text("sleep 2; exit 4")
    child = slow.start("install-boards")
    until(child, MOMENTS["installing"])
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=120)
    output = slow.inv("install-boards", status=15)
    assert re.search(r"one +rolled-back +gate gate: status 4 \(rollout ", output)
    assert installations(slow) == 1


def other_operator(project: BoardProject) -> BoardProject:
    """Return the same project on another machine."""
    folder = project.folder.with_name("other")
    subprocess.run(["cp", "-a", str(project.folder), str(folder)], check=True)
    publisher = Publisher(folder, project.publisher.key, project.publisher.log)
    return BoardProject(publisher, project.boards, dict(project.keys), suite=project.suite)


def test_others_see_who_is_at_work_on_a_board(slow: BoardProject) -> None:
    (slow.folder / "gate.sh").write_text("until [ -e /root/go ]; do sleep 0.1; done")
    slow.keys["reef_gate_timeout_s"] = 300
    theirs = other_operator(slow)
    child = slow.start("install-boards")
    until(child, MOMENTS["gating"])
    output = theirs.inv("install-boards")
    assert re.search(r"one +skipped +another rollout is at work on it: Reef \d{8}T\d{6}Z by \S+@", output)
    assert "another run of Reef holds the boards of this project" in slow.inv("install-boards", status=12)
    slow.boards["one"].shell("touch /root/go")
    ours, _ = child.communicate(timeout=120)
    assert re.search(r"one +good", ours)
    assert installations(slow) == 1


def test_a_rollout_that_another_overtakes_installs_nothing(
    project: BoardProject, boards: dict[str, LightBoard]
) -> None:  # fmt: skip
    theirs = other_operator(project)
    # Everything is on all boards of a wave before one of them changes: one waits for two here.
    with boards["two"].locked(FRONTEND):
        child = project.start("install-boards", "--canary", "0")
        until(child, MOMENTS["staged"])
        assert re.search(r"one +good", theirs.inv("install-boards", "--board", "one"))
    output, _ = child.communicate(timeout=120)
    assert re.search(r"one +skipped +another rollout took over: Reef \d{8}T\d{6}Z by \S+@", output)
    assert re.search(r"two +good", output)
    assert installations(project) == 1


def test_a_rollout_goes_on_with_the_inventory_that_it_read(slow: BoardProject) -> None:
    child = slow.start("install-boards")
    until(child, MOMENTS["staged"])
    (slow.folder / "boards.yml").write_text("all: [\n")
    (slow.folder / "gate.sh").write_text("exit 1")
    output, _ = child.communicate(timeout=120)
    assert (child.returncode, re.search(r"one +good", output) is not None) == (0, True), output
