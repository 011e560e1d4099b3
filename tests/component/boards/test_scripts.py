"""The shell scripts of boards: a linter reads them as they are sent, joined to what comes before them."""

import subprocess

import pytest

from builders.boards.scripts import FOLDER, script

JOINED = {
    "bundle": ("common", "apt"),
    "explain": ("common", "changes"),
    "gate": ("common", "models", "judge"),
    "launch": ("common", "unit"),
    "poll": ("common",),
    "prepare": ("common", "apt"),
    "probe": ("common", "changes", "models"),
    "run": ("common", "apt", "models", "judge", "unit"),
    "stage": ("common", "apt", "models"),
    "stick": ("common", "apt"),
    "unbundle": ("common", "apt"),
}
"""Scripts, and the pieces before them; what the pieces define is not used by each script."""
ALLOWED = "SC1091,SC2016,SC2034,SC2154,SC2317,SC2329"
"""Also allowed: fields in single quotes, which dpkg-query reads, and files of the board that a script sources."""


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.sh")))
def test_shellcheck_and_dash_read_every_script(name: str) -> None:
    text = script(*JOINED.get(name, ()), name)
    for words in (["shellcheck", "--shell=sh", f"--exclude={ALLOWED}", "-"], ["dash", "-n"]):
        done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_a_fault_is_found() -> None:
    words = ["shellcheck", "--shell=sh", f"--exclude={ALLOWED}", "-"]
    assert subprocess.run(words, input="[[ $1 == a ]]\n", capture_output=True, text=True, check=False).returncode == 1
