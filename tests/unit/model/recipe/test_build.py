"""The build system of a recipe: named, with options, detected, or shell steps alone."""

from pathlib import Path

import pytest
import yaml

from builders.errors import InputError
from builders.model.recipe import (
    AutotoolsSpec,
    BazelSpec,
    BuildSystemModel,
    CMakeSpec,
    DetectedSpec,
    MakeSpec,
    MesonSpec,
    PythonSpec,
    Recipe,
    load_recipe,
)
from tests.support.checkout import CHECKOUT, SYSTEMS


def with_build(folder: Path, build: str) -> Recipe:
    """Return the twelve-line recipe with ``build:`` as YAML, none if it is empty."""
    data = yaml.safe_load((SYSTEMS / "hello/recipe.yml").read_text())
    if build:
        data["build"] = yaml.safe_load(build)
    place = folder / "hello"
    place.mkdir()
    (place / "recipe.yml").write_text(yaml.safe_dump(data, sort_keys=False))
    return load_recipe(place)


@pytest.mark.parametrize(
    ("build", "kind"),
    [
        ("", DetectedSpec),
        ("{}", DetectedSpec),
        ("{tools: [gperf]}", DetectedSpec),
        ("{test: make check}", DetectedSpec),
        ("{system: autotools}", AutotoolsSpec),
        ("{system: cmake, compile: ninja}", CMakeSpec),
        ("{cmake: {options: [-DX=1]}}", CMakeSpec),
        ("{system: meson, meson: {options: [-Dx=y]}}", MesonSpec),
        ("{system: make}", MakeSpec),
        # A key without a value is YAML's null.
        ("{autotools: }", AutotoolsSpec),
        ("{cmake: , compile: ninja}", CMakeSpec),
        ("{meson: }", MesonSpec),
        ("{make: }", MakeSpec),
        ("{python: }", PythonSpec),
        ("{system: python}", PythonSpec),
        ("{system: bazel, bazel: {version: 6.5.0, targets: ['//x']}}", BazelSpec),
        ("{bazel: {version: 6.5.0, targets: ['//x']}}", BazelSpec),
    ],
)
def test_a_build_system_is_named_or_detected(tmp_path: Path, build: str, kind: type[BuildSystemModel]) -> None:
    assert type(with_build(tmp_path, build).build.kind) is kind


@pytest.mark.parametrize("step", ["configure", "compile", "install"])
def test_steps_without_a_system_are_the_whole_build(tmp_path: Path, step: str) -> None:
    assert with_build(tmp_path, f"{{{step}: 'true'}}").build.kind is None


@pytest.mark.parametrize(
    ("build", "fault"),
    [
        ("{system: cmake, meson: {}}", "two build systems, meson and cmake; remove one"),
        ("{cmake: {}, make: {}}", "two build systems, cmake and make; remove one"),
        ("{system: bazel}", "system: bazel needs the key bazel:, with its version and targets"),
        ("{system: scons}", "unknown value 'scons'; did you mean 'meson'?"),
        ("{cmake: {option: [-DX=1]}}", "unknown key 'build.cmake.option'; did you mean 'options'?"),
        ("{system: cmake, meson: }", "two build systems, meson and cmake; remove one"),
        ("{bazel: }", "missing key 'build.bazel.version'"),
        ("{runtime: }", "missing key 'build.runtime.libraries'"),
        ("{cmake: {folder: ../x}}", "expected a relative path without '..'"),
        ('{cmake: {options: ["-DX=1\\0"]}}', "expected a text on one line"),
        ('{make: {targets: ["a\\nb"]}}', "expected a text on one line"),
        ("{test: make check, skip_tests: slow}", "test and skip_tests exclude each other; remove one"),
        ("{skip_tests: ''}", "build.skip_tests"),
    ],
)
def test_a_wrong_build_is_refused(tmp_path: Path, build: str, fault: str) -> None:
    with pytest.raises(InputError) as caught:
        with_build(tmp_path, build)
    assert fault in str(caught.value)


def test_the_documentation_shows_the_recipe_that_is_tested() -> None:
    text = (SYSTEMS / "hello/recipe.yml").read_text()
    shown = "".join(f"    {line}\n" for line in text.splitlines())
    assert shown in (CHECKOUT / "docs/recipes.md").read_text()
    assert f"```yaml\n{text}```\n" in (CHECKOUT / "docs/tutorial.md").read_text()
