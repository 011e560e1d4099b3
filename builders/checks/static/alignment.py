"""``alignment``: each program and library can be loaded with the largest memory pages of the boards' kernels.

glibc's loader (elf/dl-load.c) refuses a PT_LOAD segment if p_align is no multiple of the page size ("ELF load command
alignment not page-aligned"), or if p_vaddr and p_offset differ modulo p_align. Newer versions and the kernel
(fs/binfmt_elf.c, elf_map) compare p_vaddr and p_offset modulo the page size only; the older rule includes theirs.
"""

from collections.abc import Iterator

from builders.checks.static.contents import Contents
from builders.checks.static.elf import RELOCATABLE, Elf
from builders.checks.verdict import judged
from builders.model.arch import Architecture
from builders.model.packages import Verdict
from builders.model.target import Target

FIX = (
    "remove -z max-page-size from the linker's options, or give it as -Wl,-z,max-page-size={page}; of a file that was "
    "built elsewhere, ask for a build with that option; or accept the fault, if all boards have kernels with smaller "
    "pages"
)


def check_alignment(contents: Contents, target: Target) -> Verdict:
    """Judge every executable and shared library for the target's CPU by the largest pages of its boards' kernels.

    Object files and kernel modules (ET_REL) have no such segments, and files of debugging symbols are not loaded.
    """
    architecture = target.architecture
    loaded = [elf for elf in contents.elves if _is_loaded(elf, architecture)] if not contents.debug else []
    faults = (fault for elf in loaded for fault in _faults(elf, architecture.largest_page))
    fix = FIX.format(page=architecture.largest_page)
    passed = f"{len(loaded)} ELF files, for pages of {architecture.largest_page} bytes"
    return judged("alignment", contents.deb.package, faults, fix, passed=passed)


def _is_loaded(elf: Elf, architecture: Architecture) -> bool:
    return elf.kind != RELOCATABLE and (elf.bits, elf.machine) == (architecture.elf_class, architecture.elf_machine)


def _faults(elf: Elf, page: int) -> Iterator[str]:
    for number, load in enumerate(elf.loads):
        if load.align % page or not load.align:
            yield f"{elf.path}: LOAD segment {number} is aligned to {load.align} bytes, expected: a multiple of {page}"
        elif (load.address - load.offset) % load.align:
            yield (
                f"{elf.path}: LOAD segment {number} has the address {load.address:#x} and the offset {load.offset:#x}, "
                f"which differ modulo its alignment of {load.align} bytes"
            )
