"""A clean virtual board: real systemd, apt and dpkg under its own kernel."""

import hashlib
import re

from builders.apt.repository.layout import KEYRING
from tests.support.board_project import BoardProject, files, installed

STAYS = "systemctl show answer.service -p MainPID -p ActiveEnterTimestampMonotonic"


def test_a_clean_board_gets_all_of_it_and_a_second_run_changes_nothing(virtual_one: BoardProject) -> None:
    board = virtual_one.boards["one"]
    board.shell("! ls /usr/share/keyrings/reef* /etc/apt/sources.list.d/reef* /var/lib/reef 2>/dev/null")

    output = virtual_one.inv("install-boards")
    assert re.search(r"one +good", output), output
    assert installed(board)["answer"] == "1.0-1"
    assert board.shell("systemctl is-active answer; systemctl is-enabled answer") == "active\nenabled\n"
    keyring = hashlib.sha256(virtual_one.publisher.keyring.read_bytes()).hexdigest()
    assert keyring in board.shell(f"sha256sum /usr/share/keyrings/{KEYRING}")
    table = virtual_one.inv("boards")
    assert re.search(r"one +now +trixie/arm64 +active +none +good ", table), table
    assert re.search(r"answer +1.0-1 +one", table), table

    before, running = files(board), board.shell(STAYS)
    output = virtual_one.inv("install-boards")
    assert re.search(r"one +good +unchanged", output), output
    assert (files(board), board.shell(STAYS)) == (before, running)
