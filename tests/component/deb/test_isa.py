"""The script in debian/rules that finds what armhf packages need of the CPU."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from builders.deb import debian_files
from builders.model.settings import Settings
from builders.model.target import parse_target
from tests.support.arm_elf import BASELINE, FIRMWARE, NEON, RELOCATABLE, arm_elf
from tests.support.debs import recipe_of

FILES = {
    "plain/usr/bin/x": arm_elf(BASELINE),
    "fast/usr/lib/a space/x": arm_elf(NEON),
    "tested/usr/bin/x": arm_elf(NEON),
    "none/usr/share/x": b"text",
    "none/usr/lib/x.o": arm_elf(NEON, RELOCATABLE),
    "none/usr/lib/firmware/x": arm_elf(FIRMWARE),
}


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """Return ``debian/`` after the script has run for armhf."""
    packages: list[dict[str, object]] = [{"name": name, "summary": "x"} for name in ("plain", "fast", "none")]
    accept = [{"check": "isa", "match": "usr/bin/x", "reason": "tests the CPU"}]
    packages.append({"name": "tested", "summary": "x", "accept": accept})
    packages.append({"name": "data", "summary": "x", "architecture": "all"})
    files = debian_files(recipe_of(packages=packages), parse_target("trixie/armhf"), Settings())
    for name, content in FILES.items():
        path = tmp_path / "debian" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    subprocess.run(["shellcheck", "--shell=sh", "-"], input="set -eu\n" + files["reef/isa.sh"], text=True, check=True)
    subprocess.run(
        ["sh", "-eu", "-c", files["reef/isa.sh"]],
        cwd=tmp_path,
        env=os.environ | {"DEB_HOST_ARCH": "armhf"},
        check=True,
    )
    assert files["control"].count("${isa:Depends}") == 4
    return tmp_path / "debian"


def test_packages_with_neon_depend_on_neon_support(built: Path) -> None:
    found = {path.stem: path.read_text() for path in built.glob("*.substvars")}
    assert found == {
        "plain": "isa:Depends=\n", "none": "isa:Depends=\n", "tested": "isa:Depends=\n",
        "fast": "isa:Depends=neon-support\n",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("machine", "action", "refused"),
    [
        ("armv6l", "install", True), ("armv6l", "upgrade", True), ("armv5tel", "install", True),
        ("armv6l", "abort-upgrade", False), ("armv7l", "install", False), ("armv8l", "install", False),
        ("aarch64", "install", False), ("x86_64", "install", False),
    ],
)  # fmt: skip
def test_boards_with_armv6_are_refused_in_words(built: Path, machine: str, action: str, refused: bool) -> None:
    snippets = sorted(path.name for path in built.glob("*.preinst.debhelper"))
    assert snippets == ["fast.preinst.debhelper", "plain.preinst.debhelper", "tested.preinst.debhelper"]
    snippet = built / "plain.preinst.debhelper"
    tools = built.parent / "tools"
    tools.mkdir()
    (tools / "uname").write_text(f"#!/bin/sh\necho {machine}\n")
    (tools / "uname").chmod(0o755)
    sh = shutil.which("sh") or ""
    done = subprocess.run(
        [sh, "-eu", str(snippet), action], env={"PATH": str(tools)}, check=False, capture_output=True, text=True
    )
    assert (done.returncode, "plain needs an ARMv7 CPU" in done.stderr) == ((1, True) if refused else (0, False))
    assert ("Raspberry Pi 1, Zero and Zero W" in done.stderr) == refused


@pytest.mark.parametrize("target", ["trixie/arm64", "trixie/amd64"])
def test_other_cpus_have_no_such_script(target: str) -> None:
    files = debian_files(recipe_of("plain"), parse_target(target), Settings())
    assert "reef/isa.sh" not in files
    assert "isa" not in files["rules"] + files["control"]


def test_data_is_set_aside_until_then() -> None:
    packages = [{"name": "plain", "summary": "x", "data": ["usr/lib/firmware/*"]}]
    rules = debian_files(recipe_of(packages=packages), parse_target("trixie/armhf"), Settings())["rules"]
    assert rules.count("execute_before_dh_installdeb") == 1
    assert "\tsh -eu debian/reef/isa.sh\n\tperl debian/reef/data_files.pl back\n" in rules
