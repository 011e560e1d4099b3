"""The recipes' versions beside those of others and of each other, judged by dpkg itself."""

import itertools
import subprocess

import pytest

from builders.model.recipe import Recipe, load_recipes
from builders.model.target import SUITES, parse_target
from tests.support.checkout import CHECKOUT

RECIPES = load_recipes(CHECKOUT / "recipes")
SUITES_BY_AGE = sorted(SUITES, key=lambda name: SUITES[name].release)


def ascending(*versions: str) -> bool:
    """Tell whether dpkg puts each version above the one before it."""
    pairs = list(itertools.pairwise(versions))
    assert pairs
    judged = [subprocess.run(["dpkg", "--compare-versions", a, "lt", b], check=False).returncode for a, b in pairs]
    return judged == [0] * len(pairs)


def version(recipe: Recipe, suite: str = "trixie", revision: int = 0) -> str:
    """Return the version in a suite, of the newest changelog entry or as a later ``revision`` would have it."""
    entry = recipe.changelog[0]
    later = entry.model_copy(update={"revision": revision}) if revision else entry
    return recipe.debian_version(parse_target(f"{suite}/arm64"), later)


def test_dpkg_judges() -> None:
    assert not ascending("2", "1")
    assert not ascending("1", "1")


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_a_boards_release_upgrade_upgrades_its_packages(recipe: Recipe) -> None:
    assert ascending(*(version(recipe, suite) for suite in SUITES_BY_AGE))
    # A later revision goes before the suite: whoever has it in the oldest suite does not get the older one of a newer.
    assert ascending(version(recipe, SUITES_BY_AGE[-1]), version(recipe, SUITES_BY_AGE[0], recipe.revision + 1))


def test_the_edge_tpu_runtime_stands_between_googles_last_release_and_a_next_one() -> None:
    ours = version(RECIPES["libedgetpu"])
    assert ascending("16.0", ours, "17", "17.0")
    # What others build of the same sources, for a newer TensorFlow even, does not replace ours by itself.
    assert ascending("16.0TF2.19.1-1", ours)
    assert ascending("16.0-0ppa1", "16.0pp3", ours)
    assert ascending(ours, ours.replace("tf2.14.1", "tf2.16.1"))


def test_the_driver_stands_above_googles_last_one() -> None:
    assert ascending("1.0-17", "1.0-18", version(RECIPES["gasket-dkms"]), "1.1", "2.0-1")


def test_the_server_stands_above_googles_whatever_its_version() -> None:
    ours = RECIPES["tensorflow-serving"]
    assert ascending("2.16.1", "2.21.0", "99.0.0", version(ours))
    assert ours.version_epoch == 1


def test_a_variant_stands_between_its_own_revision_and_the_next() -> None:
    generic = RECIPES["tensorflow-serving"]
    tuned = generic.as_variant("cortex-a72")
    assert ascending(version(generic), version(tuned), version(generic, revision=generic.revision + 1))
