"""Rollouts of only some packages, over light boards."""

import re

from tests.support.board_project import BoardProject, installed, version


def test_one_package_goes_back_to_an_older_version_alone(project: BoardProject) -> None:
    project.publish(*version(project.publisher, "1.1-1"))
    project.inv("install-boards")
    output = project.inv("install-boards", "--package", "demo=1.0-1", "--plan")
    assert "demo 1.1-1 -> 1.0-1 (downgrade)" in output
    project.inv("install-boards", "--package", "demo=1.0-1")
    for board in project.boards.values():
        assert (installed(board)["demo"], installed(board)["libdemo"]) == ("1.0-1", "1.1-1")
    # What apt adds to a package goes back with it.
    (project.folder / "gate.sh").write_text("exit 1")
    project.keys["reef_gate"] = "./gate.sh"
    project.publish(*version(project.publisher, "1.2-1", Depends="libdemo (>= 1.2-1)"))
    output = project.inv("install-boards", "--board", "one", "--package", "demo", status=15)
    assert re.search(r"one +broken", output)
    assert (installed(project.boards["one"])["demo"], installed(project.boards["one"])["libdemo"]) == ("1.0-1", "1.1-1")


def test_a_board_without_systemd_is_not_restarted(project: BoardProject) -> None:
    output = project.inv("install-boards", "--reboot", status=15)
    assert re.search(r"one +failed +--reboot needs systemd", output), output
    assert "demo" not in installed(project.boards["one"])
