"""What recipes rely on upstream for: listed completely, and compared with a real checkout."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from builders.cli import maintenance
from builders.errors import CheckError, InputError, SourceError
from builders.host.log import Log
from builders.maintenance.upstream_check import recheck
from builders.model.recipe import Archive, DebianPool, Git, Local, Recipe, load_recipe, load_recipes
from builders.model.recipe.upstream import load_upstream, unlisted
from builders.pipeline.project import Project
from tests.support.checkout import CHECKOUT

RECIPES = {
    name: recipe
    for name, recipe in load_recipes(CHECKOUT / "recipes").items()
    if any(not isinstance(source.way, Local) for source in recipe.sources)
}
"""The recipes with sources of others."""
AT = f"git:{'0' * 40}"


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_a_recipe_lists_all_that_it_uses_of_upstream(recipe: Recipe) -> None:
    upstream = load_upstream(recipe)
    assert upstream, "a recipe with sources of others wants an upstream.yml"
    assert unlisted(recipe, upstream) == []
    assert set(upstream.sources) == {s.name for s in recipe.sources if isinstance(s.way, Archive | DebianPool | Git)}


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    """A repository with what the miniature's recipe relies on."""
    folder = tmp_path / "upstream"
    (folder / "server").mkdir(parents=True)
    (folder / "server" / "main.cc").write_text("int main() { return old_call(1); }\n")
    (folder / "server" / "BUILD").write_text('cc_binary(\n    name = "server",\n    srcs = ["main.cc"],\n)\n')
    (folder / ".bazelrc").write_text("build:release --copt=-O2\nbuild --define=with_usb=true\n")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    return folder


RELIES: dict[str, Any] = {
    "sources": {
        "mini": [
            {
                "at": AT,
                "paths": ["server/main.cc"],
                "texts": [{"file": "server/main.cc", "find": r"\bold_call\(1\)", "count": 1, "reason": "is edited"}],
                "targets": ["//server:server"],
                "flags": [{"flag": "--config=release"}, {"flag": "--define=with_usb=true"}],
            }
        ]
    }
}


@pytest.fixture
def project(tmp_path: Path, upstream: Path) -> Path:
    folder = tmp_path / "project"
    recipe = folder / "recipes" / "mini"
    recipe.mkdir(parents=True)
    (folder / "reef.yml").write_text("maintainer: Reef <reef@example.org>\n")
    commit = git(upstream, "rev-parse", "HEAD")
    document = {
        "name": "mini", "version": "1", "summary": "miniature", "homepage": "https://example.org", "license": "MIT",
        "changelog": [{"revision": 1, "date": "2026-01-01T00:00:00Z", "changes": ["first"]}],
        "sources": [{"name": "mini", "git": {"url": f"file://{upstream}", "commit": commit}}],
        "edits": [
            {"file": "server/main.cc", "find": "old_call", "replace": "new_call", "reason": "renamed"},
            {"file": "server/main.cc", "find": "new_call.1.", "replace": "new_call()", "reason": "one argument less"},
        ],
        "targets": {"suites": ["trixie"], "architectures": ["arm64"]},
        "build": {"compile": "bazel build --config=release //server:server  # //not:this\n"},
        "packages": [{"name": "mini", "summary": "server in miniature", "description": "It answers no request."}],
    }  # fmt: skip
    (recipe / "recipe.yml").write_text(yaml.safe_dump(document))
    (recipe / "upstream.yml").write_text(yaml.safe_dump(RELIES))
    return folder


def rechecked(project: Path, folders: dict[str, Path] | None = None) -> tuple[int, tuple[str, ...], str]:
    [one] = recheck(Project.open(project, Log()), [], folders or {})
    return one.compared, one.faults, one.unreachable


def test_the_pinned_commit_is_compared_unedited(project: Path) -> None:
    assert rechecked(project) == (7, (), "")


def test_each_kind_of_change_is_reported(project: Path, upstream: Path) -> None:
    (upstream / "server" / "main.cc").write_text("int main() { return other(); }\n")
    (upstream / "server" / "BUILD").write_text('cc_binary(name = "main")\n')
    (upstream / ".bazelrc").write_text("build:fast --copt=-O2\n")
    _, faults, _ = rechecked(project, {"mini": upstream})
    output = "\n".join(faults)
    assert len(faults) == 6
    assert r"server/main.cc: '\\bold_call\\(1\\)' found 0 times, expected 1 (is edited)" in output
    assert "//server:server: not defined in server/BUILD" in output
    assert "--config=release: not defined in .bazelrc" in output
    assert "--define=with_usb=true: not defined in .bazelrc" in output
    assert "server/main.cc: an edit matches 0 times, expected 1: 'old_call' (renamed)" in output
    (upstream / "server" / "main.cc").unlink()
    assert f"server/main.cc: missing (seen at {AT})" in rechecked(project, {"mini": upstream})[1]


def test_what_must_not_be_there_is_reported(project: Path, upstream: Path) -> None:
    text = {"file": "server/main.cc", "find": "new_macro", "count": 0, "reason": "fails here"}
    relies = {"sources": {"mini": [{"at": AT, "texts": [text]}]}}
    (project / "recipes" / "mini" / "upstream.yml").write_text(yaml.safe_dump(relies))
    assert rechecked(project)[1] == ()
    (upstream / "server" / "main.cc").write_text("int main() { return old_call(new_macro); }\n")
    assert "'new_macro' found 1 times, expected 0 (fails here)" in rechecked(project, {"mini": upstream})[1][0]


def test_a_source_that_cannot_be_fetched_is_reported_as_that(project: Path, upstream: Path) -> None:
    upstream.rename(upstream.with_name("gone"))
    compared, faults, unreachable = rechecked(project)
    assert (compared, faults) == (0, ())
    assert "cannot fetch source 'mini' of mini" in unreachable


def test_the_command_ends_with_the_kind_of_trouble(
    project: Path, upstream: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REEF_FOLDER", str(project))
    maintenance.recheck_upstream([], [], offline=False)
    assert "as read" in capsys.readouterr().out
    (upstream / ".bazelrc").unlink()
    with pytest.raises(CheckError, match="differ from what the recipes rely on"):
        maintenance.recheck_upstream([], [f"mini={upstream}"], offline=False)
    with pytest.raises(InputError, match="not a source's folder"):
        maintenance.recheck_upstream([], ["mini"], offline=False)
    with pytest.raises(InputError, match="no recipe here relies on a source other"):
        maintenance.recheck_upstream([], [f"other={upstream}"], offline=False)
    with pytest.raises(InputError, match="unknown recipe"):
        maintenance.recheck_upstream(["maxi"], [], offline=False)


def test_the_command_shows_what_it_could_not_compare(
    project: Path, upstream: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REEF_FOLDER", str(project))
    upstream.rename(upstream.with_name("gone"))
    with pytest.raises(SourceError, match="some sources could not be compared") as caught:
        maintenance.recheck_upstream([], [], offline=False)
    assert "--source NAME=FOLDER" in caught.value.fix
    assert "not reachable" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("dropped", "named"),
    [("paths", "server/main.cc"), ("targets", "//server:server"), ("flags", "--config=release")],
)
def test_what_is_used_and_not_listed_is_found(project: Path, dropped: str, named: str) -> None:
    folder = project / "recipes" / "mini"
    relies = yaml.safe_load((folder / "upstream.yml").read_text())
    del relies["sources"]["mini"][0][dropped], relies["sources"]["mini"][0]["texts"]
    relies["sources"]["mini"][0]["texts"] = []
    if dropped != "paths":
        assert relies["sources"]["mini"][0]["paths"] == ["server/main.cc"]
    (folder / "upstream.yml").write_text(yaml.safe_dump(relies))
    recipe = load_recipe(folder)
    found = load_upstream(recipe)
    assert found
    assert unlisted(recipe, found) == [named]


def test_paths_in_scripts_are_used_comments_and_ours_are_not(project: Path) -> None:
    folder = project / "recipes" / "mini"
    (folder / "files" / "own").mkdir(parents=True)
    (folder / "files" / "own" / "part.cc").write_text("")
    (folder / "files" / "CMakeLists.txt").write_text(
        "# not/this.cc\nset(A ${TREE}/lib2/a.cc own/part.cc)\ninstall(FILES x DESTINATION usr/include/mini)\n"
        "add(${LITE}/b.cc)\nset(PLACE cmake/mini)\n"
    )
    relies = RELIES | {"ours": [{"word": "cmake/mini", "reason": "a folder of the package"}]}
    (folder / "upstream.yml").write_text(yaml.safe_dump(relies))
    recipe = load_recipe(folder)
    found = load_upstream(recipe)
    assert found
    assert unlisted(recipe, found) == ["b.cc", "lib2/a.cc"]


BAZEL_FLAGS = {
    "--define=with_usb=true": True,
    "--repo_env=SYSROOT_DIST=old": True,
    "--action_env=PLACE=/usr": True,
    "--@rules//common:hermetic=False": True,
    "--//server:fast": True,
    "--copt=-DWITH_USB": True,
    "--host_cxxopt=-DWITH_USB=1": True,
    "--platforms=@rules//common:arm": True,
    # Bazel's and the compiler's own.
    "--copt=-march=armv8-a": False,
    "--copt=-Wno-stringop-truncation": False,
    "--experimental_scale_timeouts=5.0": False,
    "--jobs=4": False,
}
"""Flags, and whether upstream gives them their meaning."""


@pytest.mark.parametrize("place", ["flags", "variants"])
@pytest.mark.parametrize(("flag", "upstreams"), BAZEL_FLAGS.items(), ids=list(BAZEL_FLAGS))
def test_settings_of_upstreams_are_used_flags_of_bazels_are_not(
    project: Path, place: str, flag: str, upstreams: bool
) -> None:
    folder = project / "recipes" / "mini"
    recipe = yaml.safe_load((folder / "recipe.yml").read_text())
    names = {"flags": "cross", "variants": "usb"}
    recipe["build"]["bazel"] = {"version": "6.5.0", "targets": ["//server:server"], place: {names[place]: [flag]}}
    (folder / "recipe.yml").write_text(yaml.safe_dump(recipe))
    without = RELIES | {"sources": {"mini": [RELIES["sources"]["mini"][0] | {"flags": [{"flag": "--config=release"}]}]}}
    (folder / "upstream.yml").write_text(yaml.safe_dump(without))
    found = load_upstream(load_recipe(folder))
    assert found
    output = flag.removeprefix("--platforms=")
    assert unlisted(load_recipe(folder), found) == ([output] if upstreams else [])
    ours = without | {"ours": [{"word": output, "reason": "the packages' own"}]}
    (folder / "upstream.yml").write_text(yaml.safe_dump(ours))
    found = load_upstream(load_recipe(folder))
    assert found
    assert unlisted(load_recipe(folder), found) == []


def test_the_flags_of_a_unit_are_used(project: Path) -> None:
    folder = project / "recipes" / "mini"
    (folder / "mini.service").write_text("[Service]\nExecStart=/usr/bin/mini --port=${PORT} \\\n    --fast $OPTIONS\n")
    recipe = yaml.safe_load((folder / "recipe.yml").read_text())
    recipe["packages"][0]["systemd"] = "mini.service"
    (folder / "recipe.yml").write_text(yaml.safe_dump(recipe))
    found = load_upstream(load_recipe(folder))
    assert found
    assert unlisted(load_recipe(folder), found) == ["--fast", "--port"]


def test_what_bazel_fetches_is_compared_where_a_checkout_is_given(
    project: Path, upstream: Path, tmp_path: Path
) -> None:
    flags = [{"flag": "--port", "file": "main.cc"}, {"flag": "--define=with_cpus=all"}]
    relies = RELIES | {"fetched": {"org_rules": [{"at": AT, "flags": flags, "targets": ["//common:arm"]}]}}
    (project / "recipes" / "mini" / "upstream.yml").write_text(yaml.safe_dump(relies))
    assert rechecked(project) == (7, (), "")
    fetched = tmp_path / "rules"
    (fetched / "common").mkdir(parents=True)
    (fetched / "common" / "BUILD").write_text('platform(name = "arm")\n')
    (fetched / "main.cc").write_text('Flag("port", &port, "the port"), Flag("ports", &ports)\n')
    (fetched / ".bazelrc").write_text("build:all --define=with_cpus=all\n")
    project_there = Project.open(project, Log())
    own, others = recheck(project_there, [], {"org_rules": fetched})
    assert (own.source, own.compared, own.faults) == ("mini", 7, ())
    assert (others.source, others.compared, others.faults) == ("org_rules", 3, ())
    (fetched / "main.cc").write_text('Flag("ports", &ports)\n')
    (fetched / ".bazelrc").write_text("build:all --define=with_cpus=all_of_them\n")
    _, others = recheck(project_there, [], {"org_rules": fetched})
    assert others.faults == (
        "--port: not defined in main.cc",
        "--define=with_cpus=all: not defined in .bazelrc",
    )


def test_an_unknown_source_and_a_bad_expression_are_refused(project: Path) -> None:
    folder = project / "recipes" / "mini"
    (folder / "upstream.yml").write_text(yaml.safe_dump({"sources": {"maxi": []}}))
    with pytest.raises(InputError, match="no such source of mini: maxi"):
        load_upstream(load_recipe(folder))
    text = {"file": "a", "find": "(", "reason": "none"}
    (folder / "upstream.yml").write_text(yaml.safe_dump({"sources": {"mini": [{"at": AT, "texts": [text]}]}}))
    with pytest.raises(InputError) as caught:
        load_upstream(load_recipe(folder))
    assert "not a regular expression" in caught.value.detail
