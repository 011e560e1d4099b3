"""Selection of portable packages: which builds come along, in which order, and which are published."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from builders.cli.app import Context
from builders.cli.command_line import PublishRequest, to_publish
from builders.errors import InputError
from builders.host.log import Log
from builders.model.arch import AMD64
from builders.pipeline.planning.plan import BuildTarget
from builders.pipeline.planning.selection import select
from builders.pipeline.project import Project
from tests.support.checkout import CHECKOUT

RUNTIME, TRAPS, USER = "reef-portable-runtime", "reef-traps", "reef-user"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with the miniature for two CPUs, and a recipe that builds against it."""
    recipes = tmp_path / "recipes"
    shutil.copytree(CHECKOUT / "recipes" / RUNTIME, recipes / RUNTIME)
    shutil.copytree(CHECKOUT / "tests" / "fixtures" / "portable" / TRAPS, recipes / TRAPS)
    path = recipes / TRAPS / "recipe.yml"
    recipe = yaml.safe_load(path.read_text())
    recipe["targets"]["architectures"] = ["amd64", "arm64"]
    path.write_text(yaml.safe_dump(recipe))
    shutil.copytree(recipes / TRAPS, recipes / USER)
    recipe |= {
        "name": USER,
        "packages": [{"name": USER, "summary": "user of traps", "depends": ["libreef-traps1 (>= 1)"]}],
    }
    recipe["portable"] |= {"packages": {USER: {}}}
    recipe["build"]["recipes"] = {TRAPS: ["libreef-traps1"]}
    recipe["checks"] = []
    (recipes / USER / "recipe.yml").write_text(yaml.safe_dump(recipe))
    return replace(Project.open(tmp_path, Log(quiet=True)), machine=AMD64)


def keys(selected: list[BuildTarget]) -> list[tuple[str, str]]:
    return [(each.recipe.name, str(each.target)) for each in selected]


def test_native_builds_and_the_runtime_come_before_portable_packages(project: Project) -> None:
    selected = select(project, [TRAPS], ["bullseye/arm64"])
    assert set(keys(selected[:-1])) == {(TRAPS, "trixie/arm64"), (RUNTIME, "bullseye/arm64")}
    assert keys(selected[-1:]) == [(TRAPS, "bullseye/arm64")]
    assert {str(each.target): each.job.strategy for each in selected if each.recipe.name == TRAPS} == {
        "trixie/arm64": "cross",
        "bullseye/arm64": "repack",
    }
    *_, portable = selected
    assert (portable.job.root.suite, portable.job.root.build, portable.job.root.host) == ("trixie", AMD64, AMD64)


def test_portable_packages_of_other_recipes_come_before(project: Project) -> None:
    """A program's libraries are in another recipe's portable packages."""
    found = keys(select(project, [USER], ["bullseye/amd64"]))
    assert sorted(found) == sorted(set(found))
    assert set(found) == {
        (TRAPS, "trixie/amd64"), (USER, "trixie/amd64"), (RUNTIME, "bullseye/amd64"),
        (TRAPS, "bullseye/amd64"), (USER, "bullseye/amd64"),
    }  # fmt: skip
    assert found.index((TRAPS, "trixie/amd64")) < found.index((USER, "trixie/amd64"))
    assert found[-1] == (USER, "bullseye/amd64")
    [user] = [each for each in select(project, [USER], ["bullseye/amd64"]) if keys([each]) == found[-1:]]
    assert user.recipe.packages[0].depends == ["libreef-traps1-portable (>= 1)"]
    assert set(user.fingerprint["against"]) == {TRAPS, RUNTIME, USER}


def test_a_strategy_is_for_the_native_builds_alone(project: Project) -> None:
    selected = select(project, [TRAPS], ["bullseye/arm64"], "emulate")
    assert {keys([each])[0]: each.job.strategy for each in selected} == {
        (TRAPS, "trixie/arm64"): "emulate",
        (RUNTIME, "bullseye/arm64"): "emulate",
        (TRAPS, "bullseye/arm64"): "repack",
    }
    with pytest.raises(InputError, match="reef-traps for trixie/amd64 cannot be built by strategy 'cross'"):
        select(project, [TRAPS], ["trixie/amd64"], "cross")


def test_a_new_runtime_changes_portable_builds_alone(project: Project) -> None:
    before = {keys([each])[0]: each.fingerprint for each in select(project, [TRAPS], ["bullseye/amd64"])}
    file = project.folder / "recipes" / RUNTIME / "files" / "kernel.c"
    file.write_text(file.read_text() + "/* changed */\n")
    reopened = replace(Project.open(project.folder, Log(quiet=True)), machine=AMD64)
    after = {keys([each])[0]: each.fingerprint for each in select(reopened, [TRAPS], ["bullseye/amd64"])}
    assert {key for key in before if before[key] != after[key]} == {
        (RUNTIME, "bullseye/amd64"),
        (TRAPS, "bullseye/amd64"),
    }


def test_a_suite_that_is_not_served(project: Project) -> None:
    with pytest.raises(InputError) as caught:
        select(project, [TRAPS], ["buster/arm64"])
    assert "reef-traps does not serve buster/arm64" in str(caught.value)
    assert "it serves: trixie/amd64, trixie/arm64, bullseye/amd64, bullseye/arm64, bookworm/amd64" in str(caught.value)


def test_only_the_targets_that_were_asked_for_are_published(project: Project) -> None:
    request = PublishRequest(target=("bullseye/amd64",), recipe=(TRAPS,))
    found, _ = to_publish(Context(), project, request)
    assert set(keys(list(found))) == {(RUNTIME, "bullseye/amd64"), (TRAPS, "bullseye/amd64")}


def rewritten(project: Project, name: str, **more: object) -> Project:
    """Return the project after ``more`` replaced keys of a recipe; None removes a key."""
    path = project.folder / "recipes" / name / "recipe.yml"
    recipe = {key: value for key, value in (yaml.safe_load(path.read_text()) | more).items() if value is not None}
    path.write_text(yaml.safe_dump(recipe))
    return replace(Project.open(project.folder, Log(quiet=True)), machine=AMD64)


def test_a_recipe_that_only_the_native_build_needs(project: Project) -> None:
    """It may hold headers: it need not serve the older suite."""
    changed = rewritten(project, TRAPS, portable=None)
    assert set(keys(select(changed, [USER], ["bullseye/amd64"]))) == {
        (TRAPS, "trixie/amd64"), (USER, "trixie/amd64"), (RUNTIME, "bullseye/amd64"), (USER, "bullseye/amd64"),
    }  # fmt: skip


def test_a_needed_recipe_that_is_portable_for_fewer_cpus(project: Project) -> None:
    portable = yaml.safe_load((project.folder / "recipes" / TRAPS / "recipe.yml").read_text())["portable"]
    changed = rewritten(project, TRAPS, portable=portable | {"architectures": ["amd64"]})
    with pytest.raises(InputError, match="reef-traps does not serve bullseye/arm64"):
        select(changed, [USER], ["bullseye/arm64"])
