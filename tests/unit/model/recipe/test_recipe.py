"""Recipes: what is wrong in one is told with file, line and the nearest legal name."""

from pathlib import Path

import pytest
import yaml

from builders.errors import InputError
from builders.model.arch import AMD64, ARM64
from builders.model.recipe import Recipe, choose, load_recipe, load_recipes
from builders.model.target import parse_target
from tests.support.checkout import HELLO


def written(folder: Path, change: str = "", by: str = "", name: str = "reef-hello") -> Path:
    text = (HELLO / "recipe.yml").read_text()
    assert change in text
    place = folder / name
    place.mkdir(parents=True)
    (place / "recipe.yml").write_text(text.replace(change, by, 1) if change else text)
    for file in ("files", "checks"):
        (place / file).symlink_to(HELLO / file)
    return place


def refused(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_recipe(folder)
    return str(caught.value)


def line_of(folder: Path, text: str) -> int:
    lines = (folder / "recipe.yml").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_the_miniature_is_read(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path))
    assert recipe.debian_version(parse_target("trixie/arm64")) == "1.2-2~deb13"
    assert recipe.debian_version(parse_target("bullseye/arm64"), recipe.changelog[1]) == "1.2-1~deb11"
    assert recipe.epoch == 1769860800
    assert recipe.serves(parse_target("trixie/armhf"))
    assert not recipe.serves(parse_target("bookworm/arm64"))


def test_an_unknown_key_is_reported_with_line_and_nearest(tmp_path: Path) -> None:
    folder = written(tmp_path, "license:", "licens:")
    output = refused(folder)
    assert f"recipe.yml:{line_of(folder, 'licens:')}: unknown key 'licens'; did you mean 'license'?" in output
    assert "missing key 'license'" in output


def test_an_unknown_key_deep_inside(tmp_path: Path) -> None:
    folder = written(tmp_path, "multi_arch: same", "multi_arhc: same")
    assert (
        f"recipe.yml:{line_of(folder, 'multi_arhc')}: unknown key 'packages.0.multi_arhc'; did you mean 'multi_arch'?"
        in refused(folder)
    )


@pytest.mark.parametrize(
    ("change", "by", "message"),
    [
        ("suites: [trixie]", "suites: [trixi]", "unknown suite 'trixi'; did you mean 'trixie'?"),
        ("armhf", "armhv", "unknown architecture 'armhv'; did you mean 'armhf'?"),
        ("find: GREETED", "find: '('", "not a regular expression"),
        ("    local: {path: source}\n", "", "exactly one of archive, file, debian, python, git, local"),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00", "expected a time zone"),
        ("2026-01-31T12:00:00Z", "1969-01-31T12:00:00Z", "from 1970 on"),
        ("2026-01-31T12:00:00Z", "2026-02-31T12:00:00Z", "day is out of range"),
        ("license: Apache-2.0\n", "license: Apache-2.0\nlicense: MIT\n", "duplicate key 'license'"),
        ('version: "1.2"', 'version: "1-2"', "String should match pattern"),
        ("checks/greeting.sh", "checks/absent.sh", "files of the recipe are missing"),
        ("name: reef-hello\n", "name: reef-hallo\n", "its folder's is 'reef-hello'"),
        ("    local: {path: source}", "    git: {url: x, commit: abc}", "sources.0.git.commit"),
        ("    local: {path: source}", "    git: {url: x, commit: v1.0}", "expected a whole commit, 40 hex digits (64"),
        ("    local: {path: source}", "    git: {url: x, commit: v1.0}", "git rev-parse 'NAME^{commit}' prints it"),
        (
            "    local: {path: source}",
            "    local: {path: source}\n    exclude: [{path: ../x, reason: y}]",
            "exclude.0.path",
        ),
        ("    local: {path: source}", "    local: {path: source}\n    exclude: [{path: x}]", "exclude.0.reason"),
        (
            "    local: {path: source}",
            f"    file: {{urls: [x], sha256: {'a' * 64}, name: f}}\n    exclude: [{{path: f, reason: y}}]",
            "exclude: is for sources of several files",
        ),
        ("    section: utils\n", "    lintian_overrides: [{tag: x, reason: ''}]\n", "reason: String should match"),
        ("    section: utils\n", '    lintian_overrides: [{tag: x, reason: "a\\nb"}]\n', "reason: String should match"),
        (
            "    section: utils\n",
            "    suggests: ['libreef-greet1 (= ${binary:Versoin})']\n",
            "unknown variable ${binary:Versoin}; did you mean ${binary:Version}?",
        ),
        (
            "    section: utils\n",
            "    accept: [{check: file-polici, match: /opt, reason: a}]\n",
            "unknown verdict 'file-polici'; did you mean 'file-policy'?",
        ),
        (
            "    section: utils\n",
            "    accept: [{check: 'run:greting', match: hi, reason: a}]\n",
            "no check 'run:greting'; did you mean 'run:greeting'?",
        ),
        ("    section: utils\n", "    accept: [{check: purge, match: ' ', reason: a}]\n", "match: String should match"),
        (
            "    section: utils\n",
            "    accept: [{check: purge, match: a}]\n",
            "missing key 'packages.2.accept.0.reason'",
        ),
        ("build:\n", "build:\n  fetch: ./get\n", "a source package cannot contain what build.fetch fetches"),
        (
            "build:\n",
            "build:\n  bazel: {version: 6.5.0, targets: ['//x']}\n",
            "a source package cannot contain what build.bazel fetches",
        ),
    ],
)
def test_wrong_values_are_reported(tmp_path: Path, change: str, by: str, message: str) -> None:
    assert message in refused(written(tmp_path, change, by))


def test_broken_yaml_is_reported_with_its_line(tmp_path: Path) -> None:
    folder = written(tmp_path, "license: Apache-2.0", "license: [")
    output = refused(folder)
    assert "not valid YAML" in output
    assert "recipe.yml:" in output


def test_no_recipe_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no recipes in"):
        load_recipes(tmp_path)


def named(name: str, *against: str) -> Recipe:
    data = yaml.safe_load((HELLO / "recipe.yml").read_text())
    data["name"] = name
    data["build"]["recipes"] = {other: ["libreef-greet1"] for other in against}
    return Recipe.model_validate(data)


def test_a_package_that_the_other_recipe_does_not_make_is_reported() -> None:
    recipes = {"aa": named("aa", "bb"), "bb": named("bb")}
    recipes["aa"].build.recipes["bb"] = ["libreef-greet2"]
    with pytest.raises(InputError, match="aa builds against libreef-greet2, which is not a package of bb") as caught:
        choose(recipes, ["aa"])
    assert "did you mean 'libreef-greet1'?" in caught.value.detail + caught.value.fix


def test_recipes_come_after_what_they_build_against() -> None:
    recipes = {name: named(name, *against) for name, against in {"aa": ["bb"], "bb": ["cc"], "cc": []}.items()}
    assert [recipe.name for recipe in choose(recipes, ["aa"])] == ["cc", "bb", "aa"]
    assert [recipe.name for recipe in choose(recipes, [])] == ["cc", "bb", "aa"]
    assert [recipe.name for recipe in choose(recipes, ["bb"])] == ["cc", "bb"]


def test_a_circle_and_an_unknown_recipe_are_reported() -> None:
    recipes = {"aa": named("aa", "bb"), "bb": named("bb", "aa")}
    with pytest.raises(InputError) as caught:
        choose(recipes, [])
    assert "aa -> bb -> aa" in str(caught.value)
    with pytest.raises(InputError, match="unknown recipe: 'ab'"):
        choose(recipes, ["ab"])


def test_only_possible_strategies_are_taken() -> None:
    recipe, arm64, amd64 = named("aa"), parse_target("trixie/arm64"), parse_target("trixie/amd64")
    assert [s for s in ("native", "cross", "emulate") if recipe.possible(s, AMD64, arm64)] == ["cross", "emulate"]
    assert [s for s in ("native", "cross", "emulate") if recipe.possible(s, AMD64, amd64)] == ["native"]
    crossed = recipe.model_copy(update={"strategy": ["cross"]})
    assert not crossed.possible("emulate", AMD64, arm64)


def test_the_strategy_is_native_on_the_targets_cpu() -> None:
    recipe = named("aa")
    assert recipe.strategy_for(ARM64, parse_target("trixie/arm64")) == "native"
    assert recipe.strategy_for(AMD64, parse_target("trixie/arm64")) == "cross"
