"""Write ``constraints.txt``, the exact versions of every Python package that `./inv` installs.

    .venv/bin/python -m tools.lock

An empty environment gets the newest releases within the ranges of ``pyproject.toml``. Their versions are written only
after pip has found a wheel of each for the Pythons of Debian 12 and 13, on x86_64 and arm64.
"""

import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
CONSTRAINTS = CHECKOUT / "constraints.txt"
PYTHONS = ("3.11", "3.13")
"""The versions of Python in Debian 12 and 13."""
MACHINES = ("x86_64", "aarch64")
MANYLINUX = ("2014", "_2_17", "_2_24", "_2_26", "_2_27", "_2_28", "_2_31", "_2_34", "_2_35", "_2_36")
"""Platform tags up to glibc 2.36, which is Debian 12's."""
HEADER = """\
# Every Python package that ./inv installs, with its exact version: a new release of one cannot break the set-up.
# Written by `python -m tools.lock`; docs/releasing.md says when.
"""


def requirements() -> list[str]:
    """Return the requirements of Reef and its tests, as ``pyproject.toml`` gives them."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["test"]]


def resolve(folder: Path) -> str:
    """Return the versions that pip installs in an empty environment in ``folder``, one ``name==version`` a line."""
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements()], check=True)
    freeze = [python, "-m", "pip", "freeze", "--exclude", "pip", "--exclude", "setuptools"]
    return subprocess.run(freeze, check=True, stdout=subprocess.PIPE, text=True).stdout


def require_wheels(constraints: Path, python: str, machine: str) -> None:
    """Raise CalledProcessError, below pip's own message, where a version has no wheel for this Python and machine."""
    platforms = [word for tag in MANYLINUX for word in ("--platform", f"manylinux{tag}_{machine}")]
    unused = str(constraints.parent / "none")
    subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--target", unused,
            "--only-binary", ":all:", "--python-version", python, *platforms,
            "--constraint", str(constraints), *requirements(),
        ],
        check=True,
    )  # fmt: skip


def main() -> None:
    """Write ``constraints.txt``; it stays as it is where a wheel is missing."""
    with tempfile.TemporaryDirectory() as scratch:
        candidate = Path(scratch) / "constraints.txt"
        candidate.write_text(HEADER + resolve(Path(scratch) / "venv"), encoding="utf-8")
        for python in PYTHONS:
            for machine in MACHINES:
                require_wheels(candidate, python, machine)
        CONSTRAINTS.write_bytes(candidate.read_bytes())


if __name__ == "__main__":
    main()
