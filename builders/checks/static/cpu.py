"""``elf-cpu``: every ELF file of a package is for the target's CPU."""

from collections.abc import Iterator

from builders.checks.static.contents import Contents
from builders.checks.static.elf import RELOCATABLE, Elf
from builders.checks.verdict import judged
from builders.model.arch import ARCHITECTURES, ARMHF, Architecture
from builders.model.packages import Verdict
from builders.model.target import Target

EABI_MASK, EABI5 = 0xFF000000, 0x05000000
FLOAT_SOFT, FLOAT_HARD = 0x200, 0x400
FIX = "build it for the target: look for a compiler without the target's triplet and for files copied from elsewhere"


def check_cpu(contents: Contents, target: Target) -> Verdict:
    """Judge the Architecture field (Debian Policy 5.6.8) and class, byte order, machine and ABI of each ELF file.

    An architecture-independent package may hold no ELF file at all.
    """
    files = len(contents.elves)
    return judged(
        "elf-cpu", contents.deb.package, _faults(contents, target.architecture), FIX, passed=f"{files} ELF files"
    )


def _faults(contents: Contents, target_cpu: Architecture) -> Iterator[str]:
    field = contents.control["Architecture"]
    if field not in (target_cpu.debian, "all"):
        yield f"the package's Architecture is {field}, expected: {target_cpu.debian} or all"
    for elf in contents.elves:
        if elf.fault:
            yield f"{elf.path}: {elf.fault}"
        elif field == "all":
            yield f"{elf.path}: an ELF file for {_name(elf)} in a package with Architecture: all"
        elif (elf.bits, elf.machine, elf.little_endian) != (target_cpu.elf_class, target_cpu.elf_machine, True):
            yield f"{elf.path}: an ELF file for {_name(elf)}, expected: {target_cpu.debian}"
        elif target_cpu == ARMHF:
            yield from _float_faults(elf)


def _float_faults(elf: Elf) -> Iterator[str]:
    """Yield faults of the ABI in e_flags. The linker sets the hard-float flag, so object files may lack it."""
    if elf.flags & EABI_MASK != EABI5:
        yield f"{elf.path}: ARM EABI version {elf.flags >> 24}, expected: 5 (e_flags {elf.flags:#x})"
    elif elf.flags & FLOAT_SOFT or (elf.kind != RELOCATABLE and not elf.flags & FLOAT_HARD):
        yield f"{elf.path}: the soft-float ABI of armel, expected: hard-float, armhf (e_flags {elf.flags:#x})"


def _name(elf: Elf) -> str:
    for architecture in ARCHITECTURES.values():
        if (elf.bits, elf.machine, elf.little_endian) == (architecture.elf_class, architecture.elf_machine, True):
            return architecture.debian
    order = "little" if elf.little_endian else "big"
    return f"machine {elf.machine} ({elf.bits} bits, {order}-endian)"
