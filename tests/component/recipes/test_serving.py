"""Whose tensorflow-model-server a board gets where Google's repository is configured too: real apt decides. And its
README's three commands, on a board's folders that are not this machine's.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from builders.model.recipe import load_recipe
from builders.model.target import parse_target
from tests.support.boards import Board, package, packages_of
from tests.support.checkout import CHECKOUT

RECIPES = CHECKOUT / "recipes"
OURS = "1:2.16.1-1~deb13"
GOOGLES = "2.19.1"
"""Newer than ours, and for "all" CPUs."""


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    (tmp_path / "ours").mkdir()
    package(tmp_path / "ours", "adduser", "3.134", "all")
    return packages_of(load_recipe(RECIPES / "tensorflow-serving"), parse_target("trixie/arm64"), tmp_path / "ours")


@pytest.fixture
def googles(tmp_path: Path) -> Path:
    (tmp_path / "googles").mkdir()
    package(tmp_path / "googles", "tensorflow-model-server", GOOGLES, "all")
    return package(tmp_path / "googles", "tensorflow-model-server-universal", GOOGLES, "all")


@pytest.mark.parametrize("order", [1, -1])
def test_an_arm_board_gets_ours(tmp_path: Path, ours: Path, googles: Path, order: int) -> None:
    board = Board(tmp_path / "board", [ours, googles][::order], "arm64")
    plan = board.plan("install", "tensorflow-model-server")
    assert plan == {"adduser:all": "3.134", "tensorflow-model-server:arm64": OURS}


def test_an_arm_board_that_took_googles_is_repaired_by_an_upgrade(tmp_path: Path, ours: Path, googles: Path) -> None:
    board = Board(tmp_path / "board", [googles, ours], "arm64")
    board.has("tensorflow-model-server", GOOGLES, "all")
    board.has("adduser", "3.134", "all")
    assert board.plan("upgrade") == {"tensorflow-model-server:arm64": OURS}


def test_googles_other_build_of_the_same_file_makes_room(tmp_path: Path, ours: Path, googles: Path) -> None:
    board = Board(tmp_path / "board", [googles, ours], "arm64")
    board.has("tensorflow-model-server-universal", GOOGLES, "all")
    board.has("adduser", "3.134", "all")
    plan = board.plan("install", "tensorflow-model-server")
    assert plan == {"tensorflow-model-server:arm64": OURS, "tensorflow-model-server-universal": "remove"}


@pytest.mark.parametrize("architectures", [("amd64",), ("amd64", "arm64")])
def test_an_amd64_machine_keeps_googles(
    tmp_path: Path, ours: Path, googles: Path, architectures: tuple[str, ...]
) -> None:
    board = Board(tmp_path / "board", [ours, googles], *architectures)
    assert board.plan("install", "tensorflow-model-server") == {"tensorflow-model-server:all": GOOGLES}
    board.has("tensorflow-model-server", "2.18.0", "all")
    assert board.plan("upgrade") == {"tensorflow-model-server:all": GOOGLES}


def test_the_pin_of_the_readme_is_one_that_apt_heeds(tmp_path: Path, ours: Path, googles: Path) -> None:
    readme = (RECIPES / "tensorflow-serving/files/README.Debian").read_text()
    stanza = readme[readme.index("    Package: tensorflow-model-server") :].replace("    ", "")
    assert [line.partition(":")[0] for line in stanza.splitlines()] == ["Package", "Pin", "Pin-Priority"]
    # The folders of this test have no host name; both are pinned away by the same stanza, so nothing can be had.
    pin = stanza.replace("origin storage.googleapis.com", 'origin ""')
    board = Board(tmp_path / "board", [googles], "arm64", pin=pin)
    assert "no installation candidate" in board.refuses("install", "tensorflow-model-server-universal")


README = RECIPES / "tensorflow-serving/files/README.Debian"
STAND_INS = {
    "sudo": 'exec "$@"',
    "systemctl": 'echo "systemctl $*"',
    "sleep": ":",
    "curl": 'echo "curl $*"',
}
"""Programs of the board that the commands use and a test cannot: they only tell."""


def first_model(tmp_path: Path) -> "subprocess.CompletedProcess[str]":
    """Run the README's three commands, with the places of the board below ``tmp_path``."""
    commands = re.findall(r"^    (sudo .*)$", README.read_text(), re.MULTILINE)
    assert len(commands) == 3
    programs = tmp_path / "bin"
    programs.mkdir(exist_ok=True)
    for name, body in STAND_INS.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    script = "\n".join(commands).replace("/var/lib/", f"{tmp_path}/var/lib/").replace(" /etc/", f" {tmp_path}/etc/")
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        ["sh", "-eu", "-c", script.replace(" MODEL ", " model ")],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip


def test_the_readmes_three_commands_bring_up_a_first_model(tmp_path: Path) -> None:
    files = RECIPES / "tensorflow-serving/files"
    config = tmp_path / "etc/tensorflow-serving/models.config"
    config.parent.mkdir(parents=True)
    shipped = (files / "models.config").read_text()
    config.write_text(shipped)
    (tmp_path / "var/lib/tensorflow-serving/models").mkdir(parents=True)
    (tmp_path / "model").mkdir()
    (tmp_path / "model/saved_model.pb").write_text("a model")
    output = first_model(tmp_path).stdout.splitlines()
    assert output == ["systemctl restart tensorflow-model-server", "curl http://localhost:8501/v1/models/first"]
    assert "REST_PORT=8501\n" in (files / "tensorflow-model-server").read_text()
    place = f"{tmp_path}/var/lib/tensorflow-serving/models/first"
    assert (Path(place) / "1/saved_model.pb").read_text() == "a model"
    comments = "".join(line for line in shipped.splitlines(keepends=True) if line.startswith("#"))
    assert config.read_text() == (
        f"{comments}model_config_list {{\n"
        f'  config {{ name: "first" base_path: "{place}" model_platform: "tensorflow" }}\n}}\n'
    )
