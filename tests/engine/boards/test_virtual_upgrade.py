"""Upgrades of a real service on two virtual boards, one of them the canary, and the way back from bad versions."""

import re

from tests.support.board_project import ASKS, BoardProject, ReachedBoard, files, installed, service

RUNS = "systemctl show answer.service -p ActiveState -p MainPID"
DIES = "#!/bin/sh\nsleep 1\nexit 1\n"


def test_upgrades_reach_the_canary_first_and_bad_ones_end_there(virtual_two: BoardProject) -> None:
    one, two = virtual_two.boards["one"], virtual_two.boards["two"]
    virtual_two.inv("install-boards")
    before = [state_of(board)["MainPID"] for board in (one, two)]

    # The same way for both: the canary, then the other.
    virtual_two.publish(service(virtual_two.publisher, "1.1-1"))
    output = virtual_two.inv("install-boards")
    assert output.index("canary: one") < output.index("one  good") < output.index("two  good")
    for board, process in zip((one, two), before, strict=True):
        assert board.shell(ASKS) == "answer 1.1-1\n"
        assert state_of(board)["ActiveState"] == "active"
        assert state_of(board)["MainPID"] != process

    # A gate that the new version fails.
    (virtual_two.folder / "answers.sh").write_text(f"{ASKS} | grep -F 1.1-1")
    virtual_two.publish(service(virtual_two.publisher, "1.2-1"))
    goes_back(virtual_two, "1.2-1", "gate answers: status 1")

    # A service that ends again and again.
    virtual_two.publish(service(virtual_two.publisher, "1.3-1", DIES))
    goes_back(virtual_two, "1.3-1", "(a service was restarted|answer.service is)")


def state_of(board: ReachedBoard) -> dict[str, str]:
    """Return the state of the service, by systemd's names."""
    return dict(line.split("=", 1) for line in board.shell(RUNS).splitlines())


def goes_back(project: BoardProject, bad: str, reason: str) -> None:
    """Roll out a bad version: the canary ``one`` has 1.1-1 again, and nothing of ``two`` has changed."""
    one, two = project.boards["one"], project.boards["two"]
    untouched = files(two)
    output = project.inv("install-boards", status=15)
    assert re.search(rf"one +rolled-back +{reason}", output), output
    assert re.search(r"two +skipped +the rollout halted before it", output), output
    assert files(two) == untouched
    assert installed(one)["answer"] == "1.1-1"
    assert one.shell(ASKS) == "answer 1.1-1\n"
    assert state_of(one)["ActiveState"] == "active"
    assert f"Pin: version {bad}\nPin-Priority: -1" in one.shell("cat /etc/apt/preferences.d/reef-bad-answer.pref")
