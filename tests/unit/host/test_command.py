"""The command that messages name is the one that the user can type."""

import sys
from pathlib import Path

import pytest

from builders.host.command import as_typed, own_command


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch, typed: str) -> Path:
    """Make an environment with a ``reef``, started as ``typed`` in ``folder``; return its programs."""
    programs = folder / "an env" / "bin"
    programs.mkdir(parents=True)
    (programs / "reef").touch(mode=0o755)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [typed, "list"])
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return programs


def test_a_reef_on_path_is_named_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = installed(tmp_path, monkeypatch, str(tmp_path / "an env/bin/reef"))
    monkeypatch.setenv("PATH", str(programs))
    assert as_typed("run ./inv publish-apt first; ./inv") == "run reef publish-apt first; reef"
    # sudo has a PATH of its own.
    assert as_typed("run once: sudo ./inv doctor --fix") == f"run once: sudo '{programs}/reef' doctor --fix"


def test_another_reef_is_named_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch, "an env/bin/reef")
    assert as_typed("(./inv list)") == "('an env/bin/reef' list)"


def test_a_checkout_is_run_by_its_inv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch, str(tmp_path / "an env/bin/reef"))
    (tmp_path / "inv").touch()
    assert own_command() == "./inv"
    monkeypatch.chdir("/")
    assert as_typed("sudo ./inv clean") == f"sudo {tmp_path}/inv clean"


def test_a_program_near_the_root_of_the_system_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/bin/reef"])
    assert own_command() == "/bin/reef"


@pytest.mark.parametrize("text", ["/srv/./inv list", "./inv.py", "../inv", "./inventory", "x./inv"])
def test_paths_stay_as_they_are(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch, "an env/bin/reef")
    assert as_typed(text) == text


def test_invokes_own_command_line_keeps_the_written_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/invoke", "list"])
    assert as_typed("./inv list") == "./inv list"
