"""The detection of the build system, run by sh with stand-ins for debhelper's programs."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from builders.deb import debian_files
from builders.model.settings import Settings
from tests.support.debs import AMD64_BOOKWORM, recipe_of

META = {"depends": ["a"], "section": "metapackages"}
LINK = {"links": {"usr/a": "b"}}


def run(folder: Path, packages: list[dict[str, Any]], detected: str) -> subprocess.CompletedProcess[str]:
    """Run the steps in a tree in which debhelper detects a system, none if that is empty; a step prints its name."""
    named = [{"name": f"sample{number}", "summary": "a"} | package for number, package in enumerate(packages)]
    files = debian_files(recipe_of(packages=named), AMD64_BOOKWORM, Settings())
    for name in ("reef/detect.sh", "reef/configure.sh", "reef/compile.sh", "reef/install.sh"):
        path = folder / "debian" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[name])
    listed = f"Auto-selected: {detected}" if detected else "No system auto-selected"
    for step in ("configure", "build", "install"):
        program = folder / "bin" / f"dh_auto_{step}"
        program.parent.mkdir(exist_ok=True)
        made = 'mkdir "$DESTDIR"; touch "$DESTDIR/x"' if step == "install" else "true"
        program.write_text(f'#!/bin/sh\nif [ "$*" = --list ]; then echo "{listed}"; else echo ran {step}; {made}; fi\n')
        program.chmod(0o755)
    steps = "for step in configure compile install; do sh -eu debian/reef/$step.sh || exit; done"
    return subprocess.run(
        ["sh", "-c", steps], cwd=folder, text=True, capture_output=True, check=False,
        env={"PATH": f"{folder}/bin:/usr/bin:/bin", "DESTDIR": str(folder / "out")},
    )  # fmt: skip


@pytest.mark.parametrize(
    "packages",
    [
        [META], [LINK | {"architecture": "all"}], [META, META], [{}, META],
    ],
)  # fmt: skip
def test_packages_without_installed_files_need_no_build_system(tmp_path: Path, packages: list[dict[str, Any]]) -> None:
    made = run(tmp_path, packages, "")
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout == "reef: the build system is none\n"


@pytest.mark.parametrize("packages", [[{}], [META, {"files": ["usr/bin/a"]}], [{"depends": ["a"]}], [LINK]])
def test_packages_with_installed_files_need_one(tmp_path: Path, packages: list[dict[str, Any]]) -> None:
    made = run(tmp_path, packages, "")
    assert made.returncode == 1
    assert "debhelper detects no build system" in made.stderr
    assert 'write  install: ""' in made.stderr


@pytest.mark.parametrize("packages", [[{}], [META]])
def test_a_detected_system_builds(tmp_path: Path, packages: list[dict[str, Any]]) -> None:
    made = run(tmp_path, packages, "cmake")
    assert made.returncode == 0
    assert made.stdout == "reef: the build system is cmake\nran configure\nran build\nran install\n"
