"""What one command line means as a whole, and what its tables count."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from invoke.context import Context

from builders.cli import build
from builders.cli.command_line import BuildRequest, PublishRequest, remember, to_publish
from builders.errors import InputError
from builders.host.log import Log
from builders.model.packages import Report, Verdict
from builders.model.target import parse_target
from builders.pipeline.project import Project
from tests.support.checkout import CHECKOUT, HELLO

INVOKE = Path(sys.executable).with_name("invoke")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    shutil.copytree(HELLO, tmp_path / "recipes" / "reef-hello")
    (tmp_path / "reef.yml").write_text("engine: chroot\ntargets: [trixie/arm64]\n")
    return Project.open(tmp_path, Log(quiet=True))


def published(
    project: Project, request: PublishRequest, builds: Sequence[BuildRequest] = ()
) -> tuple[list[str], str | None]:
    """Return the targets of a publish-apt after some builds, and the engine that tries them."""
    context = Context()
    for build_request in builds:
        remember(context, build_request)
    build_targets, engine = to_publish(context, project, request)
    return [str(build_target.target) for build_target in build_targets], engine


def test_publishing_alone_takes_the_settings_targets(project: Project) -> None:
    assert published(project, PublishRequest()) == (["trixie/arm64"], None)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (PublishRequest(), (["trixie/armhf"], "chroot")),
        (PublishRequest(target=("trixie/amd64",)), (["trixie/amd64"], "chroot")),
        (PublishRequest(recipe=("reef-hello",), engine="buildx"), (["trixie/armhf"], "buildx")),
    ],
)
def test_what_was_built_is_what_is_published(
    project: Project, request_: PublishRequest, expected: tuple[list[str], str | None]
) -> None:
    built = BuildRequest(recipe=("reef-hello",), target=("trixie/armhf",), engine="chroot", force=True)
    assert published(project, request_, [built]) == expected


def test_several_builds_are_published_together(project: Project) -> None:
    builds = [
        BuildRequest(target=("trixie/armhf",)), BuildRequest(), BuildRequest(target=("trixie/amd64", "trixie/armhf")),
    ]  # fmt: skip
    assert published(project, PublishRequest(), builds)[0] == ["trixie/armhf", "trixie/arm64", "trixie/amd64"]


def test_a_recipe_that_publishing_names_is_the_only_one(project: Project) -> None:
    with pytest.raises(InputError, match="reef-other"):
        published(project, PublishRequest(recipe=("reef-other",)), [BuildRequest(recipe=("reef-hello",))])


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
def test_a_plan_warns_of_what_comes(project: Project, words: list[str], warnings: list[str]) -> None:
    recipe = project.folder / "recipes" / "reef-hello" / "recipe.yml"
    recipe.write_text(recipe.read_text() + "cautions: {emulate: takes days}\n")
    done = invoke(project, "build-arm", "--plan", *words)
    assert done.returncode == 0, done.stderr
    output = [line for line in done.stdout.splitlines() if line.startswith("warning: ")]
    assert len(output) == len(warnings)
    assert all(line.startswith(f"warning: {text}") for line, text in zip(output, warnings, strict=True))


@pytest.mark.parametrize(
    "words", [["build-arm", "--plan", "--target"], ["build-arm", "--recipe", "--plan"], ["clean", "--what"]]
)
def test_a_repeatable_option_without_a_value_is_not_none(project: Project, words: list[str]) -> None:
    done = invoke(project, *words)
    assert done.returncode == 3, done.stdout
    assert re.search(r"error: --(target|recipe|what) needs a value\n", done.stderr)
    assert done.stdout == ""


def test_the_real_command_line_hands_its_options_on(project: Project) -> None:
    done = invoke(project, "build-arm", "--plan", "--target", "trixie/armhf", "publish-apt")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "publish-apt uses the options of build-arm: --target trixie/armhf" in done.stdout
    assert "reef-hello for trixie/armhf" in done.stderr


@pytest.mark.parametrize("subject", ["sample", "tools"])
def test_a_verdict_on_the_whole_recipe_counts_for_each_package(subject: str) -> None:
    verdicts = (Verdict("elf", "tools", True), Verdict("elf", "library", True), Verdict("lintian", subject, False))
    report = Report("sample", parse_target("trixie/arm64"), verdicts)
    assert build._verdicts(report, "tools") == "FAILED: lintian"
    assert build._verdicts(report, "library") == ("FAILED: lintian" if subject == "sample" else "1 passed")
