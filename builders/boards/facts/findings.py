"""Findings on a board's facts: obstacles, and conditions that an installation repairs or reports."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from builders.boards.facts.board_facts import BoardFacts
from builders.model.arch import ARCHITECTURES

Severity = Literal["error", "repaired", "note"]
OLDEST_APT = (1, 1)
"""The first apt that reads ``.sources`` files and Signed-By (apt's changelog, 1.1~exp9)."""
CLOCK_S = 10
"""Seconds of a clock's error that apt accepts (apt.conf(5), Acquire::Max-FutureTime)."""
LEAST_BYTES, LEAST_INODES = 50_000_000, 2000
"""Room below which not even a small package is tried."""
DPKG_WORDS = {"armhf": "ARMv7", "arm64": "ARMv8"}


@dataclass(frozen=True)
class Finding:
    """A finding: an ``error`` prevents the installation, ``repaired`` is put right by it, a ``note`` is for people."""

    severity: Severity
    text: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.text}: {self.fix}" if self.fix else self.text


def findings(facts: BoardFacts) -> list[Finding]:
    """Return what the facts alone show, the obstacles first."""
    found = [*_cpu(facts), *_system(facts), *_disks(facts), *_packages(facts), *_clock(facts)]
    order: tuple[Severity, ...] = ("error", "repaired", "note")
    return sorted(found, key=lambda finding: order.index(finding.severity))


def _cpu(facts: BoardFacts) -> Iterator[Finding]:
    architecture, machine = facts.architecture, facts.text("machine")
    if architecture not in ARCHITECTURES:
        yield Finding(
            "error", f"its packages are for {architecture or 'an unknown CPU'}",
            f"Reef builds for {', '.join(ARCHITECTURES)}: install a system for one of them",
        )  # fmt: skip
    elif architecture == "armhf" and machine.startswith(("armv6", "armv5")):
        yield Finding(
            "error", f"its CPU is {machine}; armhf packages need ARMv7",
            "use a Raspberry Pi 2 or later; no package for the Raspberry Pi 1 and Zero exists",
        )  # fmt: skip
    if (page := facts.number("page_size")) and page > 4096:
        yield Finding("note", f"memory pages of {page // 1024} KiB")
    if architecture == "armhf" and machine == "aarch64":
        yield Finding("note", "a 32-bit system on a 64-bit kernel: it takes armhf packages")


def _system(facts: BoardFacts) -> Iterator[Finding]:
    version = tuple(int(number) for number in re.findall(r"\d+", facts.text("apt"))[:2])
    if not version or version < OLDEST_APT:
        yield Finding(
            "error", f"its apt is {facts.text('apt') or 'missing'}", "install Debian 10 or later, or a relative of it"
        )
    if not facts.text("systemd"):
        yield Finding(
            "note", f"it runs {facts.text('init') or 'something'} instead of systemd: services are not started"
        )
    kind, _, options = facts.text("root").partition(" ")
    if kind in ("overlay", "overlayfs", "tmpfs", "aufs"):
        yield Finding(
            "error", f"its root is an overlay ({kind}): what is installed vanishes at the next start",
            "switch the overlay off (sudo raspi-config nonint disable_overlayfs; reboot), install, switch it on again",
        )  # fmt: skip
    for place, mount in (("/", options), ("/usr", facts.text("usr")), ("/var", facts.text("var"))):
        if "ro" in re.split(r"[ ,]", mount):
            yield Finding("error", f"{place} is mounted read-only", f"sudo mount -o remount,rw {place}")
    if folders := facts.words("writable"):
        yield Finding("error", f"not writable: {' '.join(folders)}", "mount them writable")
    if "busy" in facts.values:
        yield Finding(
            "error", f"it is busy: {facts.text('busy') or '/run/lock/reef-busy is locked'}", "wait for its end"
        )


def _disks(facts: BoardFacts) -> Iterator[Finding]:
    seen = set()
    for name in ("root", "usr", "var", "archives"):
        disk = facts.disk(name)
        if disk is None or disk.mount in seen:
            continue
        seen.add(disk.mount)
        if disk.free_bytes < LEAST_BYTES:
            yield Finding(
                "error", f"{disk.free_bytes / 1e6:.0f} MB free on {disk.mount}", "free some space: sudo apt-get clean"
            )
        if disk.free_inodes is not None and disk.free_inodes < LEAST_INODES:
            yield Finding(
                "error", f"{disk.free_inodes} inodes free on {disk.mount}",
                "remove many small files; df -i shows the inodes",
            )  # fmt: skip


def _packages(facts: BoardFacts) -> Iterator[Finding]:
    if facts.interrupted:
        names = " ".join(facts.words("audit"))
        yield Finding("repaired", f"an installation was interrupted{f' ({names})' if names else ''}")
    for name in facts.held:
        if name in facts.packages:
            yield Finding("note", f"{name} is held", f"it stays as it is until: sudo apt-mark unhold {name}")


def _clock(facts: BoardFacts) -> Iterator[Finding]:
    offset = facts.clock_offset_s
    if abs(offset) > CLOCK_S:
        yield Finding("repaired", f"its clock is {duration(abs(offset))} {'ahead' if offset > 0 else 'behind'}")


def duration(seconds: float) -> str:
    """Return a duration in the largest unit that fits: ``3 days``."""
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
