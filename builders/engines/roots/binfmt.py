"""QEMU's user emulators run programs of other CPUs; the kernel knows them by binfmt_misc."""

import os
from pathlib import Path

from builders.errors import HostError
from builders.host import process
from builders.host.needs import Need, checked
from builders.model.arch import Architecture

MISC = Path("/proc/sys/fs/binfmt_misc")
INSTALL = "sudo apt-get install qemu-user-static binfmt-support"


def ensure(architecture: Architecture) -> None:
    """Make programs of ``architecture`` run on this machine and inside roots; root registers QEMU if needed.

    Raises HostError with the command to run if it cannot.
    """
    if registered(architecture):
        return
    emulator = process.find(f"{architecture.qemu}-static") or process.find(architecture.qemu)
    if emulator is None:
        raise HostError(f"no QEMU user emulator for {architecture} on this machine", fix=INSTALL)
    if os.geteuid() != 0:
        raise HostError(
            f"the kernel does not run {architecture} programs",
            f"no emulator is registered for them in {MISC}",
            "run once: sudo ./inv doctor --fix",
        )
    try:
        if not (MISC / "register").exists():
            process.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(MISC)])
        if registered(architecture):
            return
        (MISC / "register").write_bytes(_registration(architecture, emulator))
    except (OSError, process.ProgramFailed) as error:
        raise HostError(
            f"QEMU for {architecture} cannot be registered with the kernel",
            str(error),
            "in a container, start the container with --privileged, or install on the machine outside: " + INSTALL,
        ) from error


def registered(architecture: Architecture) -> str | None:
    """Return the name of the kernel's entry for programs of ``architecture``, None if it has none.

    Only an enabled entry with the F flag counts: its emulator was opened at registration, so that it works inside roots
    that do not contain it (kernel: Documentation/admin-guide/binfmt-misc.rst).
    """
    if not MISC.is_dir():
        return None
    magic = _magic(architecture)
    for entry in sorted(MISC.iterdir()):
        if entry.name in ("register", "status"):
            continue
        fields = dict(line.partition(" ")[::2] for line in entry.read_text().splitlines())
        if fields.get("magic") == magic.hex() and "enabled" in fields and "F" in fields.get("flags:", ""):
            return entry.name
    return None


def need(architecture: Architecture, *, fix: bool) -> Need:
    """Return the need of running programs of ``architecture``; with ``fix``, QEMU is registered first."""
    name, reason = f"QEMU {architecture}", f"runs {architecture} programs for the checks"
    if fix:
        return checked(name, reason, lambda: ensure(architecture))
    if registered(architecture):
        return Need(name, reason, "")
    return Need(name, reason, "not registered with the kernel", "sudo ./inv doctor --fix")


def _magic(architecture: Architecture) -> bytes:
    """Return the first 20 bytes of a little-endian ELF program: class, type EXEC and the machine's number."""
    elf_class = 2 if architecture.elf_class == 64 else 1
    return (
        b"\x7fELF" + bytes([elf_class, 1, 1]) + bytes(9) + b"\x02\x00" + architecture.elf_machine.to_bytes(2, "little")
    )


def _registration(architecture: Architecture, emulator: str) -> bytes:
    # The mask ignores the OS ABI byte, and accepts type DYN (3, position-independent programs) beside EXEC (2).
    mask = b"\xff" * 7 + b"\x00" + b"\xff" * 8 + b"\xfe\xff\xff\xff"

    def escaped(data: bytes) -> bytes:
        return b"".join(b"\\x%02x" % byte for byte in data)

    fields = [
        b"", f"reef-{architecture.qemu}".encode(), b"M", b"", escaped(_magic(architecture)), escaped(mask),
        emulator.encode(), b"F",
    ]  # fmt: skip
    return b":".join(fields)
