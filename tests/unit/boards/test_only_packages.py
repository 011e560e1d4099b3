"""Rollouts of only some packages."""

import pytest

from builders.boards.connection import BoardError
from builders.boards.facts import BoardFacts
from builders.boards.inventory import Board
from builders.boards.inventory.keys import BoardKeys
from builders.boards.rollout.offer import Offer, PublishedFile
from builders.boards.rollout.options import package_words
from builders.boards.rollout.plan import plan_board
from builders.errors import InputError
from builders.model.packages import PackageFile

BOARD = Board("one", (), BoardKeys(reef_packages=("demo", "more")))
FACTS = BoardFacts(
    {
        "architecture": ["arm64"], "apt": ["3.0.3"], "systemd": ["257"], "time": ["100"],
        "package": ["demo 1.1-1 arm64 ii", "libdemo 1.0-1 arm64 ii"],
    },
    100, 100,
)  # fmt: skip
DEBS = [
    PackageFile(name, number, "arm64", 1, "0")
    for name in ("demo", "libdemo", "more", "reef-archive-keyring") for number in ("1.0-1", "1.1-1")
]  # fmt: skip
FILE = PublishedFile("/etc/file", b"")
OFFER = Offer("trixie", "stamp", DEBS, FILE, FILE, "https://apt.example.org/")


def changes(*only: str) -> list[str]:
    return list(map(str, plan_board(BOARD, FACTS, OFFER, only).changes))


def test_all_packages() -> None:
    assert changes() == ["more - -> 1.1-1", "reef-archive-keyring - -> 1.1-1", "libdemo 1.0-1 -> 1.1-1"]


def test_named_packages_replace_those_of_the_file() -> None:
    assert changes("libdemo") == ["libdemo 1.0-1 -> 1.1-1"]


def test_a_named_older_version_is_a_downgrade() -> None:
    assert changes("demo=1.0-1") == ["demo 1.1-1 -> 1.0-1 (downgrade)"]


def test_a_version_that_is_not_published() -> None:
    with pytest.raises(BoardError, match="demo 2 is not published in trixie"):
        changes("demo=2")


@pytest.mark.parametrize(("words", "error"), [(["Demo"], "not a package: 'Demo'"), (["a1", "a1=1"], "names a1 twice")])
def test_words_that_are_no_packages(words: list[str], error: str) -> None:
    with pytest.raises(InputError, match=error):
        package_words(words)
