"""``isa``: a package depends on what its programs need of the CPU beyond the architecture's baseline.

Debian's armhf is ARMv7-A with VFPv3-D16. The packages of isa-support refuse to be installed where the CPU lacks an
extension: neon-support, and from Debian 12 on armv8-support. The attributes are those of the whole file, so code that
runs only after a test of the CPU looks like code that always runs.
"""

from collections.abc import Iterator

from builders.checks.static.contents import Contents
from builders.checks.static.elf import RELOCATABLE, Elf
from builders.checks.static.relations import relations
from builders.checks.verdict import judged
from builders.model.arch import ARMHF
from builders.model.packages import Verdict
from builders.model.target import Target

V8 = 14
"""Tag_CPU_arch of ARMv8-A; lower numbers are ARMv7 and older, and profiles of microcontrollers."""
MICROCONTROLLER = ord("M")
"""Tag_CPU_arch_profile of firmware for other cores."""
VFPV3 = 3
"""Tag_FP_arch of VFPv3 with 32 registers, which each CPU with NEON has, and no other of Debian's ports needs."""
VFPV4 = (5, 6)
"""Tag_FP_arch of VFPv4, with 32 and 16 registers."""
NEON, V8_SUPPORT = "neon-support", "armv8-support"
FIX = (
    "build with the baseline (no -mfpu, -march or -mcpu), or add the package to depends: with [armhf] after it; if the "
    "program uses these instructions only after a test of the CPU, accept the fault"
)


def check_isa(contents: Contents, target: Target) -> Verdict:
    """Judge the programs and libraries of a package for armhf by their build attributes (.ARM.attributes)."""
    faults: list[str] = []
    if target.architecture == ARMHF and not contents.debug:
        needed = {relation.name for relation in relations(contents.control, "Pre-Depends", "Depends")}
        for elf in contents.elves:
            if elf.kind != RELOCATABLE and elf.machine == ARMHF.elf_machine and elf.arm.profile != MICROCONTROLLER:
                faults += _faults(elf, needed)
    return judged("isa", contents.deb.package, faults, FIX)


def _faults(elf: Elf, depends: set[str]) -> Iterator[str]:
    if elf.arm.cpu >= V8:
        if V8_SUPPORT not in depends:
            yield f"{elf.path}: is compiled for ARMv8, but the package does not depend on {V8_SUPPORT}"
        return  # ARMv8-A has NEON and VFPv4
    if (elf.arm.simd or elf.arm.fp == VFPV3) and NEON not in depends:
        yield f"{elf.path}: uses NEON, but the package does not depend on {NEON}"
    if elf.arm.fp in VFPV4:
        yield f"{elf.path}: uses VFPv4, which Cortex-A8 and A9 lack, and no package of Debian stands for"
