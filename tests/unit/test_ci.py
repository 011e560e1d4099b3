"""The matrix and the pipeline files, judged by the linters that their services' users use."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from builders import ci
from builders.cli.ci import files, matrix
from builders.errors import InputError
from builders.host.log import Log
from builders.host.time_limit import parse_duration
from builders.project import Project
from builders.state import Record, write_record

CHECKOUT = Path(__file__).parents[2]
HELLO = CHECKOUT / "tests" / "fixtures" / "recipes" / "reef-hello"
TOOLS = Path(sys.executable).parent
STYLE = (
    "{extends: default, rules: {line-length: {max: 120}, document-start: disable, truthy: {check-keys: false}, "
    "comments: {min-spaces-from-content: 1}}}"
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Three recipes: one as it is, one that builds against it, one that would rather be built on the target's CPU."""
    recipe = (HELLO / "recipe.yml").read_text()
    variants = {
        "reef-hello": recipe,
        "reef-caller": recipe.replace("build:\n", "build:\n  recipes: {reef-hello: [libreef-greet-dev]}\n"),
        "reef-native": recipe.replace("strategy: [cross, emulate]", "strategy: [native, cross]"),
    }
    for name, text in variants.items():
        folder = tmp_path / "recipes" / name
        folder.mkdir(parents=True)
        for part in ("files", "checks", "source"):
            (folder / part).symlink_to(HELLO / part)
        (folder / "recipe.yml").write_text(text.replace("name: reef-hello\nversion", f"name: {name}\nversion"))
    (tmp_path / "reef.yml").write_text("targets: [trixie/arm64, trixie/armhf, trixie/amd64]\n")
    return Project.open(tmp_path, Log(quiet=True))


def rows(project: Project, name: str, *runners: str, **chosen: list[str]) -> list[tuple[str, ...]]:
    found = ci.jobs(project, ci.service(name), ci.runners(list(runners)), chosen.get("r", []), chosen.get("t", []))
    return [(job.recipe, str(job.target), job.strategy, job.runner) for job in found]


def test_each_build_is_one_job_on_the_machine_that_does_it_best(project: Project) -> None:
    x86, arm = "ubuntu-24.04", "ubuntu-24.04-arm"
    assert rows(project, "github") == [
        ("reef-caller", "trixie/arm64", "cross", x86), ("reef-native", "trixie/arm64", "native", arm),
        ("reef-caller", "trixie/armhf", "cross", x86), ("reef-native", "trixie/armhf", "cross", x86),
        ("reef-caller", "trixie/amd64", "native", x86), ("reef-native", "trixie/amd64", "native", x86),
    ]  # fmt: skip
    assert rows(project, "gitlab", r=["reef-native"], t=["trixie/arm64"]) == [
        ("reef-native", "trixie/arm64", "native", "saas-linux-small-arm64")
    ]
    assert rows(project, "github", "armhf=lab-pi", r=["reef-native"], t=["trixie/armhf"])[0][2:] == ("native", "lab-pi")
    assert rows(project, "github", r=["reef-hello"], t=["trixie/arm64"])[0][0] == "reef-hello"


def test_a_recipe_that_is_native_alone_needs_a_runner_of_its_cpu(project: Project) -> None:
    path = project.folder / "recipes" / "reef-native" / "recipe.yml"
    path.write_text(path.read_text().replace("strategy: [native, cross]", "strategy: [native]"))
    again = Project.open(project.folder, project.log)
    assert rows(again, "github", t=["trixie/arm64"])[1] == ("reef-native", "trixie/arm64", "native", "ubuntu-24.04-arm")
    with pytest.raises(InputError, match="no runner with armhf is known"):
        rows(again, "github", t=["trixie/armhf"])


@pytest.mark.parametrize("wrong", ["arm64", "arm64=", "mips=x", "=x", "arm64=${{ secrets.X }}", "arm64=a\nb"])
def test_a_wrong_runner_is_told(wrong: str) -> None:
    with pytest.raises(InputError, match="not a runner"):
        ci.runners([wrong])


def test_more_jobs_than_a_service_takes_are_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    few = replace(ci.SERVICES["github"], most_jobs=5)
    with pytest.raises(InputError, match="6 jobs are more than a matrix may have"):
        ci.jobs(project, few, {}, [], [])


def test_the_matrix_is_json_in_each_services_shape(project: Project) -> None:
    jobs = ci.jobs(project, ci.service("github"), {}, ["reef-native"], ["trixie/arm64"])
    assert "\n" not in ci.matrix("github", jobs)
    assert json.loads(ci.matrix("github", jobs)) == {
        "include": [
            {"name": "reef-native-trixie-arm64", "recipe": "reef-native", "target": "trixie/arm64",
             "strategy": "native", "runner": "ubuntu-24.04-arm"}
        ]
    }  # fmt: skip
    assert json.loads(ci.matrix("gitlab", jobs)) == [
        {"NAME": "reef-native-trixie-arm64", "RECIPE": "reef-native", "TARGET": "trixie/arm64",
         "RUNNER": "ubuntu-24.04-arm"}
    ]  # fmt: skip


def lint(*words: str) -> None:
    done = subprocess.run([str(TOOLS / words[0]), *words[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def written(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("builders.cli.ci.open_project", lambda: project)
    files(["arm64=lab pi: 4"], [], install=None, branch="trunk/1", check=False)
    return project.folder / "ci"


def test_pipelines_pass_their_schemas_and_style(written: Path) -> None:
    folders = written, CHECKOUT / "ci"
    github, gitlab = ([str(folder / name) for folder in folders] for name in ("github-actions.yml", "gitlab-ci.yml"))
    lint("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *github)
    lint("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", *gitlab)
    lint("yamllint", "--strict", "-d", STYLE, *github, *gitlab)


def test_the_workflow_passes_the_security_linter(written: Path) -> None:
    lint("zizmor", "--offline", "--no-progress", str(written / "github-actions.yml"))


def shells(path: Path) -> list[str]:
    """Return every shell script of a pipeline file."""
    document: Any = yaml.safe_load(path.read_text())
    if "jobs" in document:
        return [step["run"] for job in document["jobs"].values() for step in job["steps"] if "run" in step]
    return [line for job in document.values() if isinstance(job, dict) for line in job.get("script", [])]


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
        assert "./inv " in script


def test_the_jobs_of_the_matrix_stand_in_the_gitlab_file(written: Path, project: Project) -> None:
    document = yaml.safe_load((written / "gitlab-ci.yml").read_text())
    found = ci.jobs(project, ci.service("gitlab"), {"arm64": "lab pi: 4"}, [], [])
    assert document["build"]["parallel"]["matrix"] == json.loads(ci.matrix("gitlab", found))
    assert "lab pi: 4" in {row["RUNNER"] for row in document["build"]["parallel"]["matrix"]}
    assert document["workflow"]["rules"][2]["if"] == '$CI_COMMIT_BRANCH == "trunk/1"'


def test_a_runners_label_reaches_the_plan_as_one_word(written: Path) -> None:
    assert "./inv ci-matrix --runner 'arm64=lab pi: 4'" in shells(written / "github-actions.yml")[0]


def test_ones_own_pipeline_is_left_alone(written: Path, project: Project) -> None:
    own = project.folder / ".gitlab-ci.yml"
    own.write_text("mine: {script: [make]}\n")
    with pytest.raises(InputError, match="was not written by ci-files"):
        files([], [], install="gitlab", branch="main", check=False)
    assert own.read_text().startswith("mine")
    own.unlink()
    files([], [], install="gitlab", branch="main", check=False)
    assert own.read_text().startswith(ci.MARK)
    with pytest.raises(InputError, match="not up to date"):
        files([], [], install=None, branch="trunk/1", check=True)
    files(["arm64=lab pi: 4"], [], install=None, branch="trunk/1", check=True)


@pytest.mark.parametrize("branch", ["", "a b", "x: y", "$(id)", "-x"])
def test_a_branch_that_is_none_is_told(project: Project, monkeypatch: pytest.MonkeyPatch, branch: str) -> None:
    monkeypatch.setattr("builders.cli.ci.open_project", lambda: project)
    with pytest.raises(InputError, match="not the name of a branch"):
        files([], [], install=None, branch=branch, check=False)


def test_the_committed_examples_are_current_and_start_nothing() -> None:
    project = Project.open(CHECKOUT, Log(quiet=True))
    for name, service in ci.SERVICES.items():
        text = ci.pipeline_file(name, project, {}, "main")
        assert (CHECKOUT / service.example).read_text() == text, "run: ./inv ci-files"
        assert not (CHECKOUT / service.live).exists()
        assert not re.search("v4$", text, re.MULTILINE), "actions are pinned by commit"


def test_what_this_machine_built_makes_no_difference_and_others_are_named(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = project.recipes["reef-native"].model_copy(update={"by_default": False})
    project = replace(project, recipes={**project.recipes, "reef-native": quiet})
    before = rows(project, "github")
    assert {row[0] for row in before} == {"reef-caller"}
    for one in project.wanted(["reef-native"], ["trixie/amd64"]):
        folder = project.workspace.build(*one.key)
        folder.mkdir(parents=True)
        write_record(folder, Record(one.fingerprint, (), (), (), (0, 0), "chroot", ()))
    assert rows(project, "github") == before
    found = ci.jobs(project, ci.service("github"), {}, [], [], also=["reef-native"])
    assert {job.recipe for job in found} == {"reef-caller", "reef-native"}
    with pytest.raises(InputError, match="unknown recipe: 'reef-nativ'"):
        ci.jobs(project, ci.service("github"), {}, [], [], also=["reef-nativ"])
    with pytest.raises(InputError, match="no recipe serves these targets"):
        ci.jobs(project, ci.service("github"), {}, [], ["bullseye/arm64"], also=["reef-native"])
    monkeypatch.setattr("builders.cli.ci.open_project", lambda: project)
    files([], ["reef-native"], install=None, branch="main", check=False)
    assert "./inv ci-matrix --also reef-native" in shells(project.folder / "ci/github-actions.yml")[0]
    assert "reef-native" in (project.folder / "ci/gitlab-ci.yml").read_text()


def test_a_pipeline_that_was_edited_is_kept(written: Path) -> None:
    path = written / "github-actions.yml"
    edited = path.read_text().replace("17 3 * * *", "0 1 * * *")
    path.write_text(edited)
    with pytest.raises(InputError, match="was edited since"):
        files(["arm64=lab"], [], install=None, branch="main", check=False)
    assert path.read_text() == edited
    files(["arm64=lab"], [], install=None, branch="main", check=False, force=True)
    assert "0 1 * * *" not in path.read_text()
    files([], [], install=None, branch="other", check=False)  # as written: no --force


LATE = "tensorflow-lite", "tensorflow-serving", "libedgetpu", "gasket-dkms"


def committed(name: str) -> Any:
    return yaml.safe_load((CHECKOUT / "ci" / name).read_text())


def run(script: str, folder: Path, inv: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run a step as CI does, with ``inv`` as the script that stands for ./inv."""
    program = folder / "inv"
    program.write_text(f"#!/bin/sh\n{inv}\n")
    program.chmod(0o755)
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script], cwd=folder, env={"PATH": "/usr/bin:/bin", **variables},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_night_builds_every_recipe_and_a_push_those_built_by_default(tmp_path: Path) -> None:
    project = Project.open(CHECKOUT, Log(quiet=True))
    for name in ci.SERVICES:
        by_day, by_night = (ci.jobs(project, ci.service(name), {}, [], [], every=every) for every in (False, True))
        assert {job.recipe for job in by_day} == {"tensorflow-lite"}
        assert {job.recipe for job in by_night} == set(LATE) == set(project.recipes)
    plan = committed("github-actions.yml")["jobs"]["plan"]["steps"][-1]
    assert plan["env"] == {"NIGHTLY": "${{ github.event_name == 'schedule' && 'yes' || '' }}"}
    for nightly, words in (("yes", "ci-matrix --every"), ("", "ci-matrix")):
        (tmp_path / "output").unlink(missing_ok=True)
        done = run(plan["run"], tmp_path, 'echo "$*"', NIGHTLY=nightly, GITHUB_OUTPUT=str(tmp_path / "output"))
        assert (done.returncode, (tmp_path / "output").read_text()) == (0, f"matrix={words}\n")
    document = committed("gitlab-ci.yml")
    assert {row["RECIPE"] for row in document["build"]["parallel"]["matrix"]} == {"tensorflow-lite"}
    assert {row["RECIPE"] for row in document["nightly"]["parallel"]["matrix"]} == set(LATE)
    assert document["build"]["rules"] == [{"if": '$CI_PIPELINE_SOURCE != "schedule"'}]
    assert document["nightly"]["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "schedule"'}]
    assert document["nightly"]["extends"] == "build"
    assert document["publish"]["needs"] == [{"job": name, "optional": True} for name in ("build", "nightly")]


def test_what_fails_at_night_does_not_hold_up_what_was_built() -> None:
    wish = " ".join(committed("github-actions.yml")["jobs"]["publish"]["if"].split())
    assert wish == (
        "${{ !cancelled() && (needs.build.result == 'success' || github.event_name == 'schedule') "
        "&& github.ref == 'refs/heads/main' }}"
    )
    assert committed("gitlab-ci.yml")["publish"]["rules"] == [
        {"if": '$CI_PIPELINE_SOURCE == "schedule" && $CI_COMMIT_BRANCH == "main"', "when": "always"},
        {"if": '$CI_COMMIT_BRANCH == "main"'},
    ]


def test_every_and_names_do_not_go_together(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builders.cli.ci.open_project", lambda: project)
    with pytest.raises(InputError, match="one of the two"):
        matrix(["reef-hello"], [], [], [], service="github", every=True)


def test_a_build_ends_itself_before_the_service_does(written: Path) -> None:
    github, gitlab = (yaml.safe_load((written / name).read_text()) for name in ("github-actions.yml", "gitlab-ci.yml"))
    limits = github["jobs"]["build"]["timeout-minutes"], int(gitlab["build"]["timeout"].removesuffix(" minutes"))
    for name, limit in zip(("github-actions.yml", "gitlab-ci.yml"), limits, strict=True):
        [boxed] = [script for script in shells(written / name) if "build-arm" in script]
        found = re.search(r"--time-box (\S+)", boxed)
        assert found
        assert 30 * 60 <= limit * 60 - parse_duration(found[1]) <= 60 * 60, "to set up before, and to pack after"
    assert limits[0] <= 360  # what the services' own runners allow
    assert limits[1] <= 180


def test_what_an_ended_build_did_is_carried_to_the_next_run(written: Path) -> None:
    steps = yaml.safe_load((written / "github-actions.yml").read_text())["jobs"]["build"]["steps"]
    [restore, save] = [step for step in steps if "actions/cache" in step.get("uses", "")]
    assert "/restore@" in restore["uses"]  # the plain action saves where the job succeeded, and nowhere else
    assert "/save@" in save["uses"]
    assert save["with"]["key"] == restore["with"]["key"]
    by_name = {step.get("name"): step for step in steps}
    pack = by_name["pack the caches for the next run"]
    assert "!cancelled()" in pack["if"]
    assert "!cancelled()" in save["if"]
    assert steps.index(by_name["build"]) < steps.index(pack) < steps.index(save)
    build = by_name["build"]
    assert {"REEF_CCACHE_STORAGE", "REEF_BAZEL_CACHE"} == set(build["env"])
    job = yaml.safe_load((written / "gitlab-ci.yml").read_text())["build"]
    assert job["cache"]["when"] == "always"
    assert job["allow_failure"] == {"exit_codes": [13]}


@pytest.mark.parametrize(("status", "github"), [(0, 0), (13, 0), (7, 7)])
def test_a_build_that_is_not_finished_is_no_failure(written: Path, tmp_path: Path, status: int, github: int) -> None:
    inv = f'echo "$1" >>calls; [ "$1" = build-arm ] && exit {status} || exit 0'
    output = tmp_path / "output"
    output.touch()
    variables = {"RECIPE": "x", "TARGET": "trixie/arm64", "GITHUB_OUTPUT": str(output)}
    [script] = [one for one in shells(written / "github-actions.yml") if "build-arm" in one]
    done = run(script, tmp_path, inv, **variables)
    assert done.returncode == github
    assert ("unfinished=true" in output.read_text()) is ("::warning::x for" in done.stdout) is (status == 13)
    (tmp_path / "calls").unlink()
    [script] = [one for one in shells(written / "gitlab-ci.yml") if "build-arm" in one]
    assert run(script, tmp_path, inv, **variables).returncode == status
    assert (tmp_path / "calls").read_text() == "build-arm\ncache\n"
