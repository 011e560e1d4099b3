"""The room that an installation needs."""

from typing import cast

import pytest

from builders.boards.connection import BoardError
from builders.boards.facts import BoardFacts
from builders.boards.rollout.plan import BoardPlan
from builders.boards.rollout.room import require_room


class Planned:
    """The part of a plan that counts."""

    board = "one"

    def __init__(self, **disks: str) -> None:
        self.facts = BoardFacts({f"disk_{name}": [text] for name, text in disks.items()}, 0, 0)


def required(sums: str, **disks: str) -> None:
    require_room(cast("BoardPlan", Planned(**disks)), sums)


def test_enough_room() -> None:
    required("80.0 MB to download, 1,000 kB more on the disk", archives="100000 - /", usr="100000 - /")
    required("", usr="10 - /")
    required("80.0 MB to download, 5 GB less on the disk", archives="100000 - /var", usr="1 - /")
    required("5 GB to download")


@pytest.mark.parametrize(
    ("sums", "place"),
    [
        ("90.0 MB to download, 0 B more on the disk", "/var"),
        ("0 B to download, 1,234 MB more on the disk", "/"),
        ("50.5 MB to download, 1.2 TB more on the disk", "/"),
    ],
)
def test_too_little_room(sums: str, place: str) -> None:
    with pytest.raises(BoardError, match=rf"one: 102 MB free on {place}, too little") as caught:
        required(sums, archives="100000 - /var", usr="100000 - /")
    assert caught.value.detail == sums


def test_one_file_system_holds_both() -> None:
    with pytest.raises(BoardError):
        required("50 MB to download, 50 MB more on the disk", archives="100000 - /", usr="100000 - /")
