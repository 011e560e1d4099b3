"""Trains: apt itself refuses packages that were built from different TensorFlows; from the recipes' real controls."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from builders.model.recipe import Recipe, load_recipe, load_recipes
from builders.model.target import parse_target
from tests.support.boards import Board, package, packages_of
from tests.support.checkout import CHECKOUT

RECIPES = CHECKOUT / "recipes"
TARGET = parse_target("trixie/arm64")
LATER = "2.99"
LITE, TPU = "tensorflow-lite", "libedgetpu"


def on_train(name: str, folder: Path, train: str) -> Recipe:
    """Return the recipe as it will stand on another train: every mention of its own moved to it."""
    shutil.copytree(RECIPES / name, folder / name)
    path = folder / name / "recipe.yml"
    own = yaml.safe_load(path.read_text())["tensorflow"]
    text = path.read_text().replace(f"libtensorflow-lite{own}.1", f"libtensorflow-lite{train}.1")
    path.write_text(re.sub(rf"(?<![\d.]){re.escape(own)}(?![\d])", train, text).replace(f"tf{own}", f"tf{train}"))
    return load_recipe(folder / name)


def debians(folder: Path, *recipes: Recipe) -> Path:
    """Stand-ins for what the recipes' packages depend on and Debian has."""
    ours = {each.name for recipe in recipes for each in recipe.packages}
    named = {
        word
        for recipe in recipes
        for each in recipe.packages
        for relation in each.depends
        for word in re.findall(r"(?:^|\| *)([a-z0-9][a-z0-9+.-]+)", relation)
    }
    folder.mkdir()
    for name in sorted(named - ours):
        package(folder, name, "23.5.26-1" if "flatbuffers" in name else "99", "arm64")
    return folder


@pytest.fixture
def board(tmp_path: Path) -> Board:
    """A board that can have TensorFlow Lite and the Edge TPU runtime of two trains."""
    repositories = []
    recipes = [load_recipe(RECIPES / LITE), load_recipe(RECIPES / TPU)]
    later = [on_train(LITE, tmp_path / "later", LATER), on_train(TPU, tmp_path / "later", LATER)]
    for number, recipe in enumerate([*recipes, *later]):
        (tmp_path / f"made{number}").mkdir()
        repositories.append(packages_of(recipe, TARGET, tmp_path / f"made{number}"))
    return Board(tmp_path / "board", [*repositories, debians(tmp_path / "debian", *recipes, *later)], "arm64")


def version(recipe: str) -> str:
    return load_recipe(RECIPES / recipe).debian_version(TARGET)


def test_a_pair_of_one_train_is_installed(board: Board) -> None:
    plan = board.plan("install", "libtensorflow-lite2.14.1", f"libedgetpu1-std={version(TPU)}")
    assert plan["libtensorflow-lite2.14.1:arm64"] == version(LITE)
    assert plan["libedgetpu1-std:arm64"] == version(TPU)
    board.plan("install", f"libtensorflow-lite{LATER}.1", "libedgetpu1-std")


@pytest.mark.parametrize("variant", ["std", "max"])
def test_a_mixed_pair_is_refused_at_once(board: Board, variant: str) -> None:
    said = board.refuses("install", f"libtensorflow-lite{LATER}.1", f"libedgetpu1-{variant}={version(TPU)}")
    assert "Conflicts" in said or "conflicts" in said


def test_it_is_refused_in_two_steps_too(board: Board) -> None:
    """What is there already is never left beside what would crash with it: apt says that it would have to go."""
    board.has("libtensorflow-lite2.14.1", version(LITE), "arm64", Provides="libtensorflow-lite-abi (= 2.14)")
    board.has("adduser", "99", "arm64")
    plan = board.plan("install", f"libedgetpu1-std={version(TPU).replace('2.14', LATER)}")
    assert plan["libtensorflow-lite2.14.1"] == "remove"


def test_one_variant_takes_the_others_place_and_the_headers_stay(board: Board) -> None:
    own = version(TPU)
    board.has("libedgetpu1-std", own, "arm64", Provides=f"libedgetpu1 (= {own})", Conflicts="libedgetpu1")
    board.has("libedgetpu-dev", own, "arm64", Depends=f"libedgetpu1 (= {own})")
    plan = board.plan("install", f"libedgetpu1-max={own}")
    assert plan["libedgetpu1-max:arm64"] == own
    assert plan["libedgetpu1-std"] == "remove"
    assert "libedgetpu-dev" not in {name.partition(":")[0] for name in plan}


def test_each_recipe_speaks_of_its_own_train_alone() -> None:
    trains = {name: recipe for name, recipe in load_recipes(RECIPES).items() if recipe.tensorflow}
    assert {LITE, TPU, "tensorflow-serving"} <= set(trains)
    for recipe in trains.values():
        for each in recipe.packages:
            relations = [*each.provides, *each.depends, *each.conflicts, *each.suggests, *each.recommends]
            output = {number for one in relations for number in re.findall(r"-tf(\d+\.\d+)", one)}
            output |= {number for one in relations for number in re.findall(r"-abi \([<>=]+ ([\d.]+)", one)}
            assert output <= {recipe.tensorflow}, f"{recipe.name}: {each.name}"
