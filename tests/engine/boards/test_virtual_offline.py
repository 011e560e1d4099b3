"""A virtual board whose network reaches nothing: bundles through its ssh connection, and on a stick."""

import base64
import io
import re
import shutil
import tarfile
from pathlib import Path

import pytest

from tests.support.board_project import BoardProject, installed, service
from tests.support.checkout import CACHE
from tests.support.virtual_board import TestedBoard

NEEDS = "hello"
"""A package of Debian, which the board lacks."""
STICK = "/media/stick"


@pytest.fixture
def offline(virtual_one: BoardProject, monkeypatch: pytest.MonkeyPatch) -> BoardProject:
    """The project, whose board has `reef_offline`; commands sign with the key of the publications."""
    monkeypatch.setenv("REEF_GNUPGHOME", str(virtual_one.publisher.key.home))
    (virtual_one.folder / "reef.yml").write_text(f"artifacts: .\ncache: {CACHE}\n")  # Debian's lists are fetched once
    virtual_one.keys["reef_offline"] = True
    virtual_one.publish(service(virtual_one.publisher, "1.1-1", depends=NEEDS))
    return virtual_one


@pytest.fixture
def board(offline: BoardProject) -> TestedBoard:
    found = offline.boards["one"]
    assert isinstance(found, TestedBoard)
    return found


def walk(board: TestedBoard, folder: Path) -> str:
    """Carry a stick to a board, install from it, and carry it back; return what a person reads there."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.add(folder, "reef")
    board.ssh.send(content.getvalue(), STICK)
    told = board.shell(f"sh {STICK}/reef/install.sh one 2>&1")
    back = base64.b64decode(board.shell(f"tar -c -C {STICK} reef | base64; rm -r {STICK}"))
    shutil.rmtree(folder)
    with tarfile.open(fileobj=io.BytesIO(back)) as archive:
        archive.extractall(folder.parent)
    return told


def test_a_board_without_a_network_gets_debians_packages_too(offline: BoardProject, board: TestedBoard) -> None:
    before = installed(board)
    output = offline.inv("install-boards")
    assert "it gets a bundle: 2 packages" in output
    assert re.search(r"one +good", output), output
    new = {name: version for name, version in installed(board).items() if name not in before}
    assert set(new) == {"answer", NEEDS}
    assert new["answer"] == "1.1-1"
    assert board.shell("systemctl is-active answer; hello --greeting=there") == "active\nthere\n"
    assert board.shell("find /var/lib/reef/bundle /etc/apt/sources.list.d -type f 2>/dev/null || true") == ""


@pytest.mark.nightly
def test_receipts_of_a_stick_come_back(offline: BoardProject, board: TestedBoard, tmp_path: Path) -> None:
    stick = tmp_path / "stick" / "reef"
    stick.parent.mkdir()
    export = ("bundle-boards", "--board", "one", "--export", str(stick))
    offline.inv(*export)
    assert "its facts are written" in walk(board, stick)
    assert re.search(r"one +exported +answer - -> 1.1-1; 2 packages", offline.inv(*export))
    assert "one: good" in walk(board, stick)
    assert board.shell("systemctl is-active answer") == "active\n"
    output = offline.inv("bundle-boards", "--receipts", str(stick))
    assert re.search(r"one +good", output), output
