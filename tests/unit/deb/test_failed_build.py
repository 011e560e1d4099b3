"""A build whose packages name other files than it installed fails in the recipe's terms, with the nearest names."""

from pathlib import Path

import pytest

from builders.deb import explained
from builders.errors import BuildError
from builders.host.excerpt import TREE
from builders.model.recipe import load_recipe
from tests.support.checkout import HELLO

RECIPE = load_recipe(HELLO)
INSTALLED = ("usr/bin/reef-hello", "usr/lib/aarch64-linux-gnu/libreef-greet.so.2", "usr/share/reef/data")


def error_of(folder: Path, *lines: str) -> BuildError:
    log = folder / "run.log"
    log.write_text("\n".join([*lines, *(f"{TREE}{path}" for path in INSTALLED), ""]))
    return explained(RECIPE, BuildError("run failed", "advice", "enter its root: ./inv shell --job x", log))


def test_a_file_that_was_not_installed_has_near_names(tmp_path: Path) -> None:
    error = error_of(
        tmp_path,
        'dh_install: warning: Cannot find (any matches for) "usr/lib/*/libreef-greet.so.1" (tried in ., debian/tmp)',
        'dh_install: warning: Cannot find (any matches for) "usr/sbin/reef-hello" (tried in ., debian/tmp)',
        "dh_install: warning: libreef-greet1 missing files: usr/lib/*/libreef-greet.so.1",
        "dh_install: error: missing files, aborting",
    )
    assert error.what == "reef-hello: packages name files that the build did not install"
    lines = error.detail.splitlines()
    assert lines[:2] == [
        "libreef-greet1: no file matches usr/lib/*/libreef-greet.so.1; nearest: usr/lib/*/libreef-greet.so.2",
        "reef-hello: no file matches usr/sbin/reef-hello; nearest: usr/bin/reef-hello",
    ]
    assert "  usr/share/reef/data" in lines
    assert "correct files: of the package" in error.fix
    assert "./inv shell --job x" in error.fix


def test_a_file_that_no_package_takes(tmp_path: Path) -> None:
    error = error_of(
        tmp_path,
        "dh_missing: warning: usr/lib/aarch64-linux-gnu/libreef-greet.so.2 exists in debian/tmp but is not installed "
        'to anywhere (related file: "debian/tmp/usr/lib/x")',
        "dh_missing: warning: usr/share/reef/data exists in debian/tmp but is not installed to anywhere ",
        "dh_missing: error: missing files, aborting",
    )
    assert error.what == "reef-hello: the build installed files that no package takes"
    assert error.detail.splitlines()[:2] == [
        "usr/lib/*/libreef-greet.so.2 (near usr/lib/*/libreef-greet.so.1 of libreef-greet1)",
        "usr/share/reef/data",
    ]
    assert "not_installed: of the recipe" in error.fix


def test_many_files_are_counted(tmp_path: Path) -> None:
    warning = "dh_missing: warning: usr/share/x/{} exists in debian/tmp but is not installed to anywhere "
    error = error_of(tmp_path, *(warning.format(number) for number in range(40)))
    assert "and 28 more" in error.detail


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("/x.c:1:10: fatal error: zlib.h: No such file or directory", "zlib.h is missing: {} libraries: (for"),
        ("  Could NOT find ZLIB (missing: ZLIB_LIBRARY ZLIB_INCLUDE_DIR)", "ZLIB is missing: {} libraries: (for"),
        (
            '../meson.build:2:0: ERROR: Dependency "libusb-1.0" not found, tried pkgconfig',
            "libusb-1.0 is missing: {} lib",
        ),
        ("configure: error: Package requirements (libffi) were not met", "libffi is missing: {} libraries: (for"),
        ("/usr/bin/ld: cannot find -lfoo: No such file or directory", "foo is missing: {} libraries: (for"),
        ("debian/reef/compile.sh: 1: protocc: not found", "protocc is missing: {} tools: of"),
        ("/build/x/missing: line 85: makeinfo: command not found", "makeinfo is missing: {} tools: of"),
        ("make[2]: help2man: No such file or directory", "help2man is missing: {} tools: of"),
        ("ModuleNotFoundError: No module named 'flit_core'", "flit_core is missing: {} tools: (python3-*) of"),
    ],
)
def test_a_missing_package_has_a_key(line: str, advice: str) -> None:
    error = explained(RECIPE, BuildError("run failed", f"x\n{line}\nfull log: y", "enter its root: ./inv shell"))
    assert error.fix.startswith(advice.format("name the Debian package that has it in"))
    assert error.fix.endswith("; enter its root: ./inv shell")
    assert (error.what, error.detail.split("\n")[1]) == ("run failed", line)


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ("debian/fw/usr/lib/fw/core.elf debian/.debhelper/fw/dbgsym-root/x.debug", "usr/lib/fw/core.elf"),
        ('"debian/fw/opt/My core.elf" debian/.debhelper/fw/dbgsym-root/x.debug', "opt/My core.elf"),
    ],
)
def test_a_program_for_another_cpu_may_be_data(arguments: str, path: str) -> None:
    line = f"dh_strip: error: aarch64-linux-gnu-objcopy --only-keep-debug {arguments} returned exit code 1"
    error = explained(RECIPE, BuildError("run failed", f"x\n{line}", "enter its root: ./inv shell"))
    assert error.fix.startswith(f"{path} is no program for the target's CPU: if it is data, such as firmware")
    assert error.fix.endswith("name it in data: of the package fw; enter its root: ./inv shell")


def test_other_failures_stay_as_they_are(tmp_path: Path) -> None:
    error = error_of(tmp_path, "x.c:1:1: error: wrong")
    assert (error.what, error.detail) == ("run failed", "advice")
    gone = BuildError("run failed", "advice", "", tmp_path / "no log")
    assert explained(RECIPE, gone) is gone
