"""The needs of Reef on this machine, each with its reason, its state and advice."""

from collections.abc import Callable
from dataclasses import dataclass

from builders.errors import HostError
from builders.host import process

BUILD_BYTES = 15 * 2**30
"""Free disk space to build with: roots, sources and the builds of several targets."""


@dataclass(frozen=True)
class Need:
    """One thing that the machine needs: ``trouble`` is empty if the need is met; ``fix`` is one command or sentence."""

    name: str
    reason: str
    trouble: str
    fix: str = ""


def checked(name: str, reason: str, check: Callable[[], object]) -> Need:
    """Return a need that is met unless ``check`` raises HostError."""
    try:
        check()
    except HostError as error:
        why = error.detail.rpartition("\n")[2]  # a program's last line has the cause
        return Need(name, reason, f"{error.what}: {why}" if why else error.what, error.fix)
    return Need(name, reason, "")


def program(name: str, package: str, reason: str) -> Need:
    """Return the need of the program ``name``, which ``package`` installs."""
    if process.find(name):
        return Need(name, reason, "")
    return Need(name, reason, "not installed", f"sudo apt-get install {package}")


def disk_space(name: str, reason: str, free_bytes: int | None, fix: str) -> Need:
    """Return the need of `BUILD_BYTES` on a disk; unknown free space (None) counts as enough."""
    if free_bytes is None or free_bytes >= BUILD_BYTES:
        return Need(name, reason, "")
    return Need(name, reason, f"{free_bytes / 2**30:.1f} GB free, {BUILD_BYTES / 2**30:.0f} GB needed", fix)
