"""Small ELF files of 32-bit ARM, with the build attributes that a linker writes."""

import struct

TAGS = {"cpu": 6, "profile": 7, "fp": 10, "simd": 12}
"""The tags of "Addenda to, and Errata in, the ABI for the Arm Architecture"."""
BASELINE = {"cpu": 10, "profile": ord("A"), "fp": 4}
NEON = {**BASELINE, "fp": 3, "simd": 1}
VFPV4 = {**BASELINE, "fp": 5, "simd": 2}
ARMV8 = {**BASELINE, "cpu": 14, "fp": 7, "simd": 3}
FIRMWARE = {"cpu": 13, "profile": ord("M"), "fp": 6}
SHARED, RELOCATABLE = 3, 1
HEADER, SECTION = 52, 40


def arm_elf(attributes: dict[str, int], kind: int = SHARED) -> bytes:
    """Return an ELF file of armhf with two sections: the attributes, and the names of sections."""
    values = b"".join(bytes([TAGS[name], value]) for name, value in attributes.items())
    part = b"\x01" + struct.pack("<I", 5 + len(values)) + values  # Tag_File
    vendor = b"aeabi\0" + part
    content = b"A" + struct.pack("<I", 4 + len(vendor)) + vendor
    names = b"\0.ARM.attributes\0.shstrtab\0"
    start = HEADER + len(content) + len(names)
    sections = [(0, 0, 0, 0), (1, 0x70000003, HEADER, len(content)), (17, 3, HEADER + len(content), len(names))]
    header = struct.pack(
        "<16sHHIIIIIHHHHHH", b"\x7fELF\x01\x01\x01", kind, 40, 1, 0, 0, start, 0x05000400, HEADER, 0, 0, SECTION, 3, 2
    )
    table = b"".join(struct.pack("<10I", name, type_, 0, 0, at, size, 0, 0, 1, 0) for name, type_, at, size in sections)
    return header + content + names + table
