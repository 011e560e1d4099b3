"""``./inv`` itself, over a Python that only writes down what it is asked: when it sets up again, and what it costs."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
MOST_S = 0.3
"""What a call may cost over plain invoke where nothing is to be set up."""
PYTHON = """#!/bin/sh
# Stands for Python: `-m venv --clear FOLDER`, `-m pip install ...`, and `-c` with what is to be imported.
printf '%s %s\\n' "$1" "$2" >>"{calls}"
name=$(basename "$(readlink -f "$0")")
case "$1 $2" in
'-m venv')
    rm -rf "$4"
    mkdir -p "$4/bin" "$4/lib/$name"
    ln -s "{usr}/python3" "$4/bin/python"
    printf '#!/bin/sh\\nprintf "%%s\\\\n" "$*"\\n' >"$4/bin/invoke"
    chmod +x "$4/bin/invoke"
    ;;
'-c import pip') [ -e "$(dirname "$0")/../lib/$name" ] ;;
esac
"""


class Clone:
    """A clone with ``inv`` and what it reads, and a system whose ``python3`` is version 3.11 at first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "a clone"
        self.calls, self.usr = folder / "calls", folder / "usr"
        for name in ("builders", "tests"):
            (self.folder / name).mkdir(parents=True)
            (self.folder / name / "host-packages.txt").write_text("# none\n")
        (self.folder / "pyproject.toml").write_text("[project]\n")
        shutil.copy(CHECKOUT / "inv", self.folder)
        self.usr.mkdir()
        self.upgrade("3.11")

    def upgrade(self, version: str) -> None:
        """Let the system's Python be of this version from now on."""
        for old in self.usr.iterdir():
            old.unlink()
        program = self.usr / f"python{version}"
        program.write_text(PYTHON.format(calls=self.calls, usr=self.usr))
        program.chmod(0o755)
        (self.usr / "python3").symlink_to(program.name)

    def run(self, *words: str) -> str:
        """Run ``inv`` and return what invoke was given."""
        environment = {"PATH": os.environ["PATH"], "REEF_PYTHON": str(self.usr / "python3")}
        done = subprocess.run(
            [str(self.folder / "inv"), *words], env=environment, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def asked(self) -> list[str]:
        """Return what Python did since the last time it was asked for that: venv, pip."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        self.calls.unlink(missing_ok=True)
        return [line.removeprefix("-m ") for line in lines if line.startswith("-m ")]


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    made = Clone(tmp_path)
    made.run()
    assert made.asked() == ["venv", "pip"]
    return made


def test_a_second_call_goes_straight_to_invoke(clone: Clone) -> None:
    assert clone.run("build-arm", "--recipe", "x y") == f"--search-root {clone.folder} build-arm --recipe x y\n"
    assert clone.run() == f"--search-root {clone.folder} --list\n"
    assert not clone.calls.exists()


def test_what_tests_need_is_set_up_once_too(clone: Clone) -> None:
    clone.run("test", "--quick")
    assert clone.asked() == ["pip"]
    clone.run("test")
    clone.run("list")
    assert not clone.calls.exists()


@pytest.mark.parametrize("file", ["pyproject.toml", "builders/host-packages.txt"])
def test_what_is_needed_changed(clone: Clone, file: str) -> None:
    (clone.folder / file).write_text("# something else\n")
    clone.run()
    assert clone.asked() == ["pip"]
    clone.run()
    assert not clone.calls.exists()


def test_the_systems_python_was_upgraded(clone: Clone) -> None:
    clone.run("test")
    clone.asked()
    clone.upgrade("3.13")
    clone.run()
    assert clone.asked() == ["venv", "pip"]
    clone.run()
    assert not clone.calls.exists()
    clone.run("test")
    assert clone.asked() == ["pip"]


def test_a_call_costs_little_over_plain_invoke(clone: Clone) -> None:
    def best(*argv: str) -> float:
        times = []
        for _ in range(7):  # the quickest of some: other work on the machine only adds
            started = time.monotonic()
            subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            times.append(time.monotonic() - started)
        return min(times)

    plain = best(str(clone.folder / ".venv" / "bin" / "invoke"), "--list")
    assert best(str(clone.folder / "inv"), "--list") - plain < MOST_S
