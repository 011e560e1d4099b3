"""Packages that somebody else built are refused before a job runs where dpkg, apt or publishing would refuse them."""

import bz2
import lzma
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from builders.apt.packages.foreign import fields_of
from builders.apt.repository.publication import published_beside
from builders.checks.static.archive import check_archive
from builders.checks.static.contents import read_contents
from builders.errors import InputError
from builders.model.deb_file import read_deb
from builders.model.target import parse_target
from tests.support.debs import make_deb
from tests.support.repository import Publisher, files_in


def refused(path: Path) -> str:
    with pytest.raises(InputError) as error:
        fields_of(path)
    assert error.value.what == f"{path} cannot be published"
    assert error.value.fix
    return error.value.detail


def test_a_sound_package_gives_its_fields(tmp_path: Path) -> None:
    path = make_deb(tmp_path, Version="2:1.0~rc1-1", Multi_Arch="foreign", Essential="yes").path
    assert fields_of(path)["Version"] == "2:1.0~rc1-1"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"Version": "1.0-"}, "its version 1.0-: its revision is empty"),
        ({"Version": "v1.0"}, "does not start with a digit"),
        ({"Version": "9999999999:1"}, "its version 9999999999:1: its epoch is greater than 2147483647"),
        ({"Version": "1_0"}, "unsafe version"),
        ({"Multi_Arch": "maybe"}, "invalid Multi-Arch: 'maybe'"),
        ({"Multi_Arch": "same", "Architecture": "all"}, "Multi-Arch: same needs an architecture other than all"),
        ({"Multi_Arch": "Same", "Architecture": "all"}, "Multi-Arch: same needs an architecture other than all"),
        ({"multi_arch": "maybe"}, "invalid Multi-Arch: 'maybe'"),
        ({"Essential": "maybe"}, "invalid Essential: 'maybe'"),
        ({"Protected": "1"}, "invalid Protected: '1'"),
        ({"Status": "install ok installed"}, "only dpkg's own database has the field Status"),
        ({"Homepage": ""}, "its last field, Homepage, is empty"),
        ({"Depends": "libc6, , foo"}, "Depends: an empty relation"),
        ({"Depends": ", aa"}, "Depends: an empty relation"),
        ({"Pre_Depends": "aa,"}, "Pre-Depends: an empty relation"),
        ({"Recommends": "aa | | bb"}, "Recommends: an empty relation"),
        ({"Conflicts": "aa | bb"}, "Conflicts: alternatives are not possible in this field"),
        ({"Provides": "aa | bb"}, "Provides: alternatives are not possible in this field"),
        ({"Depends": "aa (= ${binary:Version})"}, "Depends: 'aa (= ${binary:Version})'"),
        ({"Depends": "${misc:Depends}"}, "'${misc:Depends}' is no relation"),
        ({"Depends": "aa (>= 1.0"}, "is no relation"),
        ({"Depends": "aa (>= )"}, "is no relation"),
        ({"Depends": "aa (>= 1) (<< 2)"}, "is no relation"),
        ({"Depends": "aa (<> 1)"}, "is no relation"),
        ({"Depends": "aa bb"}, "is no relation"),
        ({"Depends": "aa [amd64]"}, "is no relation"),
        ({"Depends": "aa: any"}, "is no relation"),
        ({"Suggests": "aa (= 1-)"}, "its revision is empty"),
        ({"Breaks": "aa (= :1)"}, "its epoch is not a number"),
        ({"Replaces": "aa (= 1_0)"}, "a character that versions cannot have"),
    ],
)
def test_fields_that_dpkg_refuses(tmp_path: Path, fields: dict[str, Any], why: str) -> None:
    """dpkg-deb is the judge: without --nocheck it packs none of them."""
    path = make_deb(tmp_path, **fields).path
    [tree] = tmp_path.glob("*.tree")
    packed = subprocess.run(["dpkg-deb", "-b", tree, tmp_path / "x.deb"], capture_output=True, text=True, check=False)
    assert packed.returncode != 0, packed.stderr
    assert why in refused(path)


@pytest.mark.parametrize(
    "fields",
    [
        {"Multi_Arch": "Same"}, {"Essential": "Yes"}, {"Depends": "", "Homepage": "https://example.org"},
        {"Depends": "aa(>=1.0), bb:any ( << 1:2:3-4 ) | AA (1.0)"}, {"Enhances": "aa | bb"},
        {"Provides": "aa (= 1)", "Conflicts": "bb,cc"}, {"Depends": "aa (> 1.0)"}, {"Source": "other (2:1.0-1)"},
    ],
)  # fmt: skip
def test_fields_that_dpkg_takes(tmp_path: Path, fields: dict[str, Any]) -> None:
    path = make_deb(tmp_path, **fields).path
    [tree] = tmp_path.glob("*.tree")
    subprocess.run(["dpkg-deb", "-b", tree, tmp_path / "x.deb"], capture_output=True, check=True)
    assert fields_of(path)["Package"] == "sample"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"Source": "foo (1.0"}, "invalid Source: 'foo (1.0'"),
        ({"Source": "foo 1.0"}, "invalid Source: 'foo 1.0'"),
        ({"Package": "Sample"}, "unsafe package name"),
        ({"Package_Type": "udeb"}, "a package of Debian's installer (udeb)"),
        ({"Package": "reef-archive-keyring"}, "the repository's own package of its keys"),
        ({"Architecture": "source"}, "for source packages"),
        ({"Filename": "pool/x.deb"}, "only the archive may set the field Filename"),
    ],
)
def test_what_publishing_refuses(tmp_path: Path, fields: dict[str, Any], why: str) -> None:
    assert why in refused(make_deb(tmp_path, **fields).path)


@pytest.mark.parametrize("name", ["Maintainer", "Description"])
def test_a_missing_field(tmp_path: Path, name: str) -> None:
    make_deb(tmp_path)
    [tree] = tmp_path.glob("*.tree")
    control = tree / "DEBIAN" / "control"
    control.write_text("".join(line for line in control.open() if not line.startswith(name)))
    path = tmp_path / "without.deb"
    subprocess.run(["dpkg-deb", "--nocheck", "-b", tree, path], check=True, capture_output=True)
    assert refused(path) == f"the field {name} is missing"


def test_files_that_are_no_package(tmp_path: Path) -> None:
    whole = make_deb(tmp_path).path.read_bytes()
    other = tmp_path / "other.deb"
    for content, why in [
        (b"", "does not begin as an ar archive"),
        (b"<html>404 Not Found</html>", "does not begin as an ar archive"),
        (whole[:-600], "truncated"),
        (whole.replace(b"data.tar", b"file.tar"), "expected control.tar* and data.tar*"),
    ]:
        other.write_bytes(content)
        assert why in refused(other)
    for path, why in [(tmp_path / "absent.deb", "No such file"), (tmp_path, "Is a directory")]:
        with pytest.raises(InputError, match="cannot read") as error:
            fields_of(path)
        assert why in error.value.detail


@pytest.mark.parametrize("suffix", ["bz2", "lzma"])
def test_old_compressions_of_the_data_that_every_dpkg_reads(tmp_path: Path, suffix: str) -> None:
    plain = make_deb(tmp_path, {"usr/share/sample/x": "x\n"}).path
    subprocess.run(["ar", "x", plain, "--output", tmp_path], check=True)
    data = (tmp_path / "data.tar").read_bytes()
    packed = bz2.compress(data) if suffix == "bz2" else lzma.compress(data, format=lzma.FORMAT_ALONE)
    (tmp_path / f"data.tar.{suffix}").write_bytes(packed)
    path = tmp_path / "old.deb"
    members = [tmp_path / name for name in ("debian-binary", "control.tar", f"data.tar.{suffix}")]
    subprocess.run(["ar", "rc", path, *members], check=True)
    unpacked = tmp_path / "unpacked"
    subprocess.run(["dpkg-deb", "-x", path, unpacked], check=True)
    assert (unpacked / "usr/share/sample/x").exists(), "dpkg is the judge"
    assert fields_of(path)["Package"] == "sample"
    assert files_in(path) == b"usr/share/sample/x\n"
    assert check_archive(read_contents(read_deb(path)), parse_target("bullseye/amd64")).passed
    shutil.copyfile(path, tmp_path / "cut.deb")
    content = path.read_bytes()
    (tmp_path / "cut.deb").write_bytes(content.replace(packed, packed[:-8] + bytes(8)))
    assert "its data archive" in refused(tmp_path / "cut.deb")


def test_published_packages_beside_those_of_recipes(publisher: Publisher) -> None:
    """list shows them with their maintainers; the keyring and debugging symbols belong to others."""
    publisher.publish(*map(publisher.deb, ("one", "one-dbgsym", "two", "reef-archive-keyring")))
    publisher.publish(publisher.deb("two"), suite="trixie-testing")
    found = published_beside(publisher.repository, {"one"})
    assert [(suite, entry.package, entry.maintainer) for suite, entry in found] == [
        ("trixie", "two", "Reef <reef@localhost>"), ("trixie-testing", "two", "Reef <reef@localhost>"),
    ]  # fmt: skip
