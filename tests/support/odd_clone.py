"""A clone of the checkout in an odd place, set up without pip, and a project in another odd place."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.support.checkout import CHECKOUT, HELLO

LATIN1 = "de_DE.ISO-8859-1"
PARTS = (
    "builders",
    "inv",
    "README.md",
    "LICENSE",
    "pyproject.toml",
    "constraints.txt",
    "reef.yml",
    "tasks.py",
    "recipes",
)


class OddClone:
    """``inv`` and a project with the miniature recipe.

    Unless it is ``fresh``, ``inv`` has an environment with this environment's packages.
    """

    def __init__(self, folder: Path, *, fresh: bool = False) -> None:
        self.folder = folder / "ein Klön, 100 % odd"
        self.project = folder / "pröjekt, with 'quotes'"
        self.folder.mkdir()
        for name in PARTS:
            source = CHECKOUT / name
            if source.is_dir():
                shutil.copytree(source, self.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, self.folder)
        if not fresh:
            self._set_up()
        recipe = shutil.copytree(HELLO, self.project / "recipes" / "reef-hello") / "recipe.yml"
        recipe.write_text(recipe.read_text().replace("reeting for boards", "rüße for boards"))
        (self.project / "reef.yml").write_text("engine: chroot\ntargets: [trixie/amd64]\n")

    def _set_up(self) -> None:
        venv = self.folder / ".venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
        [packages] = (venv / "lib").glob("python*/site-packages")
        # Python reads .pth files in the locale's encoding, so none has the path, as with pip's.
        (packages / "here.pth").write_text("import here\n")
        (packages / "here.py").write_text(
            f"import site, sys\nsys.path.append({str(self.folder)!r})\n"
            f"site.addsitedir({sysconfig.get_path('purelib')!r})\n"
        )
        (venv / "bin" / "reef").write_text("from builders.cli.app import main\nmain()\n")
        state = subprocess.run(
            ["sh", "-c", "cat -- pyproject.toml constraints.txt builders/host/packages.txt | cksum"],
            cwd=self.folder, check=True, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip
        (venv / "set-up-run").write_text(f"{self.folder} {os.path.realpath(venv / 'bin' / 'python')} {state}\n")


def make_locale(folder: Path) -> None:
    """Make the locale `LATIN1` in ``folder``, which LOCPATH names."""
    subprocess.run(["localedef", "-i", "de_DE", "-f", "ISO-8859-1", str(folder / LATIN1)], check=True)
