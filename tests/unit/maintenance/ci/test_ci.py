"""The matrix and the pipeline files, judged by the linters that their services' users use."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from builders.cli.ci import files, matrix
from builders.errors import InputError
from builders.host.log import Log
from builders.host.time_limit import parse_duration
from builders.maintenance import ci
from builders.maintenance.ci.installation import Installation
from builders.pipeline.planning.records import Record, write_record
from builders.pipeline.planning.selection import select
from builders.pipeline.project import Project
from tests.support.checkout import CHECKOUT
from tests.support.pipelines import committed, shells, three_recipes
from tests.support.place import Place
from tests.support.portable import add_portable


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return three_recipes(tmp_path)


def rows(project: Project, name: str, *runners: str, **chosen: list[str]) -> list[tuple[str, ...]]:
    found = ci.jobs(project, ci.service(name), ci.runners(list(runners)), chosen.get("r", []), chosen.get("t", []))
    return [(job.recipe, " ".join(map(str, job.targets)), job.strategy, job.runner) for job in found]


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


def test_one_job_makes_native_packages_and_their_portable_ones(tmp_path: Path) -> None:
    place = Place(tmp_path, None)
    add_portable(place)
    native, *older = "trixie/amd64", "bullseye/amd64", "bookworm/amd64"
    (tmp_path / "reef.yml").write_text(f"targets: [{', '.join([native, *older])}]\n")
    project = Project.open(tmp_path, Log(quiet=True))
    [job] = ci.jobs(project, ci.service("github"), {}, ["reef-traps"], [])
    assert (job.name, [str(target) for target in job.targets]) == ("reef-traps-trixie-amd64", older)
    [again] = ci.jobs(project, ci.service("github"), {}, ["reef-traps"], [older[0]])
    assert (again.name, [str(target) for target in again.targets]) == (job.name, older[:1])
    assert [row["target"] for row in json.loads(ci.matrix("github", [job]))["include"]] == [" ".join(older)]


@pytest.mark.parametrize("wrong", ["arm64", "arm64=", "mips=x", "=x", "arm64=${{ secrets.X }}", "arm64=a\nb"])
def test_a_wrong_runner_is_reported(wrong: str) -> None:
    with pytest.raises(InputError, match="not a runner"):
        ci.runners([wrong])


def test_more_jobs_than_a_service_takes_are_reported(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    few = replace(ci.SERVICES["github"], most_jobs=5)
    with pytest.raises(InputError, match="too many jobs for a matrix: 6"):
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


@pytest.fixture
def written(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("builders.cli.ci.open_project", lambda: project)
    files(["arm64=lab pi: 4"], [], install=None, branch="trunk/1", check=False)
    return project.folder / "ci"


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
    assert own.read_text().startswith(ci.MARKS)
    with pytest.raises(InputError, match="not up to date") as caught:
        files(["arm64=other"], [], install=None, branch="trunk/1", check=True)
    assert caught.value.fix == "run ./inv ci-files --runner arm64=other --branch trunk/1"
    files(["arm64=lab pi: 4"], [], install=None, branch="trunk/1", check=True)


def test_the_header_has_the_command_that_writes_the_file_again(written: Path) -> None:
    header = (written / "github-actions.yml").read_text()
    assert "#   ./inv ci-files --install github --runner 'arm64=lab pi: 4' --branch trunk/1\n" in header
    assert ci.options_of(header) == ci.Options(("arm64=lab pi: 4",), (), "trunk/1")
    assert ci.options_of("name: mine\n") == ci.Options()
    files([], [], install=None, branch="main", check=True)  # knows the options from it


@pytest.mark.parametrize("branch", ["", "a b", "x: y", "$(id)", "-x"])
def test_a_branch_that_is_none_is_reported(project: Project, monkeypatch: pytest.MonkeyPatch, branch: str) -> None:
    monkeypatch.setattr("builders.cli.ci.open_project", lambda: project)
    with pytest.raises(InputError, match="not the name of a branch"):
        files([], [], install=None, branch=branch, check=False)


def test_the_committed_examples_are_current_and_start_nothing() -> None:
    project = Project.open(CHECKOUT, Log(quiet=True))
    for name, service in ci.SERVICES.items():
        text = ci.pipeline_file(name, project, {}, "main", Installation())
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
    for one in select(project, ["reef-native"], ["trixie/amd64"]):
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
    with pytest.raises(InputError, match="--recipe excludes --also and --every"):
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
