"""isa: the dependency on neon-support, from the build attributes of ARM's ELF files."""

from pathlib import Path

import pytest

from builders.checks import inspect
from builders.checks.static.contents import read_contents
from builders.checks.static.elf import ArmAttributes, read_elves
from builders.checks.static.isa import check_isa
from builders.model.arch import ARM64, ARMHF
from builders.model.packages import Verdict
from builders.model.target import SUITES, Target
from tests.support.arm_elf import ARMV8, BASELINE, FIRMWARE, NEON, RELOCATABLE, VFPV4, arm_elf
from tests.support.debs import make_deb, only, recipe_of

BOOKWORM_ARMHF = Target(SUITES["bookworm"], ARMHF)


def judge(folder: Path, content: bytes, depends: str = "libc6", package: str = "sample") -> Verdict:
    deb = make_deb(folder, {"usr/bin/x": content}, Package=package, Depends=depends, Architecture="armhf")
    return check_isa(read_contents(deb), BOOKWORM_ARMHF)


def test_attributes_are_read() -> None:
    (elf,) = read_elves("x", arm_elf(NEON))
    assert (elf.fault, elf.arm) == ("", ArmAttributes(cpu=10, profile=ord("A"), fp=3, simd=1))


@pytest.mark.parametrize(
    ("attributes", "depends", "fault"),
    [
        (BASELINE, "libc6", ""),
        (NEON, "libc6", "usr/bin/x: uses NEON, but the package does not depend on neon-support"),
        (NEON, "libc6, neon-support", ""),
        ({**BASELINE, "fp": 3}, "libc6", "uses NEON"),
        (VFPV4, "neon-support", "uses VFPv4, which Cortex-A8 and A9 lack"),
        (ARMV8, "neon-support", "is compiled for ARMv8, but the package does not depend on armv8-support"),
        (ARMV8, "armv8-support", ""),
        (FIRMWARE, "libc6", ""),
    ],
)
def test_dependency_on_the_cpu(tmp_path: Path, attributes: dict[str, int], depends: str, fault: str) -> None:
    verdict = judge(tmp_path, arm_elf(attributes), depends)
    assert verdict.passed is not bool(fault)
    assert fault in verdict.detail


def test_object_files_symbols_and_other_cpus_need_nothing(tmp_path: Path) -> None:
    assert judge(tmp_path, arm_elf(NEON, RELOCATABLE)).passed
    assert judge(tmp_path, arm_elf(NEON), package="sample-dbgsym").passed
    deb = make_deb(tmp_path, {"usr/bin/x": arm_elf(NEON)}, Architecture="arm64")
    assert check_isa(read_contents(deb), Target(SUITES["bookworm"], ARM64)).passed


def test_recipe_can_accept_what_is_chosen_at_run_time(tmp_path: Path) -> None:
    accept = [{"check": "isa", "match": "usr/bin/x", "reason": "tests the CPU"}]
    recipe = recipe_of(packages=[{"name": "sample", "summary": "a sample", "accept": accept}])
    deb = make_deb(tmp_path, {"usr/bin/x": arm_elf(NEON)}, Architecture="armhf")
    assert only(inspect(recipe, BOOKWORM_ARMHF, [deb], "lintian-exit=0\n"), "isa").passed
