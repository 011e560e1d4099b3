"""The Debian packages that Reef needs, and their installation."""

import os

import pytest

from builders.errors import HostError
from builders.host import process
from builders.host.log import Log
from builders.maintenance import host_packages
from tests.support.checkout import CHECKOUT


def test_host_packages_have_reasons() -> None:
    for path in (host_packages.HOST_PACKAGES, CHECKOUT / "tests" / "host-packages.txt"):
        expected = host_packages.host_packages(path)
        assert all(reason for reason in expected.values())
    assert "mmdebstrap" in host_packages.host_packages()


class Machine:
    """A machine that lacks two packages; ``calls`` are the programs that were run on the user's terminal."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.missing = ["gpgv", "git"]
        self.programs = {"apt-get", "sudo"}
        self.status = 0
        monkeypatch.setattr(host_packages, "missing_packages", lambda: self.missing)
        monkeypatch.setattr(process, "find", lambda name: name if name in self.programs else None)
        monkeypatch.setattr(process, "interactive", self._run)
        monkeypatch.setattr(os, "geteuid", lambda: 1000)

    def _run(self, argv: list[str]) -> int:
        self.calls.append(" ".join(argv))
        return self.status


INSTALL = "apt-get install --yes --no-install-recommends gpgv git"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_missing_packages_are_installed_through_sudo(machine: Machine) -> None:
    host_packages.set_up(Log(quiet=True))
    assert machine.calls == ["sudo apt-get update", f"sudo {INSTALL}"]


def test_root_needs_no_sudo(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    machine.programs.remove("sudo")
    host_packages.set_up(Log(quiet=True))
    assert machine.calls == ["apt-get update", INSTALL]


def test_nothing_is_run_where_nothing_is_missing(machine: Machine) -> None:
    machine.missing = []
    host_packages.set_up(Log(quiet=True))
    assert machine.calls == []


@pytest.mark.parametrize(
    ("lacks", "what", "fix"),
    [
        ("sudo", "only root installs Debian packages", f"as root: apt-get update && {INSTALL}"),
        ("apt-get", "apt-get is not installed", "publish on Debian 12 or 13"),
        ("", "apt-get update failed", f"run: sudo apt-get update && sudo {INSTALL}"),
    ],
)
def test_who_cannot_install_is_shown_the_way(machine: Machine, lacks: str, what: str, fix: str) -> None:
    machine.programs.discard(lacks)
    machine.status = 100
    with pytest.raises(HostError, match=what) as caught:
        host_packages.set_up(Log(quiet=True))
    assert caught.value.fix.startswith(fix)
