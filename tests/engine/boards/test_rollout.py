"""Rollouts over light boards: real ssh, sudo, apt and dpkg; no systemd, so no services and no reboots."""

import re
import signal

from tests.support.board_project import BoardProject, files, installed, version
from tests.support.ports import free_port

OLD_ALONE = "dpkg -s demo | grep -q '^Version: 1.0'"
"""A gate that a new version fails."""


def test_a_rollout_installs_and_a_second_changes_nothing(project: BoardProject) -> None:
    output = project.inv("install-boards")
    assert output.index("canary: one") < output.index("batch 1: two")
    for board in project.boards.values():
        assert installed(board)["demo"] == installed(board)["libdemo"] == "1.0-1"
        assert board.shell("apt-mark showauto demo libdemo").split() == ["libdemo"]
    before = {name: files(board) for name, board in project.boards.items()}
    again = project.inv("install-boards")
    assert re.search(r"one +good +unchanged", again)
    assert before == {name: files(board) for name, board in project.boards.items()}


def test_an_upgrade_is_installed_by_the_rollouts_unit_alone(project: BoardProject) -> None:
    """apt installs without a question where all packages are named, as they are in an upgrade."""
    board = project.boards["one"]
    project.inv("install-boards", "--board", "one")
    project.publish(*version(project.publisher, "1.1-1", Depends="libdemo (>= 1.1-1)"))
    output = project.inv("install-boards", "--board", "one")
    assert re.search(r"ready: \d+ B to download, 0 B more on the disk", output), output
    lines = board.shell("grep '^Commandline: ' /var/log/apt/history.log").splitlines()
    assert len(lines) == 2
    assert all("--comment" in line for line in lines), lines


def test_a_canary_whose_gate_fails_goes_back_and_halts_the_rollout(project: BoardProject) -> None:
    project.inv("install-boards")
    (project.folder / "gate.sh").write_text(OLD_ALONE)
    project.keys["reef_gate"] = "./gate.sh"
    other = files(project.boards["two"])
    project.publish(*version(project.publisher, "1.1-1", Depends="libdemo (>= 1.1-1), fresh"),
                    project.publisher.deb("fresh", "1.1-1", "amd64"))  # fmt: skip
    output = project.inv("install-boards", status=15)
    assert re.search(r"one +rolled-back +gate gate: status 1", output)
    assert re.search(r"two +skipped +the rollout halted before it", output)
    assert installed(project.boards["one"])["demo"] == installed(project.boards["one"])["libdemo"] == "1.0-1"
    assert "fresh" not in installed(project.boards["one"])
    assert project.boards["one"].shell("apt-mark showauto demo libdemo").split() == ["libdemo"]
    assert files(project.boards["two"]) == other
    assert "Pin-Priority: -1" in project.boards["one"].shell("cat /etc/apt/preferences.d/reef-bad-demo.pref")


def test_a_controller_that_is_killed_is_continued_by_the_same_command(project: BoardProject) -> None:
    (project.folder / "gate.sh").write_text("sleep 3")
    project.keys["reef_gate"] = "./gate.sh"
    child = project.start("install-boards")
    assert child.stdout
    for line in child.stdout:
        if "one: installing" in line or "one: gating" in line:
            break
    child.send_signal(signal.SIGKILL)
    child.communicate()
    output = project.inv("install-boards")
    assert re.search(r"one +good", output)
    assert installed(project.boards["one"])["demo"] == "1.0-1"


def test_without_a_canary_that_passes_no_other_board_changes(project: BoardProject) -> None:
    project.more["asleep"] = {"ansible_host": "127.0.0.1", "ansible_port": 9}
    output = project.inv("install-boards", "--canary", "asleep", status=15)
    assert "no board of the canary passed: asleep" in output
    assert re.search(r"one +skipped +the rollout halted before it", output)
    assert "demo" not in installed(project.boards["one"])


def test_a_rollout_that_reaches_no_board_is_a_failure(project: BoardProject) -> None:
    project.more = {"closed": {"ansible_host": "127.0.0.1", "ansible_port": free_port()}}
    output = project.inv("install-boards", "--board", "closed", status=15)
    assert "error: no board was reached\n  closed\n" in output
    project.inv("hold-boards", "--board", "closed", "--reason", "away", "--until", "3d")
    assert "1 skipped" in project.inv("install-boards", "--board", "closed")


def test_mistakes_on_the_command_line_end_before_a_board_is_asked(project: BoardProject) -> None:
    assert "a batch of no boards" in project.inv("install-boards", "--batch", "0", status=3)
    assert "not the stamp of a rollout: '2026'" in project.inv("rollback-boards", "--rollout", "2026", status=3)
    project.keys["reef_gate"] = "./none.sh"
    assert "none.sh" in project.inv("check-boards", status=3)


def test_a_plan_that_cannot_be_carried_out_fails(project: BoardProject) -> None:
    output = project.inv("install-boards", "--board", "one", "--package", "dmo", "--plan", status=15)
    assert "did you mean 'demo'?" in output
