"""What a source tree says of itself, for each build system."""

from pathlib import Path

import pytest
from debian.debian_support import Version

from builders.maintenance.new_recipe.tree_facts import readme_summary, release_in, tree_facts, upstream_version

MIT = """Copyright (c) 2020-2024 Ada Lovelace

Permission is hereby granted, free of charge, to any person obtaining a copy
"""


def tree(folder: Path, **files: str) -> Path:
    """Write files, whose names have ``__`` for a dot, and return their folder."""
    for name, text in files.items():
        path = folder / name.replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_autotools(tmp_path: Path) -> None:
    text = "dnl hello\nAC_INIT([GNU Hello], [2.12.1], [bug@example.org], [hello], [https://example.org/hello])\n"
    found = tree_facts(tree(tmp_path, configure__ac=text, README="Hello\n\nA program that greets its user. More.\n"))
    assert (found.system, found.version, found.homepage) == ("autotools", "2.12.1", "https://example.org/hello")
    assert found.summary == ""
    assert readme_summary(tmp_path) == "A program that greets its user"


def test_a_version_that_m4_computes_is_taken_from_configure(tmp_path: Path) -> None:
    text = "AC_INIT([x], [m4_esyscmd([./version.sh])])\n"
    found = tree_facts(tree(tmp_path, configure__ac=text, configure="PACKAGE_VERSION='3.4'\n"))
    assert found.version == "3.4"


def test_cmake(tmp_path: Path) -> None:
    text = """# project(not this)
cmake_minimum_required(VERSION 3.16)
project(greet
  VERSION 1.7.18
  DESCRIPTION "Library that greets"
  HOMEPAGE_URL "https://example.org/greet"
  LANGUAGES C)
"""
    found = tree_facts(tree(tmp_path, CMakeLists__txt=text, LICENSE=MIT))
    assert (found.system, found.version, found.summary) == ("cmake", "1.7.18", "Library that greets")
    assert found.homepage == "https://example.org/greet"
    assert (found.rights.license, found.rights.statements) == ("MIT", ("2020-2024 Ada Lovelace",))
    assert "Permission is hereby granted" in found.rights.text


def test_meson(tmp_path: Path) -> None:
    text = (
        "project(\n  'inih',\n  ['c', 'cpp'],\n  version : '58',\n  license : 'BSD-3-Clause',\n)\nx = f(version: '1')\n"
    )
    found = tree_facts(tree(tmp_path, meson__build=text))
    assert (found.system, found.version, found.rights.license) == ("meson", "58", "BSD-3-Clause")


def test_python(tmp_path: Path) -> None:
    text = """[project]
name = "greet"
version = "3.10rc1"
description = "Greets in many languages"
license = "BSD-3-Clause"
[project.urls]
Homepage = "https://example.org/greet"
"""
    found = tree_facts(tree(tmp_path, pyproject__toml=text))
    assert (found.system, found.version, found.summary) == ("python", "3.10~rc1", "Greets in many languages")
    assert (found.homepage, found.rights.license, found.pure) == ("https://example.org/greet", "BSD-3-Clause", True)


@pytest.mark.parametrize(
    "text",
    [
        '[project]\nlicense = ["MIT"]\nurls = ["a"]\nversion = 1.0\ndescription = ["x"]\n', 'project = "x"\ntool = 1\n',
        "[project.urls]\nHomepage = 1\n", "[project]\nlicense = {text = 1}\n", "[[project]]\n[tool]\npoetry = []\n",
        "= x",
    ],
)  # fmt: skip
def test_values_of_other_types_are_left_out(tmp_path: Path, text: str) -> None:
    found = tree_facts(tree(tmp_path, pyproject__toml=text))
    assert (found.system, found.version, found.summary, found.homepage) == ("python", "", "", "")


def test_poetry(tmp_path: Path) -> None:
    text = '[tool.poetry]\nversion = "1.2b1"\ndescription = "Greets"\nlicense = "MIT"\nhomepage = "https://e.org"\n'
    found = tree_facts(tree(tmp_path, pyproject__toml=text))
    assert (found.version, found.summary, found.rights.license) == ("1.2~b1", "Greets", "MIT")
    assert found.homepage == "https://e.org"


def test_setup_cfg(tmp_path: Path) -> None:
    text = "[metadata]\nversion = 1.2\ndescription = Greets 100% kindly\nlicense = MIT\nhome-page = https://e.org\n"
    found = tree_facts(tree(tmp_path, setup__py="", setup__cfg=text))
    assert (found.version, found.summary, found.rights.license) == ("1.2", "Greets 100% kindly", "MIT")
    assert found.homepage == "https://e.org"
    found = tree_facts(tree(tmp_path, setup__cfg="[metadata]\nversion = attr: greet.version\ndescription = file: R\n"))
    assert (found.version, found.summary) == ("", "")
    assert tree_facts(tree(tmp_path, setup__cfg="no section")).system == "python"


def test_metadata_of_a_source_distribution_comes_first(tmp_path: Path) -> None:
    metadata = (
        "Metadata-Version: 2.1\nName: greet\nVersion: 1.2\nSummary: Greets\nHome-page: https://example.org\n\nlong\n"
    )
    tree(tmp_path, setup__py="", src__c="")
    (tmp_path / "PKG-INFO").write_text(metadata)
    found = tree_facts(tmp_path)
    assert (found.version, found.summary, found.pure) == ("1.2", "Greets", False)


def test_modules_in_c_of_tests_alone_need_no_compiler(tmp_path: Path) -> None:
    assert tree_facts(tree(tmp_path, setup__py="", **{"tests/x__c": ""})).pure


def test_debhelpers_order_decides_between_build_systems(tmp_path: Path) -> None:
    assert tree_facts(tree(tmp_path, Makefile="all:\n")).system == "make"
    assert tree_facts(tree(tmp_path, meson__build="project('x', 'c')\n")).system == "meson"
    assert tree_facts(tree(tmp_path, CMakeLists__txt="project(x)\n")).system == "cmake"
    assert tree_facts(tree(tmp_path, configure="")).system == "autotools"


def test_nothing_is_known_of_an_empty_tree(tmp_path: Path) -> None:
    found = tree_facts(tmp_path)
    assert (found.system, found.version, found.summary, found.rights.license) == ("", "", "", "")


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("hello-2.12.1.tar.gz", "2.12.1"),
        ("hello_2.10.orig.tar.gz", "2.10"),
        ("https://example.org/x/archive/refs/tags/v1.7.18.tar.gz", "1.7.18"),
        ("jansson-2.14-rc1.tar.bz2", "2.14~rc1"),
        ("libfoo2-1.0.zip", "1.0"),
        ("main.tar.gz", ""),
        ("foo-1.0-RC1.tar.gz", "1.0~rc1"),
        ("foo-2.0b2.tar.gz", "2.0~b2"),
        ("foo-2.0a1.zip", "2.0~a1"),
        ("foo-1.0.dev1.tar.gz", "1.0~~dev1"),
        ("foo-1.0-SNAPSHOT.tar.gz", "1.0~snapshot"),
        ("foo_1.0~rc1.orig.tar.gz", "1.0~rc1"),
        ("foo-1.0rc1.dev2.tar.gz", "1.0~rc1~~dev2"),
        ("openssl-1.0.2u.tar.gz", "1.0.2u"),
        ("foo-1.0-prebuilt.tar.gz", "1.0"),
        ("foo-1.0.tbz2", "1.0"),
    ],
)
def test_the_version_in_an_archives_name(name: str, version: str) -> None:
    assert release_in(name) == version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v1.2", "1.2"), ("1.2-3", "1.2.3"), ("abc", ""), ("2.0beta2", "2.0~beta2"), ("1.0-RC1", "1.0~rc1"),
        ("1.0.Beta.2", "1.0~beta2"), ("1.0-SNAPSHOT", "1.0~snapshot"), ("1.0-SNAPSHOT-7", "1.0~snapshot7"),
        ("2.0b2", "2.0~b2"), ("2.0a1.dev3", "2.0~a1~~dev3"), ("1.0.dev1", "1.0~~dev1"),
        ("1.0rc1+local", "1.0~rc1+local"), ("1.0.post1", "1.0.post1"), ("1.1.1b", "1.1.1b"), ("9.7p1", "9.7p1"),
        ("1.0+20a3b", "1.0+20a3b"), ("1.0-rc", "1.0~rc"),
    ],
)  # fmt: skip
def test_versions_are_spelled_as_policy_says(text: str, version: str) -> None:
    assert upstream_version(text) == version


def test_versions_are_in_the_order_of_pep_440() -> None:
    order = ["1.0.dev1", "1.0a1.dev1", "1.0a1", "1.0b1", "1.0rc1.dev2", "1.0rc1", "1.0", "1.0.post1", "1.1.dev1"]
    assert sorted(map(upstream_version, order), key=Version) == [upstream_version(text) for text in order]


def test_a_website_with_a_variable_is_none(tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text('project(greet VERSION 1.2 HOMEPAGE_URL "${SITE}/greet")\n')
    assert tree_facts(tmp_path).homepage == ""


@pytest.mark.parametrize(
    ("readme", "summary"),
    [
        ("This is the README file for the GNU Hello distribution.\n", ""),
        ("See the file INSTALL for how to build it.\n", ""),
        ("Welcome to the greeting program\n\nGreeting for boards and screens.\n", "Greeting for boards and screens"),
        ("This is a library that greets its user.\n", "a library that greets its user"),
    ],
)
def test_a_readme_on_itself_is_no_summary(tmp_path: Path, readme: str, summary: str) -> None:
    (tmp_path / "README").write_text(readme)
    assert readme_summary(tmp_path) == summary
