"""Models on this machine: versions, manifests, and faults with their line in boards.yml."""

import hashlib
import os
from pathlib import Path

import pytest

from builders.boards.connection import BoardError
from builders.boards.facts import BoardFacts
from builders.boards.inventory import load_inventory, require_models
from builders.boards.model_folder import ModelFault, model_versions
from builders.boards.rollout.models import models_asked, plan_models
from builders.errors import InputError


def write(path: Path, content: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_versions_and_their_manifests(tmp_path: Path) -> None:
    write(tmp_path / "10" / "model.tflite", "ten")
    write(tmp_path / "9" / "b" / "z", "")
    write(tmp_path / "9" / "b.c", "b" * 5000)
    write(tmp_path / "README.md")
    (tmp_path / "latest").symlink_to("10")
    found = model_versions(tmp_path)
    assert list(found) == [9, 10]
    empty, text = hashlib.sha256(b"").hexdigest(), hashlib.sha256(b"b" * 5000).hexdigest()
    assert found[9].manifest == f"{text} 5000 b.c\n{empty} 0 b/z\n"
    assert found[9].digest == hashlib.sha256(found[9].manifest.encode()).hexdigest()
    assert found[9].room == 8192
    assert found[10].digest != found[9].digest


def link(path: Path) -> None:
    write(path / "1" / "real")
    (path / "1" / "model.tflite").symlink_to("real")


def linked_version(path: Path) -> None:
    write(path / "elsewhere" / "model.tflite")
    (path / "1").symlink_to("elsewhere")


def pipe(path: Path) -> None:
    (path / "1").mkdir()
    os.mkfifo(path / "1" / "pipe")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda path: write(path / "v1" / "model.tflite"), "has no versions"),
        (lambda path: write(path / "1"), "1 is no folder"),
        (lambda path: (path / "1").mkdir(), "1 has no files"),
        (lambda path: [write(path / "1" / "x"), write(path / "01" / "x")], "version 1 is a duplicate"),
        (link, "model.tflite is a link"),
        (linked_version, "1 is no folder; links are not followed"),
        (pipe, "pipe is neither a file nor a folder"),
        (lambda path: write(path / "1" / "two\nlines"), "cannot be printed"),
    ],
)
def test_faults_of_a_folder_have_the_line_of_boards_yml(tmp_path: Path, made: object, words: str) -> None:
    (tmp_path / "models").mkdir()
    made(tmp_path / "models")  # type: ignore[operator] # a function
    with pytest.raises(ModelFault, match=words):
        model_versions(tmp_path / "models")
    text = "all:\n  hosts: {a: }\n  vars:\n    reef_models:\n      digits: models\n"
    (tmp_path / "boards.yml").write_text(text)
    with pytest.raises(InputError) as caught:
        require_models(tmp_path / "boards.yml")
    assert "boards.yml:5: all.vars.reef_models.digits: " in str(caught.value)


def test_a_missing_folder_prevents_a_rollout_but_no_look_at_the_boards(tmp_path: Path) -> None:
    (tmp_path / "boards.yml").write_text("all:\n  hosts:\n    a: {reef_models: {digits: away}}\n")
    with pytest.raises(InputError, match=r"boards.yml:3: .*no such folder: .*away"):
        require_models(tmp_path / "boards.yml")
    (board,) = load_inventory(tmp_path).boards
    assert models_asked(board) == "digits:"
    with pytest.raises(BoardError, match="a: no such folder"):
        plan_models(board, BoardFacts({}, 0, 0), [])
