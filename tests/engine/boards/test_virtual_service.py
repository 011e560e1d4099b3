"""Services that fail some time after their start, on a virtual board: systemd starts them again, the gate sees it."""

import re

import pytest

from tests.support.board_project import ANSWERS, UNIT, BoardProject, installed, service

pytestmark = pytest.mark.nightly
CRASHES = "#!/bin/sh\nbusybox httpd -p 127.0.0.1:8080 -h /usr/share/answer\nsleep 3\nexit 1\n"
"""Answers for three seconds."""
GROWS = CRASHES.replace("exit 1", "exec dd if=/dev/zero of=/dev/null bs=90M")
"""Needs more memory than its unit allows."""
LIMITED = UNIT.replace("DynamicUser=yes", "DynamicUser=yes\nMemoryMax=30M\nMemorySwapMax=0")


@pytest.fixture
def old(virtual_one: BoardProject) -> BoardProject:
    """The project with version 1.0 on the board; its gates watch for longer than a new version lives."""
    virtual_one.inv("install-boards")
    virtual_one.keys["reef_settle_s"] = 8
    return virtual_one


def test_a_service_that_crashes_after_seconds_is_gone_back_from(old: BoardProject) -> None:
    board = old.boards["one"]
    for number, program, unit in (("1.1-1", CRASHES, UNIT), ("1.2-1", GROWS, LIMITED)):
        old.publish(service(old.publisher, number, program, unit=unit))
        output = old.inv("install-boards", status=15)
        reason = r"(a service was restarted: answer.service|answer.service is activating)"
        assert re.search(rf"one +rolled-back +{reason}", output), output
        assert installed(board)["answer"] == "1.0-1"
        assert board.shell("systemctl is-active answer; cat /usr/bin/answer") == f"active\n{ANSWERS}"
    assert "oom-kill" in board.shell("cat $(ls -d /var/lib/reef/receipts/* | tail -n 1)/log")
