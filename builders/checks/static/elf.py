"""The facts in an ELF file: its CPU, the libraries and the symbol versions that it needs.

The layout is the System V ABI's (chapters 4 and 5); the ARM flags are those of "ELF for the Arm Architecture".
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TypeVar

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.sections import ARMAttributesSection
from elftools.elf.segments import InterpSegment

MAGIC = b"\x7fELF"
ARCHIVE = b"!<arch>\n"
THIN_ARCHIVE = b"!<thin>\n"
RELOCATABLE = 1
"""e_type of object files (ET_REL), such as the members of a static library."""
NODEFLIB = 0x800
"""DF_1_NODEFLIB in DT_FLAGS_1 (elf.h)."""
GARBAGE_ERRORS = (ELFError, struct.error, ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError)
"""The errors of pyelftools on damaged input; only ELFError is raised on purpose."""


MOST_ENTRIES = 1000
"""A limit on the libraries that a file needs, and on symbol versions of one library; glibc defines about 60."""
Item = TypeVar("Item")


@dataclass(frozen=True)
class Load:
    """A part of the file that is mapped into memory (PT_LOAD): p_offset, p_vaddr and p_align."""

    offset: int
    address: int
    align: int


@dataclass(frozen=True)
class ArmAttributes:
    """The instructions that 32-bit ARM code may use, as the linker merged them (aaelf32, "Build Attributes").

    ``cpu`` is Tag_CPU_arch, ``profile`` Tag_CPU_arch_profile, ``fp`` Tag_FP_arch, ``simd`` Tag_Advanced_SIMD_arch.
    """

    cpu: int = 0
    profile: int = 0
    fp: int = 0
    simd: int = 0


@dataclass(frozen=True)
class Elf:
    """One ELF file (or member of a static library, named ``path(member)``).

    ``kind`` is e_type, ``bits`` 32 or 64. ``needed`` are the libraries named by NEEDED entries, ``versions`` the pairs
    (library, symbol version) that the dynamic linker will ask for. Files with debugging symbols only ask
    for nothing. ``loader`` is a program's dynamic linker (PT_INTERP), ``rpath`` the folders of DT_RPATH,
    ``default_folders`` whether libraries are also looked for in the system's folders (not with DF_1_NODEFLIB).
    ``loads`` are the parts that are mapped into memory, ``arm`` the instructions of 32-bit ARM code.
    ``fault`` is the reason why the file cannot be read, else it is empty.
    """

    path: str
    bits: int = 0
    little_endian: bool = True
    kind: int = 0
    machine: int = 0
    flags: int = 0
    needed: tuple[str, ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    loader: str = ""
    rpath: str = ""
    default_folders: bool = True
    loads: tuple[Load, ...] = ()
    arm: ArmAttributes = ArmAttributes()
    fault: str = ""


def read_elves(path: str, content: bytes) -> Iterator[Elf]:
    """Yield the ELF file in ``content``, or each member of a static library; nothing for other content."""
    if content.startswith(MAGIC):
        yield _read(path, content)
    elif content.startswith(ARCHIVE):
        yield from _read_archive(path, content)
    elif content.startswith(THIN_ARCHIVE):
        yield Elf(path, fault="a thin archive: its members are outside the package")


def _read(path: str, content: bytes) -> Elf:
    try:
        order = {1: "<", 2: ">"}[content[5]]
        bits = {1: 32, 2: 64}[content[4]]
        kind, machine = struct.unpack_from(f"{order}HH", content, 16)
        (flags,) = struct.unpack_from(f"{order}I", content, 36 if bits == 32 else 48)
        header = Elf(path, bits, order == "<", kind, machine, flags)
        return header if kind == RELOCATABLE else _with_dynamic(header, content)
    except GARBAGE_ERRORS as error:
        return Elf(path, fault=f"not a whole ELF file ({type(error).__name__}: {error})")


def _with_dynamic(header: Elf, content: bytes) -> Elf:
    file = ELFFile(BytesIO(content))
    if not file.num_sections():
        return Elf(
            header.path, fault="no section headers, so what it needs cannot be read (was it run through sstrip?)"
        )
    dynamic = file.get_section_by_name(".dynamic")
    # dh_strip keeps the section's name in .debug files, as SHT_NOBITS without its content: not a DynamicSection.
    needed = dynamic.iter_tags("DT_NEEDED") if isinstance(dynamic, DynamicSection) else iter(())
    rpath = dynamic.iter_tags("DT_RPATH") if isinstance(dynamic, DynamicSection) else iter(())
    flags = dynamic.iter_tags("DT_FLAGS_1") if isinstance(dynamic, DynamicSection) else iter(())
    loader = next((item for item in file.iter_segments() if isinstance(item, InterpSegment)), None)
    required = file.get_section_by_name(".gnu.version_r")
    versions = required.iter_versions() if isinstance(required, GNUVerNeedSection) else iter(())
    return replace(
        header,
        needed=tuple(str(vars(tag)["needed"]) for tag in _bounded(needed)),
        loader=loader.get_interp_name() if loader else "",
        rpath=next((str(vars(tag)["rpath"]) for tag in _bounded(rpath)), ""),
        default_folders=not any(int(tag["d_val"]) & NODEFLIB for tag in _bounded(flags)),
        loads=tuple(
            Load(int(item["p_offset"]), int(item["p_vaddr"]), int(item["p_align"]))
            for item in _bounded(file.iter_segments("PT_LOAD"))
        ),
        arm=_arm_attributes(file),
        versions=tuple(
            (str(library.name), str(item.name)) for library, items in _bounded(versions) for item in _bounded(items)
        ),
    )


def _arm_attributes(file: ELFFile) -> ArmAttributes:
    section = file.get_section_by_name(".ARM.attributes")
    if not isinstance(section, ARMAttributesSection) or section["sh_type"] == "SHT_NOBITS":
        return ArmAttributes()
    values = {
        str(attribute.tag): attribute.value
        for subsection in _bounded(section.iter_subsections())
        for part in _bounded(subsection.iter_subsubsections())
        for attribute in _bounded(part.iter_attributes())
    }
    cpu, profile, fp, simd = (
        value if isinstance(value := values.get(f"TAG_{name}", 0), int) else 0
        for name in ("CPU_ARCH", "CPU_ARCH_PROFILE", "FP_ARCH", "ADVANCED_SIMD_ARCH")
    )
    return ArmAttributes(cpu, profile, fp, simd)


def _bounded(items: Iterator[Item]) -> Iterator[Item]:
    """Yield ``items``; raises ValueError for an absurd count, on which pyelftools would loop for hours."""
    for number, item in enumerate(items):
        if number == MOST_ENTRIES:
            raise ValueError(f"a table with more than {MOST_ENTRIES} entries")
        yield item


def _read_archive(path: str, content: bytes) -> Iterator[Elf]:
    """Yield the ELF members of an ar archive in GNU's form, which keeps long names in the member ``//``."""
    names, offset = b"", len(ARCHIVE)
    while offset < len(content):
        name = content[offset : offset + 16].rstrip()
        size_text = content[offset + 48 : offset + 58].strip()
        start = offset + 60
        if not size_text.isdigit() or start + int(size_text) > len(content):
            yield Elf(path, fault=f"a damaged static library: no whole member at byte {offset}")
            return
        member = content[start : start + int(size_text)]
        if name == b"//":
            names = member
        elif member.startswith(MAGIC):
            yield _read(f"{path}({_member_name(name, names)})", member)
        offset = start + len(member) + len(member) % 2


def _member_name(name: bytes, names: bytes) -> str:
    if name.startswith(b"/") and name[1:].isdigit():
        name = names[int(name[1:]) :].partition(b"\n")[0]
    return name.rstrip(b"/").decode(errors="replace")
