"""A rehearsal of recipes/libedgetpu: its own steps on a miniature of upstream's tree and TensorFlow's real one.

Upstream's host is not in reach of CI. The miniature has the names and the shape that the recipe relies on, so that what
is ours runs: the cross build of both variants, packages, installation on an emulated board, the swap of one variant for
the other, and purge. What upstream's own code does is no part of it.
"""

import io
import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from debian.debian_support import Version
from elftools.elf.elffile import ELFFile

from builders.model.arch import ARCHITECTURES
from builders.model.deb_file import control_of, members
from tests.support.checkout import CHECKOUT
from tests.support.place import Place

RECIPE = CHECKOUT / "recipes" / "libedgetpu"
MINIATURE = CHECKOUT / "tests" / "fixtures" / "upstream" / "libedgetpu"
RUNTIME = "reef-portable-runtime"
ARM32, ARM64 = "armhf", "arm64"
MACHINES = {ARM32: ("EM_ARM", 32), ARM64: ("EM_AARCH64", 64)}


def make_miniature(folder: Path) -> None:
    """Write the miniature of upstream's tree: the fixture, and an almost empty source for each other compiled name."""
    shutil.copytree(MINIATURE, folder)
    for name in re.findall(r"\$\{TREE\}/(\S+\.cc)\b", (RECIPE / "files" / "CMakeLists.txt").read_text()):
        path = folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"namespace miniature {{\nint {re.sub(r'[^a-z]', '_', name)}() {{ return 1; }}\n}}\n")
    (folder / "driver" / "usb" / "apex_latest_single_ep.bin").write_bytes(b"A" * 300)
    (folder / "driver" / "usb" / "apex_latest_multi_ep.bin").write_bytes(bytes(range(17)))


@pytest.fixture(scope="module")
def rehearsal(module_place: Place) -> Place:
    place = module_place
    recipe = place.folder / "recipes" / "libedgetpu"
    shutil.copytree(RECIPE, recipe)
    shutil.copytree(CHECKOUT / "recipes" / RUNTIME, place.folder / "recipes" / RUNTIME)
    make_miniature(place.folder / "miniature")
    document = yaml.safe_load((recipe / "recipe.yml").read_text())
    upstream = next(source for source in document["sources"] if source["name"] == "libedgetpu")
    assert upstream.pop("git")["commit"]
    upstream["local"] = {"path": "../../miniature"}
    (recipe / "recipe.yml").write_text(yaml.safe_dump(document))
    return place


def libraries(place: Place, architecture: str) -> dict[str, bytes]:
    """Look at both variants' packages as they were built for one CPU, and return their libraries."""
    folder = place.artifacts / "builds" / "libedgetpu" / f"trixie-{architecture}"
    debs = {path.name.split("_")[0]: path for path in folder.glob("*.deb")}
    found = {}
    for variant, other in (("std", "max"), ("max", "std")):
        control = control_of(debs[f"libedgetpu1-{variant}"])
        assert control["Architecture"] == architecture
        others = {f"libtensorflow-lite-abi ({relation} 2.14)" for relation in ("<<", ">>")}
        assert set(control["Conflicts"].split(", ")) == {"libedgetpu1", *others}
        older = f"libedgetpu1-{variant}-portable (<< {control['Version']})"
        assert (control["Replaces"], control["Breaks"]) == (f"libedgetpu1, {older}", older)
        assert control["Provides"] == f"libedgetpu1 (= {control['Version']}), libedgetpu1-tf2.14"
        assert {"adduser", "libc6", "libusb-1.0-0"} <= set(re.findall(r"(?:^|, )([^ ,]+)", control["Depends"]))
        files = {
            member.name.removeprefix("./"): (member, content)
            for member, content in members(debs[f"libedgetpu1-{variant}"])
        }
        library = f"usr/lib/{ARCHITECTURES[architecture].triplet}/libedgetpu.so.1"
        assert files[library][0].linkname == "libedgetpu.so.1.0"
        found[variant] = files[f"{library}.0"][1] or b""
        assert f"usr/lib/udev/rules.d/60-libedgetpu1-{variant}.rules" in files
        assert not any(f"libedgetpu1-{other}" in name for name in files)
    assert b"reduced clock of" in found["std"]
    assert b"full clock of" in found["max"]
    return found


@pytest.mark.parametrize("architecture", [ARM64, pytest.param(ARM32, marks=pytest.mark.nightly)])
def test_both_variants_are_cross_built(rehearsal: Place, architecture: str) -> None:
    rehearsal.run("build-arm", "--recipe", "libedgetpu", "--target", f"trixie/{architecture}")
    for content in libraries(rehearsal, architecture).values():
        elf = ELFFile(io.BytesIO(content))
        assert (elf["e_machine"], elf.elfclass) == MACHINES[architecture]
    folder = rehearsal.artifacts / "builds" / "libedgetpu" / f"trixie-{architecture}"
    verdicts = json.loads((folder / "static-report.json").read_text())["verdicts"]
    assert {"elf-cpu", "depends", "file-policy"} <= {verdict["check"] for verdict in verdicts}
    assert all(verdict["passed"] for verdict in verdicts), verdicts
    [lintian] = [verdict["detail"] for verdict in verdicts if verdict["check"] == "lintian"]
    assert lintian.startswith("0 warnings"), (folder / "lintian.log").read_text()


@pytest.mark.nightly
def test_they_are_installed_swapped_and_purged(rehearsal: Place) -> None:
    chosen = ("--recipe", "libedgetpu", "--target", f"trixie/{ARM64}")
    rehearsal.run("build-arm", *chosen)
    rehearsal.run("publish-apt", *chosen)
    output = rehearsal.log_text()
    assert "burn skin" in output
    assert "swapped: libedgetpu-dev libedgetpu1-max" in output


PORTABLE = ("--recipe", "libedgetpu", "--target", f"buster/{ARM64}")


@pytest.mark.nightly
def test_the_portable_library_is_for_portable_programs_alone(rehearsal: Place) -> None:
    rehearsal.run("build-arm", *PORTABLE)
    folder = rehearsal.artifacts / "builds" / "libedgetpu" / f"buster-{ARM64}"
    debs = {path.name.split("_")[0]: path for path in folder.glob("*.deb")}
    private = f"usr/lib/{ARCHITECTURES[ARM64].triplet}/reef-portable"
    for variant in ("std", "max"):
        package = f"libedgetpu1-{variant}-portable"
        control = control_of(debs[package])
        # The packages of Google and those of the native suite keep their names, so that a board may have both.
        provided = ["libedgetpu1-portable", f"{package}-portable13.1 (= {control['Version']})"]
        assert sorted(control["Provides"].split(", ")) == sorted(provided)
        assert "libedgetpu1-portable" in control["Conflicts"]
        assert re.fullmatch(r"reef-portable-runtime13\.1 \(>= 13\.1-\d+~deb10\)", control["Pre-Depends"])
        assert control["Depends"] == "adduser"
        files = {member.name.removeprefix("./") for member, _ in members(debs[package])}
        assert {f"{private}/libedgetpu.so.1", f"{private}/libedgetpu.so.1.0"} <= files
        assert f"lib/udev/rules.d/60-{package}.rules" in files
    verdicts = json.loads((folder / "static-report.json").read_text())["verdicts"]
    assert all(verdict["passed"] for verdict in verdicts), verdicts


@pytest.mark.nightly
def test_a_board_that_upgrades_to_the_native_suite_gets_the_native_library(rehearsal: Place) -> None:
    rehearsal.run("build-arm", "--recipe", "libedgetpu", "--target", f"trixie/{ARM64}")
    folder = rehearsal.artifacts / "builds" / "libedgetpu"
    [native] = (folder / f"trixie-{ARM64}").glob("libedgetpu1-std-portable_*.deb")
    control = control_of(native)
    assert control["Depends"] == f"libedgetpu1-std (= {control['Version']})"
    [portable] = (folder / f"buster-{ARM64}").glob("libedgetpu1-std-portable_*.deb")
    assert Version(control_of(portable)["Version"]) < Version(control["Version"])


@pytest.mark.nightly
def test_the_portable_library_loads_on_the_boards_own_system(rehearsal: Place) -> None:
    rehearsal.run("build-arm", *PORTABLE)
    rehearsal.run("publish-apt", *PORTABLE)
    output = rehearsal.log_text()
    assert "variant: std-portable" in output
    assert "variant: max-portable" in output
    assert output.count("loads: yes") >= 2
