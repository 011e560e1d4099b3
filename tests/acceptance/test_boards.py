"""The published packages on a board: a virtual one, with one command, as docs/boards.md has it for people."""

import re
from collections.abc import Iterator

import pytest
import yaml

from tests.support.checkout import CHECKOUT
from tests.support.stranger import Stranger
from tests.support.virtual_board import places

WISHES = ("edge-model-server", "edge-model-client", "tflite-tools")


@pytest.fixture
def on_a_board(stranger: Stranger) -> Iterator[Stranger]:
    """The stranger, who started a virtual board."""
    with places(1):
        try:
            stranger.inv("virtual-board", *(word for name in WISHES for word in ("--package", name)))
            yield stranger
        finally:
            stranger.inv("clean", "--what", "virtual-boards")


def model(project: Stranger, number: int, content: bytes) -> None:
    folder = project.project / "models" / "numbers" / str(number)
    folder.mkdir(parents=True)
    (folder / "model.tflite").write_bytes(content)


def test_the_model_server_answers_on_a_board_after_one_command(on_a_board: Stranger) -> None:
    output = on_a_board.inv("install-boards")
    assert re.search(r"virtual-1 +good", output), output
    # Both gates made a real inference there: with the library, and with the service.
    explained = on_a_board.inv("explain-board", "virtual-1")
    assert "reef: gate digits" in explained
    assert re.search(r"reef: gate answers.*^ +7 ", explained, re.DOTALL | re.MULTILINE), explained

    # A model of the owner: the real server loads it, and refuses one that is none.
    model(on_a_board, 1, (CHECKOUT / "recipes" / "tensorflow-lite" / "files" / "digits" / "digits.tflite").read_bytes())
    inventory = on_a_board.project / "boards.yml"
    boards = yaml.safe_load(inventory.read_text())
    boards["all"]["hosts"]["virtual-1"]["reef_models"] = {"numbers": "models/numbers"}
    inventory.write_text(yaml.safe_dump(boards))
    assert re.search(r"virtual-1 +good", on_a_board.inv("install-boards"))
    assert "model numbers: - -> 1" in on_a_board.inv("explain-board", "virtual-1")
    model(on_a_board, 2, b"not a model")
    output = on_a_board.inv("install-boards", status=15)
    assert re.search(r"virtual-1 +rolled-back +model numbers 2 is not available: LOADING .*this is no Tens", output), (
        output
    )
    assert re.search(r"virtual-1 +now .* active .* rolled-back", on_a_board.inv("boards")), output
