"""The recipes of the Edge TPU: what of them is text and shell, without a build."""

import re
import subprocess
from pathlib import Path

import pytest
from debian.debian_support import Version

from builders.deb import debian_files
from builders.model.recipe import Package, for_target, load_recipe, load_recipes
from builders.model.settings import Settings
from builders.model.target import parse_target
from tests.support.checkout import CHECKOUT

RECIPES = CHECKOUT / "recipes"
LIBEDGETPU, GASKET = (load_recipe(RECIPES / name) for name in ("libedgetpu", "gasket-dkms"))
SETTINGS = Settings(maintainer="Reef <reef@example.org>")


def header(*files: Path) -> "subprocess.CompletedProcess[str]":
    script = LIBEDGETPU.folder / "files" / "firmware-header.sh"
    return subprocess.run(["sh", str(script), *map(str, files)], capture_output=True, text=True, check=False)


def test_the_firmware_is_in_its_header_byte_by_byte(tmp_path: Path) -> None:
    content = bytes(range(256)) + b"\0" * 64 + b"\xff"  # equal lines, which od would fold
    (tmp_path / "one.bin").write_bytes(content)
    (tmp_path / "two.bin").write_bytes(b"A")
    done = header(tmp_path / "one.bin", tmp_path / "two.bin")
    assert done.returncode == 0
    arrays = dict(re.findall(r"const unsigned char (\w+)\[\] = \{\n(.*?)\};", done.stdout, re.DOTALL))
    assert {name: bytes.fromhex(re.sub(r"0x|,|\s", "", text)) for name, text in arrays.items()} == {
        "one": content,
        "two": b"A",
    }
    assert "constexpr unsigned int one_len = sizeof(one);" in done.stdout


@pytest.mark.parametrize("there", [True, False])
def test_empty_firmware_is_refused(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "one.bin").touch()
    done = header(tmp_path / "one.bin")
    assert done.returncode == 1
    assert "no firmware" in done.stderr


def test_the_runtime_is_built_from_the_tree_of_tensorflow_lite() -> None:
    lite = load_recipe(RECIPES / "tensorflow-lite")
    [mine] = [source for source in LIBEDGETPU.sources if source.name == "tensorflow"]
    [theirs] = [source for source in lite.sources if source.name == "tensorflow"]
    assert (mine.way, mine.alternatives) == (theirs.way, theirs.alternatives)
    assert LIBEDGETPU.tensorflow == lite.tensorflow
    assert LIBEDGETPU.version.endswith(f"+tf{lite.version}")


def test_the_variants_take_each_others_place_and_name_their_train() -> None:
    std, maximum, _ = LIBEDGETPU.packages
    for package in (std, maximum):
        train = LIBEDGETPU.tensorflow
        others = [f"libtensorflow-lite-abi ({relation} {train})" for relation in ("<<", ">>")]
        assert package.conflicts == ["libedgetpu1", *others]
        assert package.replaces == ["libedgetpu1"]
        assert package.provides == ["libedgetpu1 (= ${binary:Version})", f"libedgetpu1-tf{train}"]
        assert package.udev == std.udev
        assert "plugdev apex" in (package.scripts.postinst or "")
    assert "burn skin" in (maximum.scripts.postinst or "")
    assert "burn skin" not in (std.scripts.postinst or "")


@pytest.mark.parametrize("status", [0, 1])
@pytest.mark.parametrize("package", LIBEDGETPU.packages[:2], ids=["std", "max"])
def test_devices_that_are_there_already_get_their_groups(tmp_path: Path, package: Package, status: int) -> None:
    """udev looks again at the devices of the rules and no others; where it cannot, the installation goes on."""
    for name in ("getent", "udevadm"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "$(basename "$0") $*" >>{tmp_path}/told\nexit {status}\n')
        (tmp_path / name).chmod(0o755)
    (tmp_path / "addgroup").write_text(f"#!/bin/sh\necho addgroup $* >>{tmp_path}/told\n")
    (tmp_path / "addgroup").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    subprocess.run(
        ["sh", "-e", "-c", f"{package.scripts.postinst}", "postinst", "configure"], env=environment, check=True
    )
    output = (tmp_path / "told").read_text().splitlines()
    assert ("addgroup --quiet --system apex" in output) == bool(status)
    triggers = [line for line in output if line.startswith("udevadm trigger")]
    assert output.index("udevadm control --reload") < output.index(triggers[0])
    rules = (LIBEDGETPU.folder / "files" / "libedgetpu.udev").read_text()
    devices = re.findall(r'ATTR\{idVendor\}=="(\w+)", ATTR\{idProduct\}=="(\w+)"', rules)
    assert len(devices) == 2
    usb = "udevadm trigger --subsystem-match=usb --attr-match=idVendor={} --attr-match=idProduct={}"
    assert triggers == [*(usb.format(*device) for device in devices), "udevadm trigger --subsystem-match=apex"]


def test_dkms_finds_the_source_where_the_package_puts_it() -> None:
    files = debian_files(GASKET, parse_target("trixie/arm64"), SETTINGS)
    assert f'PACKAGE_VERSION="{GASKET.version}"' in files["gasket-dkms.dkms"]
    assert files["gasket-dkms.install"] == f"usr/src/gasket-{GASKET.version}\n"
    assert f"/usr/src/gasket-{GASKET.version}" in files["reef/install.sh"]
    assert "dh-sequence-dkms" in files["control"]


@pytest.mark.parametrize("variant", ["std", "max"])
def test_the_portable_runtime_has_a_name_of_its_own(variant: str) -> None:
    """Google's packages keep the native names: Mendel installs them for its own programs, such as PyCoral."""
    recipes = load_recipes(RECIPES)
    name = f"libedgetpu1-{variant}"
    target = parse_target("buster/arm64")
    portable = for_target(LIBEDGETPU, target, recipes)
    control = debian_files(portable, target, SETTINGS)["control"]
    [paragraph] = re.findall(rf"^Package: {name}-portable\n.*?(?=^\n|\Z)", control, re.MULTILINE | re.DOTALL)
    assert "Pre-Depends: ${reef:Pre-Depends}\n" in paragraph
    assert "Provides: libedgetpu1-portable,\n          ${reef:Provides}\n" in paragraph
    assert "Conflicts: libedgetpu1-portable,\n" in paragraph
    assert f"Package: {name}\n" not in control

    native = for_target(LIBEDGETPU, parse_target("trixie/arm64"), recipes)
    [transitional] = [package for package in native.packages if package.name == f"{name}-portable"]
    assert transitional.depends == [f"{name} (= ${{binary:Version}})"]
    versions = [recipe.debian_version(parse_target(f"{suite}/arm64")) for recipe, suite in
                ((portable, "buster"), (native, "trixie"))]  # fmt: skip
    assert Version(versions[0]) < Version(versions[1])
