"""The order of a rollout."""

from pathlib import Path

import pytest

from builders.boards.inventory import Board, Inventory
from builders.boards.inventory.keys import BoardKeys
from builders.boards.rollout.waves import Budget, waves
from builders.errors import InputError


def inventory(*names: str, canary: tuple[str, ...] = (), **batches: int) -> Inventory:
    return Inventory(
        Path("boards.yml"),
        tuple(
            Board(name, ("canary",) if name in canary else (), BoardKeys(reef_batch=batches.get(name, 5)))
            for name in names
        ),
    )


def order(found: Inventory, canary: str | None = None, batch: int | None = None) -> list[tuple[str, str]]:
    return [
        (wave.name, "".join(board.name for board in wave.boards)) for wave in waves(found, found.boards, canary, batch)
    ]


@pytest.mark.parametrize(
    ("canary", "batch", "expected"),
    [
        (None, None, [("canary", "a"), ("batch 1", "bcdef"), ("batch 2", "g")]),
        ("0", None, [("batch 1", "abcde"), ("batch 2", "fg")]),
        ("2", 3, [("canary", "ab"), ("batch 1", "cde"), ("batch 2", "fg")]),
        ("c", 10, [("canary", "c"), ("batch 1", "abdefg")]),
        ("7", 2, [("batch 1", "ab"), ("batch 2", "cd"), ("batch 3", "ef"), ("batch 4", "g")]),
    ],
)
def test_canary_and_batches(canary: str | None, batch: int | None, expected: list[tuple[str, str]]) -> None:
    assert order(inventory(*"abcdefg"), canary, batch) == expected


def test_the_group_canary_is_the_canary() -> None:
    assert order(inventory(*"abc", canary=("c",))) == [("canary", "c"), ("batch 1", "ab")]


def test_one_board_has_no_canary() -> None:
    assert order(inventory("a")) == [("batch 1", "a")]


def test_a_canary_that_nobody_named_is_a_board_that_answers() -> None:
    found = inventory(*"abc")
    assert [wave.boards[0].name for wave in waves(found, found.boards, None, None, {"a"})] == ["b", "a"]
    assert [wave.boards[0].name for wave in waves(found, found.boards, "a", None, {"a"})] == ["a", "b"]


def test_boards_of_other_batch_sizes_do_not_meet() -> None:
    assert order(inventory(*"abcde", b=1, c=1), "0") == [("batch 1", "ade"), ("batch 2", "b"), ("batch 3", "c")]


def test_an_unknown_canary() -> None:
    with pytest.raises(InputError, match="no board or group 'canari'") as caught:
        order(inventory(*"ab", canary=("a",)), "canari")
    assert "did you mean 'canary'" in caught.value.detail


def test_the_budget_counts_over_all_waves() -> None:
    budget = Budget(1)
    budget.count("a")
    assert not budget.spent
    budget.count("b")
    assert budget.spent
    assert Budget().spent is False
