"""What one command line means as a whole, and what its tables count."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from builders.cli import build, command_line
from builders.errors import InputError
from builders.host.log import Log
from builders.model.packages import Report, Verdict
from builders.model.target import parse_target
from builders.pipeline.project import Project
from tests.support.checkout import CHECKOUT, HELLO

INVOKE = Path(sys.executable).with_name("invoke")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(command_line, "_asked", [])
    shutil.copytree(HELLO, tmp_path / "recipes" / "reef-hello")
    (tmp_path / "reef.yml").write_text("engine: chroot\ntargets: [trixie/arm64]\n")
    return Project.open(tmp_path, Log(quiet=True))


def published(
    project: Project, recipes: list[str], targets: list[str], engine: str | None = None
) -> tuple[list[str], str | None]:
    wanted, tried_by = command_line.to_publish(project, recipes, targets, engine)
    return [str(one.target) for one in wanted], tried_by


def test_publishing_alone_takes_the_settings_targets(project: Project) -> None:
    assert published(project, [], []) == (["trixie/arm64"], None)


def test_what_was_built_is_what_is_published(project: Project) -> None:
    command_line.remember(["reef-hello"], ["trixie/armhf"], "chroot")
    assert published(project, [], []) == (["trixie/armhf"], "chroot")
    assert published(project, [], ["trixie/amd64"]) == (["trixie/amd64"], "chroot")
    assert published(project, ["reef-hello"], [], "buildx") == (["trixie/armhf"], "buildx")


def test_several_builds_are_published_together(project: Project) -> None:
    command_line.remember([], ["trixie/armhf"], None)
    command_line.remember([], [], None)
    command_line.remember([], ["trixie/amd64", "trixie/armhf"], None)
    assert published(project, [], [])[0] == ["trixie/armhf", "trixie/arm64", "trixie/amd64"]


def test_a_recipe_that_publishing_names_is_the_only_one(project: Project) -> None:
    command_line.remember(["reef-hello"], [], None)
    with pytest.raises(InputError, match="reef-other"):
        published(project, ["reef-other"], [])


def invoke(project: Project, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"REEF_FOLDER": str(project.folder), "DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    return subprocess.run(
        [str(INVOKE), "--search-root", str(CHECKOUT), *words],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "warnings"),
    [
        ([], []),
        (["--strategy", "emulate"], ["reef-hello for trixie/arm64, emulate: takes days"]),
        (["--engine", "buildx"], ["no Docker engine with buildx answers"]),
    ],
)
def test_a_plan_warns_of_what_lies_ahead(project: Project, words: list[str], warnings: list[str]) -> None:
    recipe = project.folder / "recipes" / "reef-hello" / "recipe.yml"
    recipe.write_text(recipe.read_text() + "cautions: {emulate: takes days}\n")
    done = invoke(project, "build-arm", "--plan", *words)
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stdout.splitlines() if line.startswith("warning: ")]
    assert len(told) == len(warnings)
    assert all(line.startswith(f"warning: {text}") for line, text in zip(told, warnings, strict=True))


@pytest.mark.parametrize(
    "words", [["build-arm", "--plan", "--target"], ["build-arm", "--recipe", "--plan"], ["clean", "--what"]]
)
def test_a_repeatable_option_without_a_value_is_not_none(project: Project, words: list[str]) -> None:
    done = invoke(project, *words)
    assert done.returncode == 3, done.stdout
    assert re.search(r"error: --(target|recipe|what) wants a value\n", done.stderr)
    assert done.stdout == ""


def test_the_real_command_line_hands_its_options_on(project: Project) -> None:
    done = invoke(project, "build-arm", "--plan", "--target", "trixie/armhf", "publish-apt")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "publish-apt goes by the options of build-arm: --target trixie/armhf" in done.stdout
    assert "reef-hello for trixie/armhf" in done.stderr


@pytest.mark.parametrize("subject", ["sample", "tools"])
def test_a_verdict_on_the_whole_recipe_counts_for_each_package(subject: str) -> None:
    verdicts = (Verdict("elf", "tools", True), Verdict("elf", "library", True), Verdict("lintian", subject, False))
    report = Report("sample", parse_target("trixie/arm64"), verdicts)
    assert build._verdicts(report, "tools") == "FAILED: lintian"
    assert build._verdicts(report, "library") == ("FAILED: lintian" if subject == "sample" else "1 passed")
