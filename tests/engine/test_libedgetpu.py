"""A rehearsal of recipes/libedgetpu: its own steps on a miniature of upstream's tree and TensorFlow's real one.

Upstream's host is not in reach of CI. The miniature has the names and the shape that the recipe relies on, so that what
is ours runs: the cross build of both variants, packages, installation on an emulated board, the swap of one variant for
the other, and purge. What upstream's own code does is no part of it.
"""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from builders.debfile import control_of, members
from tests.engine.conftest import CHECKOUT, Place

RECIPE = CHECKOUT / "recipes" / "libedgetpu"
MINIATURE = CHECKOUT / "tests" / "fixtures" / "upstream" / "libedgetpu"
BUILT = "builds/libedgetpu/trixie-arm64"


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


@pytest.fixture
def rehearsal(place: Place) -> Place:
    recipe = place.folder / "recipes" / "libedgetpu"
    shutil.copytree(RECIPE, recipe)
    make_miniature(place.folder / "miniature")
    document = yaml.safe_load((recipe / "recipe.yml").read_text())
    upstream = next(source for source in document["sources"] if source["name"] == "libedgetpu")
    assert upstream.pop("git")["commit"]
    upstream["local"] = {"path": "../../miniature"}
    (recipe / "recipe.yml").write_text(yaml.safe_dump(document))
    return place


def test_both_variants_are_cross_built_installed_swapped_and_purged(rehearsal: Place) -> None:
    rehearsal.run("build-arm", "--recipe", "libedgetpu")
    debs = {path.name.split("_")[0]: path for path in (rehearsal.artifacts / BUILT).glob("*.deb")}
    for variant, other in (("std", "max"), ("max", "std")):
        control = control_of(debs[f"libedgetpu1-{variant}"])
        others = {f"libtensorflow-lite-abi ({relation} 2.14)" for relation in ("<<", ">>")}
        assert set(control["Conflicts"].split(", ")) == {"libedgetpu1", *others}
        assert control["Replaces"] == "libedgetpu1"
        assert control["Provides"] == f"libedgetpu1 (= {control['Version']}), libedgetpu1-tf2.14"
        assert {"adduser", "libc6", "libusb-1.0-0"} <= set(re.findall(r"(?:^|, )([^ ,]+)", control["Depends"]))
        files = {
            member.name.removeprefix("./"): (member, content)
            for member, content in members(debs[f"libedgetpu1-{variant}"])
        }
        library = "usr/lib/aarch64-linux-gnu/libedgetpu.so.1"
        assert files[library][0].linkname == "libedgetpu.so.1.0"
        clock = b"reduced clock of" if variant == "std" else b"full clock of"
        assert clock in (files[f"{library}.0"][1] or b"")
        assert f"usr/lib/udev/rules.d/60-libedgetpu1-{variant}.rules" in files
        assert not any(f"libedgetpu1-{other}" in name for name in files)
    rehearsal.run("publish-apt", "--recipe", "libedgetpu")
    told = rehearsal.log_text()
    assert "burn skin" in told
    assert "swapped: libedgetpu-dev libedgetpu1-max" in told
