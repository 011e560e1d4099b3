"""Adding boards to boards.yml."""

from pathlib import Path

import pytest

from builders.boards.inventory import load_inventory
from builders.boards.inventory.add import add_board
from builders.errors import InputError


def test_the_first_board_makes_the_file(tmp_path: Path) -> None:
    path = add_board(tmp_path, "coral-1", {"ansible_host": "192.168.7.20", "ansible_port": 2222}, ("tflite-tools",))
    (board,) = load_inventory(tmp_path).boards
    assert board.destination == "192.168.7.20:2222"
    assert board.keys.reef_packages == ("tflite-tools",)
    assert path.read_text().startswith("#")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("all:\n  hosts:\n    a:\n", "all:\n  hosts:\n    a:\n    new:\n"),
        ("all:\n  hosts:\n    a: # mine", "all:\n  hosts:\n    a: # mine\n    new:\n"),
        (
            "all:\n  hosts:\n    a: {reef_batch:\n      2}\n",
            "all:\n  hosts:\n    a: {reef_batch:\n      2}\n    new:\n",
        ),
        (
            "all:\n  hosts:\n    a:\n      reef_batch: 2\n      reef_packages:\n        - ab\n\n  vars: {}\n",
            "all:\n  hosts:\n    a:\n      reef_batch: 2\n      reef_packages:\n        - ab\n    new:\n\n  vars: {}\n",
        ),
    ],
)
def test_a_line_is_added_behind_the_last_board_and_all_else_stays(tmp_path: Path, before: str, after: str) -> None:
    (tmp_path / "boards.yml").write_text(before)
    assert add_board(tmp_path, "new", {}, ()).read_text() == after


@pytest.mark.parametrize(
    ("text", "name", "keys", "words"),
    [
        (None, "pi[1:3]", {}, "not a board's name"),
        (None, "a", {"ansible_port": 0}, "ansible_port: Input should be greater than or equal to 1"),
        ("all:\n  hosts:\n    a:\n", "a", {}, "a is in"),
        ("all: {hosts: {a: }}\n", "b", {}, "no lines of boards below all: hosts:"),
        ("all:\n  children:\n    g: {hosts: {a: }}\n", "b", {}, "no lines of boards below all: hosts:"),
        ("all:\n  hosts:\n    a:\n", "b", {"ansible_host": "a"}, "b has the address of a"),
    ],
)
def test_what_cannot_be_added_leaves_the_file_as_it_was(
    tmp_path: Path, text: str | None, name: str, keys: dict[str, str | int], words: str
) -> None:
    path = tmp_path / "boards.yml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError) as caught:
        add_board(tmp_path, name, keys, ())
    assert words in f"{caught.value.what}\n{caught.value.detail}"
    assert (path.read_text() if path.exists() else None) == text
