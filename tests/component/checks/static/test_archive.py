"""archive: what the dpkg of each suite unpacks. dpkg-deb makes the packages, right and wrong."""

import io
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from builders.checks import inspect, make_older_revision
from builders.checks.static.archive import DPKG, check_archive
from builders.checks.static.contents import read_contents
from builders.model.arch import AMD64
from builders.model.deb_file import read_deb
from builders.model.packages import DebFile, Verdict
from builders.model.target import SUITES, Target
from tests.support.debs import AMD64_BOOKWORM, make_deb, only, recipe_of

SINCE_BOOKWORM = {"buster": False, "bullseye": False, "bookworm": True, "trixie": True}


def repacked(deb: DebFile, *options: str) -> DebFile:
    """Return the package as dpkg-deb makes it again with ``options``."""
    tree = deb.path.with_suffix(".tree")  # as `make_deb` leaves it
    subprocess.run(["dpkg-deb", "--root-owner-group", *options, "-b", str(tree), str(deb.path)], check=True)
    return read_deb(deb.path)


def judge(deb: DebFile, suite: str) -> Verdict:
    return check_archive(read_contents(deb), Target(SUITES[suite], AMD64))


def test_every_suite_has_its_dpkg() -> None:
    assert set(DPKG) == set(SUITES)


@pytest.mark.parametrize(("suite", "takes_zstd"), list(SINCE_BOOKWORM.items()))
def test_compressions(tmp_path: Path, suite: str, takes_zstd: bool) -> None:
    """deb(5): "zstd (with .zst extension, supported since dpkg 1.21.18)", for both archives."""
    deb = make_deb(tmp_path)
    assert judge(deb, suite).detail == "control.tar, data.tar"
    for option, suffix in (("-Zxz", "xz"), ("-Zgzip", "gz")):
        verdict = judge(repacked(deb, option), suite)
        assert verdict.passed
        assert verdict.detail == f"control.tar.{suffix}, data.tar.{suffix}"
    verdict = judge(repacked(deb, "-Zzstd"), suite)
    assert verdict.passed is takes_zstd
    if not takes_zstd:
        assert f"control.tar.zst needs dpkg 1.21.18, {suite} has 1." in verdict.detail
        assert f"data.tar.zst needs dpkg 1.21.18, {suite} has 1." in verdict.detail
        assert "dpkg-deb -Zxz" in verdict.detail


def test_each_archive_counts(tmp_path: Path) -> None:
    """Without uniform compression dpkg-deb makes control.tar.gz."""
    verdict = judge(repacked(make_deb(tmp_path), "--no-uniform-compression", "-Zzstd"), "buster")
    assert "control" not in verdict.detail
    assert "data.tar.zst needs dpkg 1.21.18, buster has 1.19.7" in verdict.detail


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        (("debian-binary", "data.tar.gz", "control.tar.gz"), "no dpkg reads the member data.tar.gz as control.tar"),
        (("debian-binary", "control.tar.gz", "data.tar.lz"), "no dpkg reads the member data.tar.lz"),
        (("debian-binary", "control.tar.gz", "data.tar.gz", "notes"), "expected: debian-binary, control.tar.* and"),
    ],
)
def test_members(tmp_path: Path, names: tuple[str, ...], fault: str) -> None:
    """deb(5): the three members are in this order, and dpkg stops at another compression."""
    good = read_contents(make_deb(tmp_path))
    verdict = check_archive(replace(good, archive=names), AMD64_BOOKWORM)
    assert not verdict.passed
    assert fault in verdict.detail


def test_a_member_for_another_program(tmp_path: Path) -> None:
    """deb(5): "safely ignored by older programs, will have names starting with an underscore"."""
    deb = make_deb(tmp_path)
    (tmp_path / "_sign").touch()
    subprocess.run(["ar", "rS", str(deb.path), str(tmp_path / "_sign")], check=True)
    assert subprocess.run(["dpkg-deb", "--info", str(deb.path)], check=True, capture_output=True).stdout
    verdict = judge(read_deb(deb.path), "buster")
    assert verdict.passed
    assert verdict.detail == "control.tar, data.tar"


def test_flags_of_conffiles(tmp_path: Path) -> None:
    """deb-conffiles(5): "remove-on-upgrade (since dpkg 1.20.6)"."""
    deb = make_deb(tmp_path, {}, control_files={"conffiles": "remove-on-upgrade /etc/old\n"})
    verdict = judge(deb, "buster")
    assert "remove-on-upgrade of /etc/old needs dpkg 1.20.6, buster has 1.19.7" in verdict.detail
    assert judge(deb, "bullseye").passed


def test_pax_headers(tmp_path: Path) -> None:
    """deb(5): "Unrecognized tar typeflags are considered an error", and those of POSIX.1-2001 are not recognized."""
    deb = repacked(make_deb(tmp_path), "-Znone")
    with tarfile.open(tmp_path / "data.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        entry = tarfile.TarInfo("./usr/share/sample/" + "long" * 40)
        entry.uname = entry.gname = "root"
        archive.addfile(entry, io.BytesIO())
    subprocess.run(["ar", "r", str(deb.path), "data.tar"], cwd=tmp_path, check=True)
    assert subprocess.run(["dpkg-deb", "--fsys-tarfile", str(deb.path)], check=True, capture_output=True).stdout
    assert "a POSIX (pax) header, which no dpkg reads" in judge(read_deb(deb.path), "trixie").detail


@pytest.mark.parametrize(
    "field", ["-Hyphen: 1", "X: 1", "Version: 2", "Multi-Arch: same", "Conflicts: a | b", "Note:\n \n x"]
)
def test_what_dpkg_refuses_in_a_control_file_dpkg_deb_never_packs(tmp_path: Path, field: str) -> None:
    """lib/dpkg/parse.c and fields.c: the same parser, so that the check needs no rule for fields."""
    (tmp_path / "tree" / "DEBIAN").mkdir(parents=True)
    (tmp_path / "tree" / "DEBIAN" / "control").write_text(
        f"Package: sample\nVersion: 1\nArchitecture: all\nMaintainer: R <r@l>\n{field}\nDescription: x\n"
    )
    argv = ["dpkg-deb", "--build", str(tmp_path / "tree"), str(tmp_path / "made.deb")]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert done.returncode == 2, done


def test_a_build_is_judged_by_it(tmp_path: Path) -> None:
    deb = repacked(make_deb(tmp_path, Version="1.0-1~deb10"), "-Zzstd")
    verdicts = inspect(recipe_of("sample"), Target(SUITES["buster"], AMD64), [deb], "lintian-exit=0\n")
    assert not only(verdicts, "archive").passed


def test_made_up_revisions_fit_every_suite(tmp_path: Path) -> None:
    """The older revision of an upgrade's test is made on this machine, whose dpkg-deb may prefer zstd."""
    older = read_deb(make_older_revision(repacked(make_deb(tmp_path), "-Zzstd"), tmp_path / "older"))
    assert all(judge(older, suite).passed for suite in SUITES)
