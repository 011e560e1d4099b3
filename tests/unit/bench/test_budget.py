"""The verdicts that benchmarks end with."""

import io

import pytest
from rich.console import Console

from builders.host.log import Log
from tests.bench.budget import OVER, STRICT, Budget, exit_code, tell

KEPT, OVER_IT, TOLD = Budget("cold", 1.10, 1.10), Budget("idle", 1.01, 1.0, "s"), Budget("cross", 8.0)


def test_a_budget_may_be_used_up_and_not_passed() -> None:
    assert KEPT.kept
    assert not OVER_IT.kept
    assert TOLD.kept
    assert not Budget("broken", float("nan"), 1.0).kept


@pytest.mark.parametrize(
    ("budgets", "words", "wanted"),
    [
        ([KEPT, TOLD], [STRICT], 0),
        ([KEPT, OVER_IT, TOLD], [], 0),
        ([KEPT, OVER_IT, TOLD], [STRICT], OVER),
        ([], [STRICT], 0),
    ],
)
def test_only_a_strict_run_fails(budgets: list[Budget], words: list[str], wanted: int) -> None:
    assert exit_code(budgets, words) == wanted


def test_each_is_told_with_its_verdict() -> None:
    said = io.StringIO()
    tell([KEPT, OVER_IT, TOLD], Log(live=False, console=Console(file=said, width=100)))
    rows = [line.split() for line in said.getvalue().splitlines()]
    assert ["cold", "1.10", "<=", "1.1", "kept"] in rows
    assert ["idle", "1.01", "s", "<=", "1", "s", "OVER"] in rows
    assert ["cross", "8.00"] in rows
