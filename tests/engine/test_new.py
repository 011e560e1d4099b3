"""Recipes that ``new`` writes, without an edit: they build for another CPU, and run there."""

import shutil
import textwrap

import pytest

from builders.apt.repository.publication import published
from builders.model.recipe import load_recipe
from tests.support.place import Place

TREE = {
    "CMakeLists.txt": """
        cmake_minimum_required(VERSION 3.18)
        project(tally VERSION 1.4 DESCRIPTION "Counting for boards" LANGUAGES C)
        include(GNUInstallDirs)
        add_library(tally tally.c)
        set_target_properties(tally PROPERTIES VERSION 2.1 SOVERSION 2 PUBLIC_HEADER tally.h)
        add_executable(tally-tool tool.c)
        target_link_libraries(tally-tool tally)
        install(TARGETS tally tally-tool)
    """,
    "tally.h": "int tally(void);\n",
    "tally.c": '#include "tally.h"\nint tally(void) { return 3; }\n',
    "tool.c": '#include "tally.h"\nint main(void) { return tally() - 3; }\n',
    "LICENSE": "Copyright 2026 Ada\n\nPermission is hereby granted, free of charge, to any person obtaining a copy",
}
POOL = ("hello", "tinyxml2", "libinih", "python-idna")
"""Source packages of Debian: built by Autotools, CMake, Meson and pybuild."""


def test_a_folder_becomes_packages(place: Place) -> None:
    source = place.folder / "src"
    source.mkdir()
    for name, text in TREE.items():
        (source / name).write_text(textwrap.dedent(text).lstrip())
    output = place.run("new", "tally", "--source", str(source))
    assert "package libtally2: Counting for boards - shared library" in output
    recipe = load_recipe(place.folder / "recipes" / "tally")
    assert [package.name for package in recipe.packages] == ["tally-tools", "libtally2", "libtally-dev"]
    assert recipe.checks[0].expect == ["tally-tool: starts", "libtally.so.2: loads"]
    assert "libtally-dev" in place.run("build-arm", "--recipe", "tally", "--target", "trixie/arm64")
    assert f"{place.folder / 'recipes' / 'tally'} exists" in place.run("new", "tally", "--source", "x", status=3)


@pytest.mark.nightly  # `test_a_folder_becomes_packages` builds what a recipe of new proposes
def test_source_packages_of_debian_are_built_installed_and_run(place: Place) -> None:
    shutil.rmtree(place.recipe)
    for name in POOL:
        assert "left to fill in" not in place.run("new", name, "--source", name)
    chosen = [word for name in POOL for word in ("--recipe", name)]
    place.run("build-arm", *chosen)
    assert "published" in place.run("publish-apt", *chosen)
    recipes = [load_recipe(place.folder / "recipes" / name) for name in POOL]
    assert all(recipe.checks for recipe in recipes)  # each was installed and run on the target CPU
    named = {package.name for recipe in recipes for package in recipe.packages}
    assert named >= {"hello", "libtinyxml2-dev", "libinih-dev", "python3-idna"}
    assert {deb.package for deb in published(place.artifacts / "apt", "trixie")} >= named
