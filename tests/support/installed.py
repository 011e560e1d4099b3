"""Reef as pip installs it, in an environment beside which there is no checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.support.checkout import CHECKOUT


@dataclass(frozen=True)
class Installed:
    """An environment with Reef, made from its ``wheel``; the packages that it depends on are those of the tests."""

    folder: Path
    wheel: Path

    @property
    def reef(self) -> Path:
        """The program."""
        return self.folder / "bin" / "reef"

    @property
    def packages(self) -> Path:
        """The environment's site-packages."""
        return next(self.folder.glob("lib/python3*/site-packages"))


def install(place: Path) -> Installed:
    """Make a source distribution of the checkout, a wheel of that, and an environment with the wheel alone."""
    copy = place / "copy"  # setuptools leaves files where it builds
    shutil.copytree(CHECKOUT / "builders", copy / "builders", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, copy)
    made, tools = place / "made", place / "tools"
    required = tomllib.loads((copy / "pyproject.toml").read_text())["build-system"]["requires"]
    _run(sys.executable, "-m", "pip", "install", "--quiet", "--target", str(tools), *required, cwd=copy)
    backend = "import sys, setuptools.build_meta as backend; print(backend.build_sdist(sys.argv[1]))"
    _run(sys.executable, "-c", backend, str(made), cwd=copy, tools=tools)
    (source,) = made.glob("*.tar.gz")
    _run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation",
         "--wheel-dir", str(made), str(source), cwd=made, tools=tools)  # fmt: skip
    (wheel,) = made.glob("*.whl")
    done = Installed(place / "an env", wheel)
    _run(sys.executable, "-m", "venv", "--without-pip", str(done.folder), cwd=place)
    (done.packages / "of-the-tests.pth").write_text(sysconfig.get_path("purelib") + "\n")
    _run(str(done.folder / "bin/python"), "-m", "pip", "install", "--quiet", "--no-index", "--no-deps",
         "--ignore-installed", str(wheel), cwd=place)  # fmt: skip
    return done


def _run(*argv: str, cwd: Path, tools: Path | None = None) -> None:
    cwd.mkdir(parents=True, exist_ok=True)
    environment = os.environ | ({"PYTHONPATH": str(tools)} if tools else {})
    done = subprocess.run(argv, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
