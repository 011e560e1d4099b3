"""The matrix and the pipeline files, judged by the linters that their services' users use."""

import subprocess
import sys
from pathlib import Path

import pytest

from builders.cli.ci import files
from builders.host.log import Log
from builders.maintenance import ci
from builders.pipeline.project import Project
from tests.support.checkout import CHECKOUT
from tests.support.pipelines import committed, run, shells, three_recipes

TOOLS = Path(sys.executable).parent
STYLE = (
    "{extends: default, rules: {line-length: {max: 120}, document-start: disable, truthy: {check-keys: false}, "
    "comments: {min-spaces-from-content: 1}}}"
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return three_recipes(tmp_path)


def lint(*words: str) -> None:
    done = subprocess.run([str(TOOLS / words[0]), *words[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(params=[None, "reef @ git+https://example.org/reef@1"], ids=["inv", "installed"])
def written(project: Project, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    monkeypatch.setattr("builders.cli.ci.open_project", lambda: project)
    files(["arm64=lab pi: 4"], [], install=None, branch="trunk/1", check=False, reef=request.param)
    return project.folder / "ci"


def test_pipelines_pass_their_schemas_and_style(written: Path) -> None:
    folders = written, CHECKOUT / "ci"
    github, gitlab = ([str(folder / name) for folder in folders] for name in ("github-actions.yml", "gitlab-ci.yml"))
    lint("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *github)
    lint("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", *gitlab)
    lint("yamllint", "--strict", "-d", STYLE, *github, *gitlab)


def test_the_workflow_passes_the_security_linter(written: Path) -> None:
    lint("zizmor", "--offline", "--no-progress", str(written / "github-actions.yml"))


@pytest.mark.parametrize("name", ["github-actions.yml", "gitlab-ci.yml"])
def test_steps_are_sound_shell_without_secrets_or_expressions(written: Path, name: str) -> None:
    scripts = shells(written / name)
    assert len(scripts) >= 5
    for script in scripts:
        done = subprocess.run(
            ["shellcheck", "--shell=bash", "-"], input=script, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, script + done.stdout
        assert "${{" not in script
        assert "SIGNING" not in script
        assert "./inv " in script or "reef " in script


DAY = "edge-model-server"
"""It is built against tensorflow-lite, whose packages come out of the same job."""
EARLIER = {"tensorflow-lite", "reef-portable-runtime"}
"""Recipes without a job: others are built against the first; the second serves no target of reef.yml."""
LATE = DAY, "tensorflow-serving", "libedgetpu", "gasket-dkms"


def test_the_night_builds_every_recipe_and_a_push_those_built_by_default(tmp_path: Path) -> None:
    project = Project.open(CHECKOUT, Log(quiet=True))
    for name in ci.SERVICES:
        by_day, by_night = (ci.jobs(project, ci.service(name), {}, [], [], every=every) for every in (False, True))
        assert {job.recipe for job in by_day} == {DAY}
        assert {job.recipe for job in by_night} == set(LATE) == {*project.recipes} - EARLIER
    plan = committed("github-actions.yml")["jobs"]["plan"]["steps"][-1]
    assert plan["env"] == {"NIGHTLY": "${{ github.event_name == 'schedule' && 'yes' || '' }}"}
    for nightly, words in (("yes", "ci-matrix --every"), ("", "ci-matrix")):
        (tmp_path / "output").unlink(missing_ok=True)
        done = run(plan["run"], tmp_path, 'echo "$*"', NIGHTLY=nightly, GITHUB_OUTPUT=str(tmp_path / "output"))
        assert (done.returncode, (tmp_path / "output").read_text()) == (0, f"matrix={words}\n")
    document = committed("gitlab-ci.yml")
    assert {row["RECIPE"] for row in document["build"]["parallel"]["matrix"]} == {DAY}
    assert {row["RECIPE"] for row in document["nightly"]["parallel"]["matrix"]} == set(LATE)
    assert document["build"]["rules"] == [{"if": '$CI_PIPELINE_SOURCE != "schedule"'}]
    assert document["nightly"]["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "schedule"'}]
    assert document["nightly"]["extends"] == "build"
    assert document["publish"]["needs"] == [{"job": name, "optional": True} for name in ("build", "nightly")]


@pytest.mark.parametrize("written", [None], indirect=True)
@pytest.mark.parametrize(("status", "github"), [(0, 0), (13, 0), (7, 7)])
def test_a_build_that_is_not_finished_is_no_failure(written: Path, tmp_path: Path, status: int, github: int) -> None:
    inv = f'echo "$*" >>calls; [ "$1" = build-arm ] && exit {status} || exit 0'
    output = tmp_path / "output"
    output.touch()
    variables = {"RECIPE": "x", "TARGET": "trixie/arm64 bookworm/arm64", "GITHUB_OUTPUT": str(output)}
    [script] = [one for one in shells(written / "github-actions.yml") if "build-arm" in one]
    done = run(script, tmp_path, inv, **variables)
    assert done.returncode == github
    assert ("unfinished=true" in output.read_text()) is ("::warning::x for" in done.stdout) is (status == 13)
    build = "build-arm --recipe x --target trixie/arm64 --target bookworm/arm64 --time-box"
    assert (tmp_path / "calls").read_text() == f"{build} 5h\n"
    (tmp_path / "calls").unlink()
    [script] = [one for one in shells(written / "gitlab-ci.yml") if "build-arm" in one]
    assert run(script, tmp_path, inv, **variables).returncode == status
    assert (tmp_path / "calls").read_text().splitlines() == [f"{build} 2h20m", "cache --export caches.tar.zst"]
