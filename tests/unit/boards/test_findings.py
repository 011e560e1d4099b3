"""Findings on a board's facts: obstacles with their fix, repairs and notes."""

import pytest

from builders.boards.facts import BoardFacts, findings

NOW = 1_750_000_000.0
GOOD = {
    "architecture": "arm64", "machine": "aarch64", "apt": "3.0.3", "systemd": "257", "page_size": "4096",
    "time": str(int(NOW)), "root": "ext4 rw,relatime", "disk_root": "5000000 300000 /", "disk_usr": "5000000 300000 /",
    "disk_var": "5000000 300000 /", "disk_archives": "5000000 300000 /", "journal": "0",
}  # fmt: skip


def found(**values: str) -> list[str]:
    facts = BoardFacts({name: [value] for name, value in (GOOD | values).items()}, NOW, NOW + 0.5)
    return [f"{finding.severity}: {finding}" for finding in findings(facts)]


def test_a_board_without_a_finding() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"architecture": "i386"}, "error: its packages are for i386: Reef builds for "),
        ({"architecture": ""}, "error: its packages are for an unknown CPU: "),
        ({"architecture": "armhf", "machine": "armv6l"},
         "error: its CPU is armv6l; armhf packages need ARMv7: use a Raspberry Pi 2 or later"),
        ({"architecture": "armhf", "machine": "aarch64"}, "note: a 32-bit system on a 64-bit kernel"),
        ({"page_size": "16384"}, "note: memory pages of 16 KiB"),
        ({"apt": "1.0.9"}, "error: its apt is 1.0.9: install Debian 10 or later"),
        ({"apt": ""}, "error: its apt is missing: "),
        ({"systemd": "", "init": "runit"}, "note: it runs runit instead of systemd: services are not started"),
        ({"root": "overlay rw,lowerdir=/lower"}, "error: its root is an overlay (overlay): what is installed vanishes"),
        ({"root": "tmpfs rw"}, "error: its root is an overlay (tmpfs): what is installed vanishes at the next start: "
         "switch the overlay off (sudo raspi-config nonint disable_overlayfs; reboot)"),
        ({"root": "ext4 ro,relatime"}, "error: / is mounted read-only: sudo mount -o remount,rw /"),
        ({"usr": "squashfs ro"}, "error: /usr is mounted read-only: sudo mount -o remount,rw /usr"),
        ({"root": "ext4 rw,errors=remount-ro"}, ""),
        ({"writable": "/etc"}, "error: not writable: /etc: "),
        ({"busy": " "}, "error: it is busy: /run/lock/reef-busy is locked: wait for its end"),
        ({"busy": "exposing a plate"}, "error: it is busy: exposing a plate: wait for its end"),
        ({"disk_usr": "40000 300000 /usr"}, "error: 41 MB free on /usr: free some space: sudo apt-get clean"),
        ({"disk_var": "5000000 12 /var"}, "error: 12 inodes free on /var: remove many small files"),
        ({"disk_var": "5000000 - /var"}, ""),
        ({"journal": "3", "audit": "demo libdemo"}, "repaired: an installation was interrupted (demo libdemo)"),
        ({"journal": "1"}, "repaired: an installation was interrupted"),
        ({"time": str(int(NOW) - 31_536_000)}, "repaired: its clock is 365 days behind"),
        ({"time": str(int(NOW) + 31_536_000)}, "repaired: its clock is 365 days ahead"),
        ({"time": str(int(NOW) - 9)}, ""),
        ({"held": "demo other", "package": "demo 1.0-1 arm64 hi "},
         "note: demo is held: it stays as it is until: sudo apt-mark unhold demo"),
    ],
)  # fmt: skip
def test_a_finding(values: dict[str, str], expected: str) -> None:
    texts = found(**values)
    assert len(texts) == bool(expected), texts
    assert all(text.startswith(expected) for text in texts), texts


def test_one_file_system_is_named_once_and_obstacles_come_first() -> None:
    full = dict.fromkeys(("disk_root", "disk_usr", "disk_var", "disk_archives"), "1000 300000 /")
    texts = found(page_size="16384", journal="1", **full)
    assert [text.partition(":")[0] for text in texts] == ["error", "repaired", "note"]
