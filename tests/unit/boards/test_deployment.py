"""Deployments: which builds boards need, and what they find after them."""

from types import SimpleNamespace
from typing import Any

import pytest

from builders.boards.facts import BoardFacts
from builders.boards.inventory import Board
from builders.boards.inventory.keys import BoardKeys
from builders.boards.rollout.board_run import Outcome
from builders.boards.rollout.follow import State
from builders.boards.rollout.offer import Offer, PublishedFile
from builders.boards.rollout.options import Options
from builders.boards.rollout.run import RolloutRun
from builders.boards.rollout.steps import sources_at
from builders.model.packages import PackageFile
from builders.model.target import parse_target
from builders.pipeline.deployment import need_of, recipes_of, with_candidates
from tests.support.debs import recipe_of

TARGET = parse_target("trixie/arm64")


def offer(suite: str, *versions: str) -> Offer:
    debs = [PackageFile("demo", version, "arm64", 1, version) for version in versions]
    text = f"Types: deb\nURIs: file:/x\nSuites: {suite}\n".encode()
    return Offer(suite, "stamp", debs, PublishedFile("/k", b""), PublishedFile(f"/etc/{suite}.sources", text))


def facts(codename: str = "trixie", architecture: str = "arm64") -> BoardFacts:
    values = {"os_codename": [codename], "architecture": [architecture], "package": ["libdemo 1.0-1 arm64 ii"]}
    return BoardFacts(values, 0, 0)


@pytest.mark.parametrize(
    ("suite", "only", "expected"),
    [
        (None, (), {"demo", "libdemo"}),
        ("trixie-testing", (), {"demo", "libdemo"}),
        (None, ("more=1.0-1",), {"more"}),
    ],
)
def test_what_a_board_needs(suite: str | None, only: tuple[str, ...], expected: set[str]) -> None:
    board = Board("one", (), BoardKeys(reef_packages=("demo=1.0-1",), reef_suite=suite))
    need = need_of(board, facts(), {}, only)
    assert need
    assert (need.target, set(need.packages)) == (TARGET, expected)


def test_reef_builds_nothing_for_other_cpus() -> None:
    assert need_of(Board("one", (), BoardKeys()), facts(architecture="riscv64"), {}) is None


def test_the_recipes_of_packages_and_of_their_dependencies() -> None:
    recipes = {name: recipe_of(name).model_copy(update={"name": name}) for name in ("base", "tool", "other", "library")}
    package = recipes["tool"].packages[0].model_copy(update={"depends": ["nobody | library (>= 1.0)"]})
    recipes["tool"] = recipes["tool"].model_copy(update={"packages": [package]})
    assert recipes_of(recipes, TARGET, ["tool", "from-debian"]) == ["tool", "library"]
    assert recipes_of(recipes, parse_target("buster/arm64"), ["tool"]) == []


def test_candidates_are_beside_what_is_published() -> None:
    published = {name: offer(name, "2" if "-" in name else "1") for name in ("trixie", "bookworm", "trixie-testing")}
    found = with_candidates(published, ["trixie"], "testing")
    assert found["trixie"].versions("arm64") == {"demo": ("1", "2")}
    assert found["trixie"].sources.path == "/etc/trixie.sources"
    text = sources_at(found["trixie"], "http://here/")
    assert (text.count(b"URIs: http://here/"), text.count(b"Suites: trixie-testing"), text.count(b"\n\n")) == (2, 1, 1)
    assert b"trixie\n" not in sources_at(found["trixie"], "file:/bundle", alone=True)
    assert found["bookworm"].versions("arm64") == {"demo": ("1",)}


def test_the_first_candidates_stand_alone() -> None:
    found = with_candidates({"trixie-testing": offer("trixie-testing", "2")}, ["trixie"], "testing")
    assert found["trixie"] == found["trixie-testing"]


@pytest.mark.parametrize(
    ("states", "most", "expected"),
    [
        (["good", "good"], 0, True),
        (["good", "skipped"], 0, True),
        (["skipped", "skipped"], 0, False),
        (["good", "rolled-back"], 0, False),
        (["good", "rolled-back"], 1, True),
        (["rolled-back"], 1, False),
    ],
)
def test_a_rollout_passed_where_boards_are_good_and_few_failed(states: list[State], most: int, expected: bool) -> None:
    nothing: Any = SimpleNamespace()
    run = RolloutRun(nothing, {}, nothing, nothing, Options(most_failures=most), nothing, nothing)
    run.outcomes = {str(number): Outcome(state) for number, state in enumerate(states)}
    assert run.passed is expected
