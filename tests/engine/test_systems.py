"""Trees with a build system of their own, by short recipes: built for another CPU, installed and run."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from builders.model.deb_file import control_of, members
from tests.support.checkout import SYSTEMS
from tests.support.place import Place

POOL = {
    "hello": ("hello", ["Hello, world!"]),
    "tini": ("tini --version\ntini -- echo child", ["tini version 0.19.0", "child"]),
    "bubblewrap": ("bwrap --version", ["bubblewrap 0.12.0"]),
    "python3-markupsafe": (
        "python3 -c 'import markupsafe, markupsafe._speedups as c; print(markupsafe.escape(\"<b>\"), c.__name__)'",
        ["&lt;b&gt; markupsafe._speedups"],
    ),
}
"""Projects of Debian's pool, built by Autotools, CMake, Meson and pybuild: a command on the board, and its lines."""
TREE = {
    "CMakeLists.txt": """
        cmake_minimum_required(VERSION 3.18)
        project(tally C)
        include(GNUInstallDirs)
        option(LOUD "print in capitals" OFF)
        add_library(tally SHARED tally.c)
        set_target_properties(tally PROPERTIES SOVERSION 1)
        target_compile_definitions(tally PRIVATE $<$<BOOL:${LOUD}>:LOUD>)
        add_executable(tally-tool tool.c)
        target_link_libraries(tally-tool tally)
        install(TARGETS tally tally-tool)
        install(FILES notes.txt DESTINATION ${CMAKE_INSTALL_DATADIR}/tally)
        enable_testing()
        add_test(NAME counts COMMAND tally-tool)
    """,
    "tally.c": """
        int tally(void) { return 3; }
        #ifdef LOUD
        const char *word = "THREE";
        #else
        const char *word = "three";
        #endif
    """,
    "tool.c": """
        #include <stdio.h>
        extern const char *word;
        int tally(void);
        int main(void) { puts(word); return tally() == 3 ? 0 : 1; }
    """,
    "notes.txt": "notes",
}


def add(place: Place, name: str, recipe: dict[str, object]) -> Path:
    folder = place.folder / "recipes" / name
    folder.mkdir(parents=True)
    (folder / "recipe.yml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    return folder


def test_a_cmake_tree_is_built_for_another_cpu(place: Place) -> None:
    """The errors about files come first, as a new user would meet them."""
    packages = [
        {"name": "libtally1", "summary": "counting - library", "files": ["usr/lib/*/libtally.so.*"]},
        {"name": "tally-tool", "summary": "counting - program", "files": ["usr/bin/tally"]},
    ]
    recipe = yaml.safe_load((SYSTEMS / "hello/recipe.yml").read_text()) | {
        "name": "tally", "version": "1.0", "description": "It counts.", "packages": packages,
        "sources": [{"name": "tally", "local": {"path": "source"}}], "build": {"cmake": {"options": ["-DLOUD=ON"]}},
    }  # fmt: skip
    folder = add(place, "tally", recipe)
    for file, text in TREE.items():
        (folder / "source").mkdir(exist_ok=True)
        (folder / "source" / file).write_text(text)
    output = place.run("build-arm", "--recipe", "tally", status=7)
    assert "tally-tool: no file matches usr/bin/tally; nearest: usr/bin/tally-tool" in output
    packages[1]["files"] = ["usr/bin"]
    (folder / "recipe.yml").write_text(yaml.safe_dump(recipe))
    output = place.run("build-arm", "--recipe", "tally", status=7)
    assert "the build installed files that no package takes" in output
    assert (
        "  usr/lib/*/libtally.so (near usr/lib/*/libtally.so.* of libtally1)\n  usr/share/tally/notes.txt\n" in output
    )
    recipe["not_installed"] = ["usr/lib/*/libtally.so", "usr/share/tally"]
    (folder / "recipe.yml").write_text(yaml.safe_dump(recipe))
    place.run("build-arm", "--recipe", "tally")
    built = place.artifacts / "builds/tally/trixie-arm64"
    [tool] = built.glob("tally-tool_*.deb")
    assert (control_of(tool)["Architecture"], "libtally1 (>= 1.0)" in control_of(tool)["Depends"]) == ("arm64", True)
    [library] = built.glob("libtally1_*.deb")
    content = next(content for entry, content in members(library) if entry.name.endswith("libtally.so.1"))
    assert b"THREE" in (content or b"")
    assert json.loads((built / "record.json").read_text())["ccache"][1] >= 2


@pytest.mark.nightly
def test_projects_of_debians_pool_run_on_a_board(place: Place) -> None:
    """The only package of each gets everything that is installed; the tests of two run natively."""
    shutil.rmtree(place.recipe)
    for name, (command, lines) in POOL.items():
        recipe = yaml.safe_load((SYSTEMS / name / "recipe.yml").read_text())
        recipe["targets"]["architectures"].append("amd64")
        recipe["checks"] = [{"name": "runs", "packages": [name], "script": "checks/run.sh", "expect": lines}]
        folder = add(place, name, recipe)
        (folder / "checks").mkdir()
        (folder / "checks/run.sh").write_text(command + "\n")
    place.run("build-arm", "publish-apt", "--target", "trixie/arm64")
    assert (place.artifacts / "apt/dists/trixie/InRelease").is_file()
    place.run("build-arm", "--target", "trixie/amd64", "--recipe", "hello", "--recipe", "tini")
    log = (place.artifacts / "logs/hello/trixie/amd64/build-run.log").read_text()
    assert re.search(r"^# PASS: +[1-9]", log, re.MULTILINE)
