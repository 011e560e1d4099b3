"""Folders for boards that nobody reaches: carried to a board, run there by a person, and brought back."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.pipeline.project import Project
from tests.support.board_project import BoardProject, files, installed, version
from tests.support.checkout import CACHE
from tests.support.light_board import LightBoard, light_board
from tests.support.repository import Publisher

STICK = "/media/stick"
"""Where the stick is on the board."""


class Carrier:
    """A person with a stick: between the project's machine, where it is ``folder``, and one board."""

    def __init__(self, project: BoardProject, board: LightBoard, folder: Path) -> None:
        self.project, self.board, self.folder = project, board, folder

    def export(self, status: int = 0) -> str:
        return self.project.inv("bundle-boards", "--board", "mill", "--export", str(self.folder), status=status)

    def receipts(self, status: int = 0) -> str:
        return self.project.inv("bundle-boards", "--receipts", str(self.folder), status=status)

    def walk(self, *words: str, status: int = 0) -> str:
        """Carry the stick to the board, install, and carry it back; return what the person reads there."""
        place = self.board.path(f"{STICK}/{self.folder.name}")
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.folder, place)
        told = self.board.shell(f"sh {STICK}/{self.folder.name}/install.sh {' '.join(words)} 2>&1 || echo status $?")
        shutil.rmtree(self.folder)
        shutil.copytree(place, self.folder)
        shutil.rmtree(place)
        found = re.search(r"^status (\d+)$", told, re.MULTILINE)
        assert int(found[1] if found else 0) == status, told
        return told


@pytest.fixture
def carrier(
    publisher: Publisher, roots: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Carrier]:  # fmt: skip
    """A board without a network whose address nobody knows, and a publication whose package needs one of Debian's."""
    monkeypatch.setenv("REEF_GNUPGHOME", str(publisher.key.home))
    with light_board(roots, tmp_path / "mill", network=False) as board:
        # Nothing listens at its address.
        project = BoardProject(publisher, {}, {"reef_packages": ["demo"], "reef_offline": True},
                               {"mill": {"ansible_host": "127.0.0.1", "ansible_port": 1}})  # fmt: skip
        (project.folder / "reef.yml").write_text(f"artifacts: .\ncache: {CACHE}\n")
        project.publish(*version(publisher, "1.0-1", Depends="libdemo (>= 1.0-1), hello"))
        yield Carrier(project, board, tmp_path / "reef")


def test_a_board_that_was_never_seen_is_installed_by_two_walks(carrier: Carrier) -> None:
    assert re.search(r"mill +asked", carrier.export())
    before = files(carrier.board)
    assert "name it: sudo sh install.sh NAME, one of: mill" in carrier.walk(status=15)
    assert "its facts are written" in carrier.walk("mill")
    assert files(carrier.board) == before
    assert re.search(r"mill +exported +demo - -> 1.0-1; 3 packages", carrier.export())
    told = carrier.walk("mill")
    assert told.startswith("mill: installs demo=1.0-1\n")
    assert "mill: good" in told
    there = installed(carrier.board)
    assert there["demo"] == there["libdemo"] == "1.0-1"
    assert "hello" in there
    left = "find /var/lib/reef/bundle /var/lib/apt/lists -name '*bundle*' 2>/dev/null || true"
    assert carrier.board.shell(left) == ""
    assert re.search(r"mill +good", carrier.receipts())
    state = carrier.project.inv("boards")
    assert re.search(r"mill .*trixie/amd64 +none +good", state), state
    explained = carrier.project.inv("explain-board", "mill")
    assert "demo: not installed -> 1.0-1" in explained
    # Again with the same stick: nothing changes, and the board says so.
    known = files(carrier.board)
    assert "was used on it before" in carrier.walk("mill")
    assert files(carrier.board) == known


def test_an_upgrade_by_one_walk_goes_back_where_its_gate_fails(carrier: Carrier) -> None:
    carrier.export()
    carrier.walk("mill")
    carrier.export()
    carrier.walk("mill")
    there = installed(carrier.board)
    project = carrier.project
    project.publish(*version(project.publisher, "1.1-1", Depends="libdemo (>= 1.1-1), hello"))
    (project.folder / "gate.sh").write_text("dpkg -s demo | grep -q '^Version: 1.0'")
    project.keys["reef_gate"] = "./gate.sh"
    assert re.search(r"mill +exported +demo 1.0-1 -> 1.1-1.*; 4 packages", carrier.export())
    assert "rolled-back gate gate: status 1" in carrier.walk("mill", status=15)
    assert installed(carrier.board) == there
    assert re.search(r"mill +rolled-back +gate gate: status 1", carrier.receipts(status=15))


def test_a_wrong_board_and_a_damaged_stick_are_refused(carrier: Carrier) -> None:
    carrier.export()
    carrier.walk("mill")
    carrier.export()
    board, before = carrier.board, files(carrier.board)
    script = carrier.folder / "boards" / "mill" / "prepare.sh"
    whole = script.read_text()
    script.write_text(whole + "\n")
    assert "incomplete or damaged" in carrier.walk("mill", status=15)
    script.write_text(whole)
    (deb,) = carrier.folder.glob("repository/pool/main/d/demo/demo_*.deb")
    content = deb.read_bytes()
    deb.write_bytes(content[:-1] + bytes([content[-1] ^ 255]))
    assert "apt cannot download this" in carrier.walk("mill", status=15)
    deb.write_bytes(content)
    release = board.path("/usr/lib/os-release")
    text = release.read_text()
    release.write_text(text.replace("CODENAME=trixie", "CODENAME=sid"))
    assert "this board is sid/amd64; mill was trixie/amd64" in carrier.walk("mill", status=15)
    release.write_text(text)
    assert "demo" not in installed(board)
    changed = set(files(board).splitlines()) - set(before.splitlines())
    assert not changed, changed
