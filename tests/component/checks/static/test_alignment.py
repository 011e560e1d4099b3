"""alignment: the rule of glibc's loader, on real linker output and with the pages of every CPU."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from builders.checks.static.alignment import check_alignment
from builders.checks.static.contents import Contents, read_contents
from builders.checks.static.elf import Elf, Load, read_elves
from builders.model.arch import AMD64, ARM64, ARMHF, Architecture
from builders.model.packages import Verdict
from builders.model.target import SUITES, Target
from tests.component.checks.conftest import Compiled
from tests.support.debs import AMD64_BOOKWORM, make_deb


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    return read_contents(make_deb(tmp_path, {"usr/share/doc/sample/text": ""}))


def judge(contents: Contents, *loads: Load, cpu: Architecture = ARM64, kind: int = 3) -> Verdict:
    elf = Elf("usr/lib/x.so", cpu.elf_class, True, kind, cpu.elf_machine, loads=loads)
    return check_alignment(replace(contents, elves=(elf,)), Target(SUITES["trixie"], cpu))


def test_real_files_pass_and_one_with_small_pages_fails(tmp_path: Path, compiled: Compiled) -> None:
    files: dict[str, bytes | str] = {"usr/bin/a": compiled.program, "usr/lib/x86_64-linux-gnu/b.so": compiled.library}
    verdict = check_alignment(read_contents(make_deb(tmp_path, files)), AMD64_BOOKWORM)
    assert (verdict.passed, verdict.detail) == (True, "2 ELF files, for pages of 4096 bytes")
    (tmp_path / "x.c").write_text("int x = 1; int main(void) { return x; }\n")
    subprocess.run(
        ["gcc", "-o", "x", "x.c", "-Wl,-z,max-page-size=2048,-z,common-page-size=2048"], cwd=tmp_path, check=True
    )
    deb = make_deb(tmp_path, {"usr/bin/x": (tmp_path / "x").read_bytes()}, Package="small")
    verdict = check_alignment(read_contents(deb), AMD64_BOOKWORM)
    assert "usr/bin/x: LOAD segment 0 is aligned to 2048 bytes, expected: a multiple of 4096" in verdict.detail


@pytest.mark.parametrize(
    ("cpu", "align", "passed"),
    [
        (ARM64, 0x10000, True), (ARM64, 0x4000, True), (ARM64, 0x1000, False), (ARM64, 0x200000, True),
        (ARM64, 0, False), (ARM64, 1, False), (ARM64, 0x6000, False),
        (ARMHF, 0x10000, True), (ARMHF, 0x1000, True), (ARMHF, 0x800, False), (AMD64, 0x1000, True),
    ],
)  # fmt: skip
def test_alignment_of_each_cpu(contents: Contents, cpu: Architecture, align: int, passed: bool) -> None:
    verdict = judge(contents, Load(0, 0, 0x10000), Load(0x10, 0x10, align), cpu=cpu)
    assert verdict.passed == passed
    if not passed:
        assert f"usr/lib/x.so: LOAD segment 1 is aligned to {align} bytes" in verdict.detail
        assert "max-page-size" in verdict.detail


def test_address_and_offset_agree_modulo_the_alignment(contents: Contents) -> None:
    assert judge(contents, Load(0x1DB8, 0x11DB8, 0x10000)).passed
    assert "differ modulo its alignment of 16384" in judge(contents, Load(0x1DB8, 0x2DB8, 0x4000)).detail


def test_what_is_not_loaded_on_the_board_is_not_judged(contents: Contents, compiled: Compiled) -> None:
    small = Load(0, 0, 0x1000)
    assert judge(contents, small, kind=1).passed  # an object file, such as a kernel module
    other = Elf("usr/lib/firmware/x", 32, True, 2, 94, loads=(small,))
    debug = Elf("usr/lib/debug/x.debug", 64, True, 3, 183, loads=(small,))
    target = Target(SUITES["trixie"], ARM64)
    assert check_alignment(replace(contents, elves=(other,)), target).passed
    symbols = replace(contents, elves=(debug,), deb=replace(contents.deb, package="sample-dbgsym"))
    assert check_alignment(symbols, target).passed
    (member,) = read_elves("x.a", compiled.archive)
    assert member.loads == ()
