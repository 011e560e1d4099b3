"""A test whether a builder runs a CPU's programs: it runs a program of a few instructions."""

import os
import struct
from pathlib import Path

from builders.model.arch import Architecture

EXIT = {
    "amd64": bytes.fromhex("b83c000000 31ff 0f05"),  # mov eax, 60 (exit); xor edi, edi; syscall
    "arm64": bytes.fromhex("000080d2 a80b80d2 010000d4"),  # mov x0, 0; mov x8, 93 (exit); svc 0
    "armhf": bytes.fromhex("0000a0e3 0170a0e3 000000ef"),  # mov r0, 0; mov r7, 1 (exit); svc 0
}
"""Machine code that ends a Linux process with status 0, by Debian's name of the CPU (syscall(2))."""
ARM_EABI5 = 0x05000000
BASE = 0x10000


def program(architecture: Architecture) -> bytes:
    """Return an ELF program for ``architecture`` that exits with status 0 (elf(5))."""
    code = EXIT[architecture.debian]
    wide = architecture.elf_class == 64
    header_size, segment_size = (64, 56) if wide else (52, 32)
    start = header_size + segment_size
    size = start + len(code)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9)
    flags = ARM_EABI5 if architecture.debian == "armhf" else 0
    layout = "<HHIQQQIHHHHHH" if wide else "<HHIIIIIHHHHHH"
    header = ident + struct.pack(
        layout,
        2,
        architecture.elf_machine,
        1,
        BASE + start,
        header_size,
        0,
        flags,
        header_size,
        segment_size,
        1,
        0,
        0,
        0,
    )
    if wide:
        segment = struct.pack("<IIQQQQQQ", 1, 5, 0, BASE, BASE, size, size, 0x1000)
    else:
        segment = struct.pack("<IIIIIIII", 1, 0, BASE, BASE, size, size, 5, 0x1000)
    return header + segment + code


def write(architecture: Architecture, folder: Path) -> Path:
    """Write the context and the Dockerfile of a build that runs the program into ``folder``; return the Dockerfile.

    Random bytes after the program keep the engine from using the result of an earlier run.
    """
    context = folder / "context"
    context.mkdir()
    (context / "probe").write_bytes(program(architecture) + os.urandom(16))
    (context / "probe").chmod(0o755)
    dockerfile = folder / "Dockerfile"
    dockerfile.write_text('FROM scratch\nCOPY probe /probe\nRUN ["/probe"]\n')
    return dockerfile
