"""ELF: CPU and symbol floor, on real compiler output and on damage."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from builders.checks import inspect
from builders.checks.static.contents import Contents, read_contents
from builders.checks.static.cpu import check_cpu
from builders.checks.static.elf import RELOCATABLE, Elf, read_elves
from builders.checks.static.symbols import GCC_OF_SUITE, check_floor
from builders.model.arch import AMD64, ARM64, ARMHF
from builders.model.target import SUITES, Target
from tests.component.checks.conftest import Compiled
from tests.support.debs import AMD64_BOOKWORM, make_deb, recipe_of

BOOKWORM_ARM64 = Target(SUITES["bookworm"], ARM64)
BOOKWORM_ARMHF = Target(SUITES["bookworm"], ARMHF)


@pytest.fixture
def contents(tmp_path: Path, compiled: Compiled) -> Contents:
    files: dict[str, bytes | str] = {
        "usr/bin/program": compiled.program,
        "usr/lib/x86_64-linux-gnu/libanswer.so.1": compiled.library,
        "usr/lib/x86_64-linux-gnu/libanswer.a": compiled.archive,
        "usr/share/doc/sample/text": "no ELF here",
    }
    return read_contents(make_deb(tmp_path, files, Depends="libc6"))


def with_elf(contents: Contents, elf: Elf, architecture: str = "armhf") -> Contents:
    return replace(contents, elves=(elf,), control={**contents.control, "Architecture": architecture})


def test_real_files_are_read(contents: Contents) -> None:
    program, library, member = sorted(contents.elves, key=lambda elf: elf.kind != 3 or "bin" not in elf.path)
    assert (program.path, program.needed) == ("usr/bin/program", ("libc.so.6",))
    assert ("libc.so.6", "GLIBC_2.34") in program.versions
    by_path = {elf.path: elf for elf in (library, member)}
    assert by_path["usr/lib/x86_64-linux-gnu/libanswer.a(answer_with_a_long_name.o)"].kind == RELOCATABLE
    assert by_path["usr/lib/x86_64-linux-gnu/libanswer.so.1"].needed == ("libc.so.6",)


def test_debugging_symbols_ask_for_nothing(compiled: Compiled) -> None:
    (elf,) = read_elves("usr/lib/debug/x.debug", compiled.debug)
    assert (elf.machine, elf.needed, elf.versions, elf.fault) == (62, (), (), "")


def test_files_of_the_target_pass(contents: Contents) -> None:
    verdict = check_cpu(contents, AMD64_BOOKWORM)
    assert verdict.passed
    assert verdict.detail == "3 ELF files"


def test_every_file_for_another_cpu_is_named(tmp_path: Path, contents: Contents) -> None:
    arm64 = replace(contents, control={**contents.control, "Architecture": "arm64"})
    verdict = check_cpu(arm64, BOOKWORM_ARM64)
    assert not verdict.passed
    assert "usr/bin/program: an ELF file for amd64, expected: arm64" in verdict.detail
    assert "libanswer.a(answer_with_a_long_name.o): an ELF file for amd64" in verdict.detail


def test_a_package_labelled_with_another_architecture_fails(contents: Contents) -> None:
    verdict = check_cpu(contents, BOOKWORM_ARM64)
    assert "the package's Architecture is amd64, expected: arm64 or all" in verdict.detail


def test_a_debug_file_for_another_cpu_fails(tmp_path: Path, compiled: Compiled) -> None:
    path = "usr/lib/debug/.build-id/ab/cd.debug"
    deb = make_deb(tmp_path, {path: compiled.debug}, Package="sample-dbgsym", Architecture="arm64")
    assert path in check_cpu(read_contents(deb), BOOKWORM_ARM64).detail


@pytest.mark.parametrize(
    ("path", "machine", "patterns", "passed"),
    [
        ("usr/lib/firmware/core.elf", 94, (), True),
        ("usr/lib/sample/prog.o", 247, (), True),
        ("usr/share/sample/core.elf", 94, ("usr/share/*/*.elf",), True),
        ("usr/share/sample/core.elf", 94, (), False),
        ("usr/share/sample/core.elf", 94, ("usr/share/*.elf",), False),
    ],
)
def test_data_is_for_no_cpu(tmp_path: Path, path: str, machine: int, patterns: tuple[str, ...], passed: bool) -> None:
    content = b"\x7fELF\2\1\1".ljust(18, b"\0") + machine.to_bytes(2, "little") + b"\0" * 44
    recipe = recipe_of(packages=[{"name": "sample", "summary": "a", "data": patterns}])
    tags = ("binary-from-other-architecture [{}]", "statically-linked-binary {}")
    lintian = "\n".join([*(f"E: sample: {tag.format(path)}" for tag in tags), "lintian-exit=0"])
    for architecture in ("amd64", "all"):
        deb = make_deb(tmp_path, {path: content}, Architecture=architecture)
        verdicts = inspect(recipe, AMD64_BOOKWORM, [deb], lintian)
        failed = {verdict.check for verdict in verdicts if not verdict.passed}
        assert not failed if passed else {"elf-cpu", "lintian"} <= failed


def test_architecture_all_holds_no_elf(tmp_path: Path, compiled: Compiled) -> None:
    files = {"usr/share/sample/data": compiled.program}
    verdict = check_cpu(read_contents(make_deb(tmp_path, files, Architecture="all")), AMD64_BOOKWORM)
    assert "usr/share/sample/data: an ELF file for amd64 in a package with Architecture: all" in verdict.detail
    plain = read_contents(make_deb(tmp_path, {"usr/share/sample/text": "text"}, Package="plain", Architecture="all"))
    assert check_cpu(plain, BOOKWORM_ARM64).passed


@pytest.mark.parametrize(
    ("flags", "kind", "fault"),
    [
        (0x05000400, 3, ""),
        (0x05000000, RELOCATABLE, ""),
        (0x05000200, 3, "soft-float"),
        (0x05000000, 3, "soft-float"),
        (0x05000200, RELOCATABLE, "soft-float"),
        (0x04000400, 3, "EABI version 4"),
    ],
)
def test_armhf_means_hard_float(contents: Contents, flags: int, kind: int, fault: str) -> None:
    elf = Elf("usr/lib/x.so", 32, True, kind, 40, flags)
    verdict = check_cpu(with_elf(contents, elf), BOOKWORM_ARMHF)
    assert verdict.passed is not bool(fault)
    assert fault in verdict.detail


def test_flags_are_read_from_real_headers(compiled: Compiled) -> None:
    changed = bytearray(compiled.library)
    changed[48:52] = (0x1234).to_bytes(4, "little")
    (elf,) = read_elves("x", bytes(changed))
    assert elf.flags == 0x1234


@pytest.mark.parametrize("size", [5, 17, 40, 64, 300, 5000, 15000])
def test_a_truncated_file_is_a_fault_not_a_crash(contents: Contents, compiled: Compiled, size: int) -> None:
    (elf,) = read_elves("usr/bin/cut", compiled.program[:size])
    verdict = check_cpu(with_elf(contents, elf, "amd64"), AMD64_BOOKWORM)
    assert not verdict.passed
    assert "usr/bin/cut: " in verdict.detail


def test_a_table_without_an_end_is_a_fault(compiled: Compiled) -> None:
    changed = bytearray(compiled.program)
    section = ELFFile(BytesIO(compiled.program)).get_section_by_name(".gnu.version_r")
    assert section is not None
    offset = section["sh_offset"]
    changed[offset + 2 : offset + 4] = (0xFFFF).to_bytes(2, "little")  # vn_cnt, the number of versions
    changed[offset + 16 + 12 : offset + 16 + 16] = bytes(4)  # vna_next: the first version leads to itself
    (elf,) = read_elves("x", bytes(changed))
    assert "more than 1000 entries" in elf.fault


def test_damaged_archives_are_faults(contents: Contents, compiled: Compiled) -> None:
    *_, elf = read_elves("usr/lib/cut.a", compiled.archive[:-9])
    assert "damaged static library" in elf.fault
    (thin,) = read_elves("usr/lib/thin.a", b"!<thin>\n")
    assert not check_cpu(with_elf(contents, thin, "amd64"), AMD64_BOOKWORM).passed


def test_symbols_of_the_suite_pass(contents: Contents) -> None:
    verdict = check_floor(contents, AMD64_BOOKWORM)
    assert verdict.passed
    assert verdict.detail == "GLIBC_2.34"


def test_a_symbol_above_the_floor_fails(contents: Contents) -> None:
    verdict = check_floor(contents, Target(SUITES["bullseye"], AMD64))
    assert not verdict.passed
    assert "usr/bin/program: needs GLIBC_2.34 of libc.so.6, bullseye has no newer than GLIBC_2.31" in verdict.detail


@pytest.mark.parametrize(
    ("symbol", "passes"),
    [
        ("GLIBC_2.36", True), ("GLIBC_2.37", False), ("GLIBC_2.4", True), ("GLIBC_PRIVATE", False),
        ("GLIBC_ABI_DT_RELR", True), ("GLIBCXX_3.4.30", True), ("GLIBCXX_3.4.31", False), ("CXXABI_1.3.13", True),
        ("CXXABI_1.3.14", False), ("CXXABI_ARM_1.3.3", True), ("GCC_12.0.0", True), ("GCC_13.0.0", False),
        ("GCC_3.5", True), ("LIBTENSORFLOW_9", True),
    ],
)  # fmt: skip
def test_each_family_has_its_floor(contents: Contents, symbol: str, passes: bool) -> None:
    elf = Elf("usr/bin/x", 64, True, 3, 62, versions=(("libx.so", symbol),))
    verdict = check_floor(replace(contents, elves=(elf,)), AMD64_BOOKWORM)
    assert verdict.passed is passes
    assert passes or symbol in verdict.detail


def test_every_suite_has_a_gcc() -> None:
    assert set(GCC_OF_SUITE) == set(SUITES)
