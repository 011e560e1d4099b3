"""Models on light boards: real ssh, tar and renames; the model server's answers are a fake's."""

import re
from collections.abc import Iterator

import pytest

from tests.support.board_project import BoardProject, files, installed, version
from tests.support.fake_model_server import BASE, CONFIG, fake_model_server
from tests.support.light_board import LightBoard
from tests.support.repository import Publisher


@pytest.fixture
def board(boards: dict[str, LightBoard]) -> LightBoard:
    return boards["one"]


@pytest.fixture
def served(publisher: Publisher, board: LightBoard) -> Iterator[BoardProject]:
    """A board with a model server, an installed package, and version 3 of a model."""
    with fake_model_server(board):
        project = BoardProject(publisher, {"one": board}, {"reef_packages": ["demo"], "reef_gate_timeout_s": 5})
        project.trust()
        project.keys["reef_models"] = {"digits": "models/digits"}
        project.publish(*version(publisher, "1.0-1"))
        model(project, 3, "the third")
        project.inv("install-boards")
        yield project


def model(project: BoardProject, number: int, content: str, name: str = "digits") -> None:
    folder = project.folder / "models" / name / str(number)
    (folder / "assets").mkdir(parents=True)
    (folder / "model.tflite").write_text(content)
    (folder / "assets" / "labels of classes.txt").write_text("zero\none\n")


def versions(board: LightBoard, name: str = "digits") -> list[str]:
    """Return the versions on a board, and whatever a rollout left beside them."""
    return sorted(path.name for path in board.path(f"{BASE}/{name}").iterdir())


def test_a_model_comes_with_packages_and_a_second_run_changes_nothing(served: BoardProject, board: LightBoard) -> None:
    assert installed(board)["demo"] == "1.0-1"
    assert versions(board) == ["3"]
    assert board.shell(f"cat {BASE}/digits/3/model.tflite") == "the third"
    modes = board.shell(f"find {BASE} -printf '%y %m %u %g\\n' | sort -u").splitlines()
    assert modes == ["d 755 root root", "f 644 root root"]
    assert board.path(CONFIG).read_text().count('name: "digits"') == 1
    before = files(board) + board.shell(f"cd {BASE}; find . | sort")
    assert re.search(r"one +good +unchanged", served.inv("install-boards"))
    assert before == files(board) + board.shell(f"cd {BASE}; find . | sort")


def test_a_new_version_alone_needs_no_apt_and_the_way_back_is_kept(served: BoardProject, board: LightBoard) -> None:
    model(served, 4, "the fourth")
    # No other use of apt succeeds.
    board.path("/root/apt-get").write_text('#!/bin/sh\n[ "$*" = --version ] && echo apt 3.0.3')
    board.shell("mv /usr/bin/apt-get /usr/bin/apt-get.away; install -m 755 /root/apt-get /usr/bin/apt-get")
    assert "digits 3 -> 4" in served.inv("install-boards", "--plan")
    assert re.search(r"one +good", served.inv("install-boards"))
    assert versions(board) == ["3", "4"]
    assert "model digits: 3 -> 4" in served.inv("explain-board", "--board", "one")
    served.inv("rollback-boards")
    assert versions(board) == ["3"]


def test_a_model_that_cannot_be_loaded_goes_back_with_the_packages(served: BoardProject, board: LightBoard) -> None:
    model(served, 4, "broken")
    served.publish(*version(served.publisher, "1.1-1"))
    output = served.inv("install-boards", status=15)
    assert re.search(r"one +rolled-back +model digits 4 is not available: LOADING this is no model .no .TFL3", output)
    assert installed(board)["demo"] == "1.0-1"
    assert versions(board) == ["3"]
    assert "digits 3 -> 4" in served.inv("boards")


@pytest.mark.nightly
def test_an_older_version_takes_the_place_of_a_withdrawn_one(served: BoardProject, board: LightBoard) -> None:
    model(served, 4, "the fourth")
    served.inv("install-boards")
    (served.folder / "models/digits/4").rename(served.folder / "withdrawn")
    assert "digits 4 -> 3" in served.inv("install-boards")
    assert versions(board) == [".reef", "3"]
    served.inv("rollback-boards")
    assert versions(board) == ["3", "4"]


def test_power_that_is_cut_while_the_models_are_tested(served: BoardProject, board: LightBoard) -> None:
    (served.folder / "gate.sh").write_text("[ -e /root/pulled ] || { touch /root/pulling; sleep 60; }")
    served.keys |= {"reef_gate": "./gate.sh", "reef_gate_timeout_s": 100}
    model(served, 4, "the fourth")
    child = served.start("install-boards")
    while not board.path("/root/pulling").exists():
        assert child.poll() is None
    board.stop()
    child.kill()
    child.communicate()
    board.start()
    board.shell("touch /root/pulled")
    assert re.search(r"one +good", served.inv("install-boards"))
    assert versions(board) == ["3", "4"]
