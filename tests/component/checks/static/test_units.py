"""systemd: the keys that each suite's systemd knows, in units of real .debs."""

from pathlib import Path

import pytest

from builders.checks.static.contents import is_unit, read_contents
from builders.checks.static.units import check_units
from builders.model.arch import AMD64
from builders.model.packages import Verdict
from builders.model.target import SUITES, Target
from tests.support.debs import make_deb

SERVICE = "[Service]\nExecStart=/usr/bin/a\nProtectProc=invisible\nRestartSteps=5\n"
PLACE = "usr/lib/systemd/system"


def judge(folder: Path, files: dict[str, str], suite: str) -> Verdict:
    return check_units(read_contents(make_deb(folder, files)), Target(SUITES[suite], AMD64))


@pytest.mark.parametrize(
    ("suite", "faults"),
    [
        (
            "buster",
            ["ProtectProc= needs systemd 247; buster has 241", "RestartSteps= needs systemd 254; buster has 241"],
        ),
        ("bullseye", ["RestartSteps= needs systemd 254; bullseye has 247"]),
        ("bookworm", ["RestartSteps= needs systemd 254; bookworm has 252"]),
        ("trixie", []),
    ],
)
def test_keys_that_a_suite_lacks(tmp_path: Path, suite: str, faults: list[str]) -> None:
    verdict = judge(tmp_path, {f"{PLACE}/a.service": SERVICE}, suite)
    assert (verdict.check, verdict.passed) == ("systemd", not faults)
    if faults:
        *lines, fix = verdict.detail.splitlines()
        assert lines == [f"/{PLACE}/a.service: {fault}" for fault in faults]
        assert "systemd: of the package" in fix
    else:
        assert verdict.detail == "1 units"


def test_sockets_timers_and_drop_ins(tmp_path: Path) -> None:
    files = {
        f"{PLACE}/a.socket": "[Socket]\nFlushPending=yes\n",
        f"{PLACE}/a.timer": "[Timer]\nFixedRandomDelay=yes\n",
        f"{PLACE}/ssh.service.d/a.conf": "[Service]\nProtectClock=yes\n",
        "usr/lib/systemd/user/a.service": "[Service]\nOOMPolicy=stop\n",
    }
    assert judge(tmp_path / "old", files, "buster").detail.count("buster has 241") == len(files)
    assert judge(tmp_path / "new", files, "bullseye").detail == "4 units"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("usr/lib/systemd/system/a.service", True), ("lib/systemd/system/a@.service", True),
        ("etc/systemd/system/a.timer", True), ("usr/lib/systemd/user/a.socket", True),
        ("usr/lib/systemd/system/a.service.d/b.conf", True),
        ("usr/share/dbus-1/system-services/org.a.service", False), ("etc/avahi/services/a.service", False),
        ("usr/lib/systemd/network/a.conf", False), ("usr/lib/systemd/system/a.mount", False),
        ("usr/lib/systemd/system/a.conf", False),
    ],
)  # fmt: skip
def test_other_files_are_no_units(path: str, expected: bool) -> None:
    assert is_unit(path) is expected


def test_a_package_without_units_passes(tmp_path: Path) -> None:
    assert judge(tmp_path, {"usr/share/dbus-1/system-services/org.a.service": SERVICE}, "buster").detail == "0 units"


def test_a_unit_that_is_not_text_is_read(tmp_path: Path) -> None:
    made = make_deb(tmp_path, {f"{PLACE}/a.service": b"\xff\xfe\n[Service]\nProtectClock=yes\n"})
    assert not check_units(read_contents(made), Target(SUITES["buster"], AMD64)).passed
