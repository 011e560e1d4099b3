"""Bundles: boards without a network get all that they lack through the connection; apt alone judges it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.pipeline.project import Project
from tests.support.board_project import BoardProject, ReachedBoard, files, installed, version
from tests.support.checkout import CACHE
from tests.support.light_board import LightBoard, light_board
from tests.support.repository import Publisher

SPOILING = """
import os, tarfile
from builders.boards.connection.ssh import Ssh
from builders.cli.app import main

send = Ssh.send

def spoiled(self, content, folder, **more):
    data, kind = bytearray(content.read_bytes()), os.environ["REEF_TEST_SPOILED"]
    with tarfile.open(content) as archive:
        members = archive.getmembers()
    parts = {"index": "/Packages", "deb": ".deb"}
    if kind == "half":  # all but the last file: as if the line broke
        data = data[: members[-1].offset] + bytes(1024)
    for member in members:
        if kind in parts and parts[kind] in member.name and member.size:
            data[member.offset_data + member.size // 2] ^= 255
    send(self, bytes(data), folder, **more)

Ssh.send = spoiled
main()
"""
NEEDS = {"Depends": "libdemo (>= 1.0-1), hello"}
"""hello comes from Debian; the roots of boards do not have it."""


@pytest.fixture(autouse=True)
def home(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands sign with the key of the publications."""
    monkeypatch.setenv("REEF_GNUPGHOME", str(publisher.key.home))


@pytest.fixture
def lonely(roots: Project, tmp_path: Path) -> Iterator[LightBoard]:
    """A board in a network namespace with nothing but its own loopback."""
    with light_board(roots, tmp_path / "lonely", network=False) as board:
        yield board


@pytest.fixture
def offline(publisher: Publisher, lonely: LightBoard) -> BoardProject:
    """A project whose only board has no network, and whose package needs one of Debian's."""
    made = BoardProject(publisher, {"lonely": lonely}, {"reef_packages": ["demo"], "reef_offline": True})
    (made.folder / "reef.yml").write_text(f"artifacts: .\ncache: {CACHE}\n")  # Debian's lists are fetched once
    made.trust()
    made.publish(*version(publisher, "1.0-1", **NEEDS))
    return made


def remains(board: ReachedBoard) -> str:
    """Return what a bundle left on a board."""
    return board.shell(
        "find /var/lib/reef/bundle /var/lib/reef/apt /var/lib/apt/lists -name '*bundle*' 2>/dev/null || true"
    )


def test_a_board_without_a_network_gets_what_it_lacks(offline: BoardProject) -> None:
    board = offline.boards["lonely"]
    assert "lo" in board.shell("ls /sys/class/net 2>/dev/null || cat /proc/net/dev")
    before = installed(board)
    output = offline.inv("install-boards")
    assert re.search(r"it gets a bundle: 3 packages", output)
    assert {name: number for name, number in installed(board).items() if name not in before} == {
        "demo": "1.0-1", "libdemo": "1.0-1", "hello": installed(board)["hello"]
    }  # fmt: skip
    assert board.shell("apt-mark showauto demo libdemo hello").split() == ["hello", "libdemo"]
    assert remains(board) == ""
    assert "reef-trixie" not in board.shell("ls /etc/apt/sources.list.d")
    known = files(board)
    assert re.search(r"lonely +good +unchanged", offline.inv("install-boards"))
    assert files(board) == known


def test_an_upgrade_that_fails_goes_back_without_a_network(offline: BoardProject) -> None:
    offline.inv("install-boards")
    board = offline.boards["lonely"]
    before = installed(board)
    offline.publish(*version(offline.publisher, "1.1-1", Depends="libdemo (>= 1.1-1), hello"))
    (offline.folder / "gate.sh").write_text("dpkg -s demo | grep -q '^Version: 1.0'")
    offline.keys["reef_gate"] = "./gate.sh"
    output = offline.inv("install-boards", status=15)
    assert re.search(r"it gets a bundle: 4 packages", output), "new and old versions"
    assert "no way back" not in output
    assert re.search(r"lonely +rolled-back +gate gate: status 1", output)
    assert installed(board) == before
    assert remains(board) == ""


def test_a_board_whose_ssh_forwards_nothing_gets_a_bundle(
    publisher: Publisher, roots: Project, tmp_path: Path
) -> None:  # fmt: skip
    with light_board(roots, tmp_path / "strict", forwarding=False) as board:
        made = BoardProject(publisher, {"strict": board}, {"reef_packages": ["demo"]})
        made.trust()
        made.publish(*version(publisher, "1.0-1"))
        output = made.inv("install-boards")
        assert "its ssh server forwards no ports; the next way is tried" in output
        assert re.search(r"it gets a bundle: 2 packages", output)
        assert installed(board)["demo"] == "1.0-1"


def test_a_tampered_bundle_and_half_a_bundle_are_refused_by_apt(
    offline: BoardProject, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """The board's apt is the judge: the files are spoiled after this machine has signed them."""
    board = offline.boards["lonely"]
    before = files(board)
    refusals = {
        "index": "cannot read the repository",
        "deb": "cannot download this",
        "half": "cannot read the repository",
    }
    for spoiled, refusal in refusals.items():
        monkeypatch.setenv("REEF_TEST_SPOILED", spoiled)
        output = offline.inv("install-boards", status=15, main=SPOILING)
        assert f"apt {refusal}" in output
        assert remains(board) == ""
        assert "demo" not in installed(board)
    changed = set(files(board).splitlines()) - set(before.splitlines())
    assert not changed, changed


def test_another_system_gets_nothing_of_debian(offline: BoardProject) -> None:
    board = offline.boards["lonely"]
    board.shell("sed -i s/^ID=debian/ID=raspbian/ /usr/lib/os-release")
    output = offline.inv("install-boards", status=15)
    assert re.search(r"the bundle lacks packages of Debian GNU/Linux 13 \(trixie\): .*held broken packages", output)
    assert remains(board) == ""
    # What needs nothing of Debian is installed all the same.
    offline.publish(*version(offline.publisher, "1.1-1"))
    assert re.search(r"lonely +good", offline.inv("install-boards"))


def test_a_repository_with_sources_makes_bundles_without(offline: BoardProject) -> None:
    offline.publish(offline.publisher.source("demo", "1.0-1"))
    assert "Types: deb deb-src" in (offline.publisher.repository / "reef-trixie.sources").read_text()
    assert re.search(r"lonely +good", offline.inv("install-boards"))
