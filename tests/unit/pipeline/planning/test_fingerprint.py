"""The fingerprint holds everything that decides a build's bytes, and nothing else."""

from typing import Any

import pytest

from builders.deb import debian_files, plan_job
from builders.model.arch import AMD64
from builders.model.recipe import Recipe, load_recipe
from builders.model.settings import Settings
from builders.model.target import parse_target
from builders.pipeline.planning.fingerprint import fingerprint, short_digest
from builders.pipeline.planning.plan import differences
from tests.support.checkout import HELLO

KEPT = load_recipe(HELLO)
MINIATURE = KEPT.model_copy(update={"keep_source": False})


def document(recipe: Recipe = MINIATURE, target: str = "trixie/arm64", **settings: Any) -> Any:
    to = parse_target(target)
    debian = debian_files(recipe, to, Settings(**settings))
    job = plan_job(recipe, to, strategy="cross", machine=AMD64, debian=debian)
    return fingerprint(job, {name: short_digest({}) for name in recipe.build.recipes})


def with_build(**changes: Any) -> Recipe:
    recipe = MINIATURE.model_copy(update={"build": MINIATURE.build.model_copy(update=changes)})
    recipe._folder = MINIATURE.folder
    return recipe


def changed(recipe: Recipe, before: Any = None, **settings: Any) -> set[str]:
    return {change.path for change in differences(before or document(), document(recipe, **settings))}


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({"compile": "true"}, {"debian.reef/compile.sh"}),
        ({"fetch": "true"}, {"script.fetch"}),
        ({"tools": ["cmake"]}, {"root.packages", "debian.control"}),
        ({"recipes": {"other": ["libother-dev"]}}, {"script.fetch", "against.other"}),
        ({"time_limit_s": 5.0}, set()),
    ],
)
def test_what_decides_the_bytes_is_in_it(changes: dict[str, Any], paths: set[str]) -> None:
    assert changed(with_build(**changes)) == paths


def test_keeping_the_source_is_in_it_where_it_is_kept() -> None:
    isa = {"debian.control", "debian.reef/isa.sh"}  # one source serves armhf too
    assert changed(KEPT) == {"debian.rules", "debian.source/patch-header", "script.run", *isa}
    assert document(KEPT)["debian"] == document(KEPT, "trixie/armhf")["debian"]


def test_which_packages_of_another_recipe_are_taken_is_in_it() -> None:
    one = document(with_build(recipes={"other": ["libother-dev"]}))
    assert changed(with_build(recipes={"other": ["libother-dev", "other"]}), one) == {"script.fetch"}


def test_settings_count_only_where_they_reach_the_packages() -> None:
    assert changed(MINIATURE, jobs=7, ccache_size="1G", debian_mirror="http://127.0.0.1/") == set()
    assert changed(MINIATURE, maintainer="Me <me@example.org>") == {
        "debian.control",
        "debian.changelog",
        "debian.copyright",
    }
