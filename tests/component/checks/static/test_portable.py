"""Portable: loaders, search paths and places of ELF files in real .debs of a runtime and of portable packages."""

import subprocess
from pathlib import Path

import pytest

from builders.checks.static.contents import read_contents
from builders.checks.static.portable import check_portable
from builders.model.arch import AMD64
from builders.model.packages import Verdict
from builders.model.recipe import PortableFolders, Recipe, for_target, load_recipe
from tests.component.checks.conftest import Compiled
from tests.support.checkout import CHECKOUT
from tests.support.debs import AMD64_BOOKWORM, make_deb, recipe_of

VERSION = "13.1"
FOLDERS = PortableFolders(AMD64, VERSION)
BUNDLE, PRIVATE, PUBLIC = FOLDERS.bundle[1:], FOLDERS.private[1:], FOLDERS.public[1:]
RUNTIME = recipe_of(
    f"runtime{VERSION}",
    version=VERSION,
    build={"root": "trixie", "runtime": {"libraries": ["libanswer.so.1"]}},
    targets={"suites": ["bookworm"], "architectures": ["amd64"]},
)


@pytest.fixture(scope="module")
def portable() -> Recipe:
    """The miniature, repacked for bookworm."""
    traps = load_recipe(CHECKOUT / "tests" / "fixtures" / "portable" / "reef-traps")
    return for_target(traps, AMD64_BOOKWORM, {"reef-traps": traps, "reef-portable-runtime": RUNTIME})


def program(
    folder: Path, loader: str = FOLDERS.loader, rpath: str = FOLDERS.rpath, tags: str = "disable",
    flag: str = "nodefaultlib",
) -> bytes:  # fmt: skip
    """Compile a program with that loader, and with DT_RPATH (DT_RUNPATH if ``tags`` are enabled)."""
    (folder / "program.c").write_text("int main(void) { return 0; }\n")
    flags = [f"-Wl,--dynamic-linker={loader}", f"-Wl,--{tags}-new-dtags", *([f"-Wl,-rpath,{rpath}"] if rpath else []),
             "-Wl,-z," + flag]  # fmt: skip
    subprocess.run(["gcc", *flags, "-o", "program", "program.c"], cwd=folder, check=True)
    return (folder / "program").read_bytes()


def judge(folder: Path, recipe: Recipe, files: dict[str, bytes | str], **more: object) -> Verdict:
    return check_portable(read_contents(make_deb(folder, files, **more)), AMD64_BOOKWORM, recipe)  # type: ignore[arg-type]


def test_a_portable_program_and_library_pass(tmp_path: Path, compiled: Compiled, portable: Recipe) -> None:
    verdict = judge(
        tmp_path, portable, {"usr/bin/program": program(tmp_path), f"{PRIVATE}/libanswer.so.1": compiled.library}
    )
    assert (verdict.passed, verdict.detail) == (True, "1 programs, 1 libraries")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"loader": "/lib64/ld-linux-x86-64.so.2"}, "its loader is /lib64/ld-linux-x86-64.so.2, expected: "),
        ({"loader": FOLDERS.loader.replace("13.1", "13.2")}, "reef-portable/13.2/ld-linux-x86-64.so.2, expected: "),
        ({"rpath": ""}, "its DT_RPATH is missing, expected: "),
        ({"rpath": FOLDERS.bundle}, f"its DT_RPATH is {FOLDERS.bundle}, expected: {FOLDERS.rpath}"),
        ({"tags": "enable"}, "its DT_RPATH is missing, expected: "),
        ({"flag": "now"}, "it looks for libraries in the board's folders too (no DF_1_NODEFLIB)"),
    ],
)
def test_faults_of_a_program(tmp_path: Path, portable: Recipe, change: dict[str, str], fault: str) -> None:
    verdict = judge(tmp_path, portable, {"usr/libexec/program": program(tmp_path, **change)})
    assert (verdict.check, verdict.passed) == ("portable", False)
    assert verdict.detail.startswith("usr/libexec/program: ")
    assert fault in verdict.detail
    assert "portable_driver.py" in verdict.detail


def test_a_library_where_the_boards_programs_would_load_it(
    tmp_path: Path, compiled: Compiled, portable: Recipe
) -> None:
    verdict = judge(tmp_path, portable, {f"{PUBLIC}/libanswer.so.1": compiled.library})
    assert f"{PUBLIC}/libanswer.so.1: programs of the board would load it" in verdict.detail
    assert f"libraries belong into {FOLDERS.private}" in verdict.detail


def test_debugging_symbols_and_native_packages_are_not_judged(
    tmp_path: Path, compiled: Compiled, portable: Recipe
) -> None:
    debug = {"usr/lib/debug/.build-id/ab/cd.debug": compiled.debug}
    assert judge(tmp_path, portable, {**debug}, Package="sample-dbgsym").passed
    assert judge(tmp_path / "native", recipe_of("sample"), {"usr/bin/program": compiled.program}).passed


def bundled(compiled: Compiled, *, libc: bool = True) -> dict[str, bytes | str]:
    """Return the files of a runtime; the libc.so.6 is some library that needs itself."""
    files: dict[str, bytes | str] = {
        f"{BUNDLE}/ld-linux-x86-64.so.2": "loader",
        f"{BUNDLE}/libanswer.so.1": compiled.library,
    }
    return files | ({f"{BUNDLE}/libc.so.6": compiled.library} if libc else {})


def judge_runtime(folder: Path, files: dict[str, bytes | str], mode: int = 0o755) -> Verdict:
    return judge(folder, RUNTIME, files, modes={f"{BUNDLE}/ld-linux-x86-64.so.2": mode})


def test_a_whole_runtime_passes(tmp_path: Path, compiled: Compiled) -> None:
    assert judge_runtime(tmp_path, bundled(compiled)).detail == "0 programs, 2 libraries"


def test_a_library_that_a_runtime_lacks(tmp_path: Path, compiled: Compiled) -> None:
    files = bundled(compiled, libc=False)
    files[f"{PUBLIC}/libc.so.6"] = compiled.library
    verdict = judge_runtime(tmp_path, files)
    assert f"{BUNDLE}/libanswer.so.1: needs libc.so.6, which is not in /{BUNDLE}" in verdict.detail


def test_a_loader_that_is_not_executable(tmp_path: Path, compiled: Compiled) -> None:
    verdict = judge_runtime(tmp_path, bundled(compiled), 0o644)
    assert f"{BUNDLE}/ld-linux-x86-64.so.2: the loader is not executable (mode 0644)" in verdict.detail


def test_a_damaged_library(tmp_path: Path, compiled: Compiled) -> None:
    verdict = judge_runtime(tmp_path, bundled(compiled) | {f"{BUNDLE}/libz.so.1": compiled.library[:100]})
    assert f"{BUNDLE}/libz.so.1: not a whole ELF file" in verdict.detail
