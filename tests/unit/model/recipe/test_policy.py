"""Rules of Debian Policy that lintian would enforce after the build are errors with the line at load time."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from builders.errors import InputError
from builders.model.recipe import Recipe, load_recipe
from tests.support.checkout import SYSTEMS


def with_package(folder: Path, **changes: Any) -> Recipe:
    data = yaml.safe_load((SYSTEMS / "hello/recipe.yml").read_text())
    data["packages"][0] |= changes
    return written(folder, data)


def written(folder: Path, data: dict[str, Any]) -> Recipe:
    place = folder / "hello"
    place.mkdir()
    (place / "recipe.yml").write_text(yaml.safe_dump(data, sort_keys=False))
    return load_recipe(place)


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("summary", "hello greets", "it begins with the package's name"),
        ("summary", "Hello: a greeting", "lintian: description-starts-with-package-name"),
        ("summary", "hello", "it is the package's name"),
        ("summary", "greeting", "expected more than one word (lintian: description-too-short)"),
        ("summary", "  ", "lintian: description-synopsis-is-empty"),
        ("summary", "friendly\tgreeting", "lintian: description-contains-tabs"),
        ("summary", "friendly\ngreeting", "expected one line"),
        ("summary", "friendly greeting\n", "expected one line"),
        ("description", "", "lintian: extended-description-is-empty"),
        ("description", "  \n", "lintian: extended-description-is-empty"),
        ("description", "Friendly Greeting.\nIt greets.", "lintian: description-synopsis-is-duplicated"),
        ("priority", "high", "packages.0.priority: "),
        ("section", "libs\nEssential: yes", "String should match pattern"),
        ("summary", "friendly\rgreeting", "expected one line"),
    ],
)
def test_a_rule_is_broken(tmp_path: Path, key: str, value: str, fault: str) -> None:
    with pytest.raises(InputError) as caught:
        with_package(tmp_path, **{key: value})
    lines = (tmp_path / "hello/recipe.yml").read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if text.strip(" -").startswith(f"{key}:") and number > 8)
    assert f"recipe.yml:{line}: packages.0.{key}: " in caught.value.detail
    assert fault in caught.value.detail


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("summary", "friendly greeting of hello"),
        ("summary", "helloes of the friendly kind"),
        ("summary", "greeting, version {{ version }}"),
        ("description", "It greets.\n.\nIn every language."),
        ("description", "It\tgreets, and reads\n.hellorc at its start."),
        (
            "depends",
            ["libc6 (>= 2.36)", "a | b:any (<< 1:2-3~x)", "${misc:Depends}", "x (= ${binary:Version}) [arm64]"],
        ),
        ("provides", ["greeter (= 1.0)", "libx-tf{{ tensorflow }}", "greeting"]),
        ("breaks", ["old (<< ${binary:Version})"]),
    ],
)
def test_a_rule_is_kept(tmp_path: Path, key: str, value: object) -> None:
    with_package(tmp_path, **{key: value})


@pytest.mark.parametrize(
    ("key", "relation", "fault"),
    [
        ("depends", "libc6 >= 2.36", "expected a relation as in 'name (>= 1.0)'"),
        ("depends", "libc6 (>2.36)", "expected a relation"),
        ("depends", "libfoo, libbar", "each relation is an entry of the list"),
        ("recommends", "LibFoo", "expected a relation"),
        ("provides", "greeter (>= 1)", "a provided version is exact"),
        ("conflicts", "a | b", "this field knows no alternatives"),
        ("depends", "libfoo libbar", "expected a relation"),
    ],
)
def test_a_wrong_relation(tmp_path: Path, key: str, relation: str, fault: str) -> None:
    with pytest.raises(InputError) as caught:
        with_package(tmp_path, **{key: ["libok", relation]})
    lines = (tmp_path / "hello/recipe.yml").read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if text.strip() == "- libok") + 1
    assert f"recipe.yml:{line}: packages.0.{key}.1: {relation!r}: " in caught.value.detail
    assert fault in caught.value.detail


def test_a_manual_page_has_a_section(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"packages\.0\.manpages\.1: expected the section at the end"):
        with_package(tmp_path, manpages=["hello.1", "hello.txt"])


def test_a_conffile_lies_in_etc(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"packages\.0\.conffiles\.usr/share/x: a conffile is below etc/"):
        with_package(tmp_path, conffiles={"etc/x": "x", "usr/share/x": "x"})


@pytest.mark.parametrize("path", ["etc/../../../../rules", "etc/x/../y", "etc//y", "etc/y/", "/etc/./y"])
def test_a_conffile_stays_in_its_folder(tmp_path: Path, path: str) -> None:
    with pytest.raises(InputError) as caught:
        with_package(tmp_path, conffiles={path: "x"}, lintian_overrides=[{"tag": "x y", "reason": "z"}])
    assert f"packages.0.conffiles.{path}: expected a path without" in caught.value.detail


LINE = "expected a text on one line, without control characters"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"depends": ["libfoo (>=\n1)"]}, f"packages.0.depends.0: 'libfoo (>=\\n1)': {LINE}"),
        ({"depends": [""]}, f"packages.0.depends.0: '': {LINE}"),
        ({"files": ["usr/a\0b"]}, f"packages.0.files.0: 'usr/a\\x00b': {LINE}"),
        ({"files": ["usr/a\nusr/b"]}, LINE),
        ({"links": {"usr/a": "b\nc d"}}, LINE),
        ({"manpages": ["../../rules.1"]}, "packages.0.manpages.0: expected a relative path without '..'"),
        ({"lintian_overrides": [{"tag": "", "reason": "x"}]}, f"packages.0.lintian_overrides.0.tag: '': {LINE}"),
        ({"lintian_overrides": [{"tag": "a\nb c", "reason": "x"}]}, LINE),
        ({"data": ["{a"]}, "packages.0.data.0: '{a' is not a pattern"),
    ],
)
def test_a_text_stays_on_its_line(tmp_path: Path, changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(InputError) as caught:
        with_package(tmp_path, **changes)
    assert fault in caught.value.detail


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"homepage": "https://example.org\nEssential: yes"}, "recipe.yml:{}: homepage: 'https://example.org"),
        ({"homepage": "example.org"}, "recipe.yml:{}: homepage: 'example.org': expected a URL"),
        ({"section": "misc\nX: y"}, "recipe.yml:{}: section: "),
        ({"license": "MIT\n\nFiles: x"}, "recipe.yml:{}: license: "),
        ({"tensorflow": "2.14, x"}, "recipe.yml:{}: tensorflow: "),
        ({"not_installed": ["/"]}, "not_installed.0: expected a relative path"),
        ({"not_installed": ["usr/a\0b"]}, "not_installed.0: 'usr/a\\x00b': " + LINE),
        ({"build": {"tools": ["cmake ninja-build"]}}, "build.tools.0: String should match pattern"),
        ({"build": {"libraries": ["libx-dev (>= 1)"]}}, "build.libraries.0: String should match pattern"),
        ({"copyright": [{"files": ["*\n\nx"], "copyright": ["x"], "license": "x"}]}, "copyright.0.files.0: "),
        ({"copyright": [{"files": ["*"], "copyright": ["x"], "license": "\nx"}]}, "the license's short name"),
    ],
)
def test_a_field_of_the_recipe_stays_on_its_line(tmp_path: Path, changes: dict[str, Any], fault: str) -> None:
    data = yaml.safe_load((SYSTEMS / "hello/recipe.yml").read_text())
    with pytest.raises(InputError) as caught:
        written(tmp_path, data | changes)
    lines = (tmp_path / "hello/recipe.yml").read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if text.startswith(f"{next(iter(changes))}:"))
    assert fault.format(line) in caught.value.detail


@pytest.mark.parametrize(
    ("checks", "hint"),
    [
        ([], "the recipe has no checks"),
        (["hello"], "did you mean 'run:hello'?"),
        (["zz"], "known: run:zz"),
    ],
)
def test_an_unknown_check_is_named_with_its_line(tmp_path: Path, checks: list[str], hint: str) -> None:
    data = yaml.safe_load((SYSTEMS / "hello/recipe.yml").read_text())
    data["packages"][0]["accept"] = [{"check": "run:helo", "match": "x", "reason": "y"}]
    data["checks"] = [{"name": name, "packages": ["hello"], "script": "x"} for name in checks]
    with pytest.raises(InputError) as caught:
        written(tmp_path, data)
    text = (tmp_path / "hello/recipe.yml").read_text()
    line = next(number for number, text in enumerate(text.splitlines(), 1) if "run:helo" in text)
    place = f"hello/recipe.yml:{line}: packages.0.accept.0.check"
    assert f"{place}: no check 'run:helo'; {hint}" in caught.value.detail


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"build": {"system": "cmak"}}, "build.system: unknown value 'cmak'; did you mean 'cmake'?"),
        ({"strategy": ["emulated"]}, "strategy.0: unknown value 'emulated'; did you mean 'emulate'?"),
        ({"build": {"system": "zzz"}}, "build.system: unknown value 'zzz'; known: autotools, bazel, cmake, make,"),
        ({"build": {"system": True}}, "build.system: Input should be 'autotools', 'cmake'"),
    ],
)
def test_an_unknown_word_has_the_nearest(tmp_path: Path, changes: dict[str, Any], fault: str) -> None:
    data = yaml.safe_load((SYSTEMS / "hello/recipe.yml").read_text())
    with pytest.raises(InputError) as caught:
        written(tmp_path, data | changes)
    assert fault in caught.value.detail


def test_paths_may_begin_with_a_slash(tmp_path: Path) -> None:
    data = yaml.safe_load((SYSTEMS / "hello/recipe.yml").read_text())
    recipe = written(tmp_path, data | {"not_installed": ["/usr/share/x", "usr/y"]})
    assert recipe.not_installed == ["usr/share/x", "usr/y"]


def test_relations_of_portable_packages_are_judged(tmp_path: Path) -> None:
    data = yaml.safe_load((SYSTEMS / "hello/recipe.yml").read_text())
    packages = {"hello": {"depends": ["libfoo, libbar"]}}
    data["portable"] = {"native": "trixie", "suites": ["buster"], "packages": packages}
    with pytest.raises(InputError, match=r"portable\.packages\.hello\.depends\.0: 'libfoo, libbar': each relation"):
        written(tmp_path, data)


def test_an_entry_of_the_changelog_says_something(tmp_path: Path) -> None:
    data = yaml.safe_load((SYSTEMS / "hello/recipe.yml").read_text())
    data["changelog"][0]["changes"] = [" "]
    with pytest.raises(InputError, match=r"changelog\.0\.changes\.0: expected a text"):
        written(tmp_path, data)


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        with_package(tmp_path, summary="hello", description="", architecture="all", multi_arch="same")
    assert [line.split("lintian: ")[1][:-1] for line in caught.value.detail.splitlines()] == [
        "description-is-pkg-name", "extended-description-is-empty", "illegal-multi-arch-value",
    ]  # fmt: skip


def test_an_accepted_tag_is_no_fault(tmp_path: Path) -> None:
    override = {"tag": "description-starts-with-package-name", "reason": "it is a word"}
    with_package(tmp_path, summary="hello of the world", lintian_overrides=[override])


def test_a_fault_accepted_for_lintian_is_no_fault(tmp_path: Path) -> None:
    accept = [{"check": "lintian", "match": "description-starts-with-package-name", "reason": "it is a word"}]
    with_package(tmp_path, summary="hello of the world", accept=accept)


def test_the_recipes_description_serves_all_packages(tmp_path: Path) -> None:
    data = yaml.safe_load((SYSTEMS / "hello/recipe.yml").read_text())
    del data["packages"][0]["description"]
    written(tmp_path, data | {"description": "It greets."})


def test_two_packages_have_two_names(tmp_path: Path) -> None:
    data = yaml.safe_load((SYSTEMS / "hello/recipe.yml").read_text())
    data["packages"] *= 2
    with pytest.raises(InputError, match="duplicate name of a package: hello"):
        written(tmp_path, data)


def test_dates_of_the_changelog_rise(tmp_path: Path) -> None:
    data = yaml.safe_load((SYSTEMS / "hello/recipe.yml").read_text())
    data["changelog"] = [data["changelog"][0] | {"revision": 2}, data["changelog"][0]]
    with pytest.raises(InputError, match="expected a later date than that of the entry below"):
        written(tmp_path, data)
