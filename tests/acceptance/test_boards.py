"""The published packages on a board: a virtual one, with one command, as docs/boards.md has it for people."""

import re
from collections.abc import Iterator

import pytest

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


def test_the_model_server_answers_on_a_board_after_one_command(on_a_board: Stranger) -> None:
    output = on_a_board.inv("install-boards")
    assert re.search(r"virtual-1 +good", output), output
    # Both gates made a real inference there: with the library, and with the service.
    explained = on_a_board.inv("explain-board", "virtual-1")
    assert "reef: gate digits" in explained
    assert re.search(r"reef: gate answers.*^ +7 ", explained, re.DOTALL | re.MULTILINE), explained
