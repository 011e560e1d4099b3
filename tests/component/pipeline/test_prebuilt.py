"""The .debs of a command line: which recipes and targets they become, and what is refused before a job runs."""

from dataclasses import replace
from pathlib import Path

import pytest

from builders.apt import api as apt
from builders.cli import repository
from builders.cli.command_line import PublishRequest
from builders.errors import CheckError, InputError, PublishError
from builders.host.log import Log
from builders.model.packages import DebFile, Report, Verdict
from builders.model.recipe import PrebuiltRecipe, Recipe, for_target
from builders.model.source_tree import SourceTree
from builders.model.target import parse_target
from builders.pipeline import publish
from builders.pipeline.gate import ACCEPT, require_passed
from builders.pipeline.planning.fingerprint import short_digest
from builders.pipeline.planning.selection import select
from builders.pipeline.prebuilt import accepted, given, require_publishable
from builders.pipeline.project import Project
from tests.support.debs import make_deb, recipe_of

BUILT = (
    "version: '1'\nlicense: MIT\nsources: [{name: user, local: {path: .}}]\n"
    "changelog: [{revision: 1, date: 2026-11-30T12:00:00Z, changes: [First.]}]\n"
    "packages: [{name: user, summary: uses the library, description: It calls a vendor.}]\n"
)
"""Keys of a recipe that compiles."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project without a recipe."""
    (tmp_path / "reef.yml").write_text("targets: [trixie/arm64, trixie/armhf, bookworm/arm64]\n")
    return Project.open(tmp_path, Log(quiet=True), without_recipes=True)


@pytest.fixture
def debs(tmp_path: Path) -> Path:
    folder = tmp_path / "debs"
    folder.mkdir()
    return folder


def planned(project: Project, *files: DebFile, targets: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the versions that would be published, by recipe and target."""
    with given(project, [str(deb.path) for deb in files], targets, engine=None, suffix="") as found:
        return {str(each): each.recipe.debian_version(each.target) for each in found}


def refused(project: Project, *files: DebFile, targets: tuple[str, ...] = ()) -> InputError:
    with pytest.raises(InputError) as error:
        planned(project, *files, targets=targets)
    return error.value


def test_debs_are_grouped_by_source_and_go_where_their_cpu_is(project: Project, debs: Path) -> None:
    library = make_deb(debs, Package="libvendor1", Source="vendor (1.0)", Architecture="arm64")
    tool = make_deb(debs, Package="vendor-tool", Source="vendor", Architecture="all", Version="1:2.0")
    other = make_deb(debs, Package="other", Architecture="armhf", Version="3.0")
    assert planned(project, library, tool, other) == {
        "vendor-prebuilt for trixie/arm64": "1.0-1~deb12, 1:2.0",
        "vendor-prebuilt for bookworm/arm64": "1.0-1~deb12, 1:2.0",
        "other-prebuilt for trixie/armhf": "3.0",
    }
    assert list(planned(project, library, targets=("bookworm/arm64",))) == ["vendor-prebuilt for bookworm/arm64"]
    assert len(planned(project, tool)) == 3, "a package for all CPUs serves all targets"
    assert not list(project.workspace.path.glob("**/given*")), "nothing stays behind"


def test_a_url_is_for_a_recipe(project: Project) -> None:
    url = "https://example.org/a_1_all.deb"
    with (
        pytest.raises(InputError, match="--deb takes files") as caught,
        given(project, [url], (), engine=None, suffix=""),
    ):
        pass
    assert f"--prebuilt {url}" in caught.value.fix


def test_without_files_there_is_nothing(project: Project) -> None:
    assert planned(project) == {}


def test_a_deb_of_another_cpu(project: Project, debs: Path) -> None:
    foreign = make_deb(debs, Architecture="amd64")
    error = refused(project, foreign)
    assert "is for the CPU amd64, which no target has" in error.what
    assert "trixie/armhf" in error.detail
    assert refused(project, make_deb(debs, Architecture="riscv64")).detail.startswith("Reef publishes for ")
    assert planned(project, foreign, targets=("trixie/amd64",))


def test_two_debs_of_one_package(project: Project, debs: Path) -> None:
    error = refused(project, *(make_deb(debs, Architecture="arm64", Version=version) for version in ("1", "2")))
    assert "two .debs of sample for trixie/arm64" in error.detail


def test_a_deb_that_is_given_twice_counts_once(project: Project, debs: Path) -> None:
    deb = make_deb(debs, Architecture="armhf")
    copy = debs / "copy (1).deb"
    copy.write_bytes(deb.path.read_bytes())
    assert planned(project, deb, deb, replace(deb, path=copy)) == {"sample-prebuilt for trixie/armhf": "1.0-1~deb12"}


def test_faults_are_accepted_on_the_command_line(project: Project, debs: Path) -> None:
    [fault] = accepted([r"file-policy:/opt/a:b\=c=its home, set by HOME=x"])
    assert (fault.check, fault.match, fault.reason) == ("file-policy", "/opt/a:b=c", "its home, set by HOME=x")
    deb = make_deb(debs, Architecture="armhf")
    with given(project, [str(deb.path)], (), [fault], engine=None, suffix="") as [each]:
        assert [package.accept for package in each.recipe.packages] == [[fault]]
    for text, why in [
        ("file-polcy:/opt=x", "did you mean 'file-policy'?"),
        ("file-policy:/opt=", "reason: expected a text"), ("lintian=x", "match: expected a text"),
    ]:  # fmt: skip
        with pytest.raises(InputError, match="not an accepted fault") as error:
            accepted([text])
        assert why in error.value.detail


def test_debugging_symbols_alone(project: Project, debs: Path) -> None:
    assert "only debugging symbols" in refused(project, make_deb(debs, Package="x-dbgsym", Architecture="arm64")).what


def test_a_recipe_of_the_same_name_is_not_replaced(project: Project, debs: Path) -> None:
    taken = replace(
        project, recipes={"sample-prebuilt": recipe_of("sample").model_copy(update={"name": "sample-prebuilt"})}
    )
    assert "the recipe sample-prebuilt" in refused(taken, make_deb(debs, Architecture="arm64")).what


def test_a_published_version_with_other_bytes(project: Project, debs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deb = make_deb(debs, Architecture="arm64")
    project.workspace.apt.mkdir(parents=True)
    there = {"trixie": deb}
    monkeypatch.setattr(apt, "published", lambda _, suite: (there[suite],) if suite in there else ())
    assert planned(project, deb)
    there["trixie"] = replace(deb, sha256="0" * 64)
    with pytest.raises(PublishError, match="is published in trixie with other bytes") as error:
        planned(project, deb)
    assert deb.sha256 in error.value.detail
    assert planned(project, deb, targets=("bookworm/arm64",))
    with given(project, [str(deb.path)], ["bookworm/arm64"], engine=None, suffix="") as found:
        there["bookworm"] = there["trixie"]
        with pytest.raises(PublishError, match="is published in bookworm with other bytes"):
            publish.publish(project, found)


def test_the_plan_says_what_would_be_published(
    project: Project, debs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deb = make_deb(debs, Architecture="armhf")
    monkeypatch.setattr(repository, "open_project", lambda **_: replace(project, log=Log()))
    with given(project, [str(deb.path)], (), engine=None, suffix="") as of_recipe:
        monkeypatch.setattr(repository, "to_publish", lambda *_: (of_recipe, None))
    request = PublishRequest(deb=(str(deb.path),), plan=True)
    repository.publish_apt(None, request)  # type: ignore[arg-type]  # nothing reads the context
    assert (
        "publish  sample-prebuilt  trixie/armhf  1.0-1~deb12  trixie  new; not checked yet" in capsys.readouterr().out
    )
    repository.publish_apt(None, PublishRequest(plan=True))  # type: ignore[arg-type]
    assert "not built: run build-arm" in capsys.readouterr().out, "a recipe is built by build-arm"
    project.workspace.apt.mkdir(parents=True)
    monkeypatch.setattr(apt, "published", lambda *_: (deb,))
    repository.publish_apt(None, request)  # type: ignore[arg-type]
    assert "published already" in capsys.readouterr().out


def prebuilt(deb: DebFile, **more: str | None) -> Recipe:
    document = {"file": str(deb.path), "sha256": deb.sha256, "package": deb.package, "architecture": "arm64",
                "version": deb.version}  # fmt: skip
    recipe = PrebuiltRecipe.model_validate({
        "name": "vendor", "summary": "a vendor's", "targets": {"suites": ["trixie"], "architectures": ["arm64"]},
        "prebuilt": {"by": "the vendor", "debs": [document | more]},
    }).recipe()  # fmt: skip
    return for_target(recipe, parse_target("trixie/arm64"), {"vendor": recipe})


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"package": "other"}, "other_1.0-1~deb12_arm64.deb has Package: sample, the recipe says other"),
        ({"version": "2.0"}, "has Version: 1.0-1~deb12, the recipe says 2.0"),
        ({"architecture": "all"}, "has Architecture: arm64, the recipe says all"),
    ],
)
def test_a_recipe_that_is_wrong_about_a_deb(debs: Path, more: dict[str, str], why: str) -> None:
    deb = make_deb(debs, Architecture="arm64")
    recipe = prebuilt(deb, **more)
    [source] = recipe.sources
    assert source.file
    tree = SourceTree("vendor", debs, "", ())
    (debs / source.file.name).write_bytes(deb.path.read_bytes())
    with pytest.raises(InputError) as error:
        require_publishable(recipe, tree)
    assert why in error.value.what
    require_publishable(prebuilt(deb), tree)


def test_a_file_whose_name_has_another_version_than_the_deb(debs: Path) -> None:
    deb = make_deb(debs, Architecture="arm64", Version="2:3.4")
    latest = replace(deb, path=debs / "sample_latest_arm64.deb")
    latest.path.write_bytes(deb.path.read_bytes())
    recipe = prebuilt(latest, version=None)
    with pytest.raises(InputError, match=r"has Version: 2:3\.4, the recipe says latest"):
        require_publishable(recipe, SourceTree("vendor", debs, "", ()))
    named = replace(deb, path=debs / "sample_3.4_arm64.deb")
    named.path.write_bytes(deb.path.read_bytes())
    require_publishable(prebuilt(named, version=None), SourceTree("vendor", debs, "", ()))


def test_a_failed_verdict_says_how_it_is_accepted() -> None:
    report = Report("vendor", parse_target("trixie/arm64"), (Verdict("file-policy", "sample", False, "/opt"),))
    with pytest.raises(CheckError, match="checks failed") as error:
        require_passed([report], prebuilt=True)
    assert error.value.fix == ACCEPT


def test_a_recipe_builds_against_prebuilt_packages(tmp_path: Path, debs: Path) -> None:
    deb = make_deb(debs, Package="libvendor-dev", Architecture="arm64")
    for name, text in [
        ("vendor", f"summary: a\nprebuilt: {{by: the vendor, debs: [{{file: {deb.path}, sha256: {deb.sha256}}}]}}\n"),
        ("user", f"summary: a\n{BUILT}build: {{recipes: {{vendor: [libvendor-dev]}}, install: 'true'}}\n"),
    ]:
        (tmp_path / "recipes" / name).mkdir(parents=True)
        serves = "targets: {suites: [trixie], architectures: [arm64]}\n"
        (tmp_path / "recipes" / name / "recipe.yml").write_text(f"name: {name}\n{serves}{text}")
    project = Project.open(tmp_path, Log(quiet=True))
    vendor, user = select(project, ["user"], ["trixie/arm64"])
    assert (vendor.recipe.name, vendor.job.strategy) == ("vendor", "prebuilt")
    assert "libvendor-dev:arm64" in (user.job.fetch or "")
    assert user.fingerprint["against"] == {"vendor": short_digest(vendor.fingerprint)}
