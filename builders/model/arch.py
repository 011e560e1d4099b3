"""The table of CPU names: Debian's, OCI's, the GNU triplet, the kernel's and QEMU's."""

from dataclasses import dataclass

from builders.errors import InputError


@dataclass(frozen=True, order=True)
class Architecture:
    """A CPU architecture, with the name that each tool uses for it.

    ``machine`` is what ``uname -m`` prints, ``oci`` the platform string of container images,
    ``elf_class`` 32 or 64 (bits), ``elf_machine`` the e_machine number of the ELF header, and ``qemu`` the
    name of QEMU's user emulator without a ``-static`` suffix; ``bazel`` is Bazel's ``--cpu``, ``constraint`` its name
    in ``@platforms//cpu``. ``emulated_cpu`` is QEMU's name of the CPU to emulate: that of the oldest boards.
    ``largest_page`` is the size (bytes) of the largest memory pages of the boards' kernels.
    """

    debian: str
    oci: str
    triplet: str
    machine: str
    qemu: str
    elf_class: int
    elf_machine: int
    dynamic_linker: str
    bazel: str
    constraint: str
    emulated_cpu: str = ""
    largest_page: int = 4096

    def __str__(self) -> str:
        return self.debian

    def runs_on(self, other: "Architecture") -> bool:
        """Return whether a CPU ``other`` executes this architecture's programs without emulation."""
        return self == other

    @property
    def emulation(self) -> dict[str, str]:
        """The variable that makes QEMU emulate the CPU ``emulated_cpu``; only QEMU reads it.

        By default, QEMU emulates the newest CPU. That accepts instructions which boards lack, and computes the pointer
        authentication (FEAT_PAuth) of Debian 13's arm64 programs at each call: up to 15 times slower (QEMU 7.2).
        """
        return {"QEMU_CPU": self.emulated_cpu} if self.emulated_cpu else {}


AMD64 = Architecture(
    "amd64",
    "linux/amd64",
    "x86_64-linux-gnu",
    "x86_64",
    "qemu-x86_64",
    64,
    62,
    "/lib64/ld-linux-x86-64.so.2",
    "k8",
    "x86_64",
)
ARM64 = Architecture(
    "arm64",
    "linux/arm64",
    "aarch64-linux-gnu",
    "aarch64",
    "qemu-aarch64",
    64,
    183,
    "/lib/ld-linux-aarch64.so.1",
    "aarch64",
    "aarch64",
    "cortex-a53",  # of the Coral Dev Board and the Raspberry Pi 3
    16384,  # of the Raspberry Pi 5; Debian's linker takes 65536
)
ARMHF = Architecture(
    "armhf",
    "linux/arm/v7",
    "arm-linux-gnueabihf",
    "armv7l",
    "qemu-arm",
    32,
    40,
    "/lib/ld-linux-armhf.so.3",
    "armhf",
    "arm",
    "cortex-a7",  # of the Raspberry Pi 2
)

ARCHITECTURES: dict[str, Architecture] = {architecture.debian: architecture for architecture in (AMD64, ARM64, ARMHF)}


def by_machine(machine: str) -> Architecture:
    """Return the architecture whose name in the kernel is ``machine`` (``uname -m``; on macOS ``arm64``).

    Raises InputError for an unknown machine.
    """
    for architecture in ARCHITECTURES.values():
        if machine in (architecture.machine, architecture.debian):
            return architecture
    raise InputError(
        f"this machine's CPU is unknown: {machine}",
        f"known: {', '.join(architecture.machine for architecture in ARCHITECTURES.values())}",
        "run Reef on a machine with one of these CPUs",
    )
