"""A whole build of the miniature recipe, by the command line, in a real cross root."""

import io
import json
import re
import shutil

import pytest
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

from builders.host.log import Log
from builders.model.deb_file import control_of, members
from builders.pipeline.project import Project
from tests.support.place import Place, emulated_cpu, give_build

BUILT = "builds/reef-hello/trixie-arm64"


@pytest.fixture(scope="module")
def built(module_place: Place) -> Place:
    give_build(module_place)
    return module_place


def test_proper_packages_come_out(built: Place) -> None:
    folder = built.artifacts / BUILT
    fields = {path.name.split("_")[0]: control_of(path) for path in folder.glob("*.deb")}
    assert set(fields) == {
        "libreef-greet1", "libreef-greet1-dbgsym", "libreef-greet-dev", "reef-hello", "reef-hello-dbgsym",
    }  # fmt: skip
    assert {(f["Version"], f["Architecture"]) for f in fields.values()} == {("1.2-2~deb13", "arm64")}
    assert fields["reef-hello"]["Maintainer"] == "Reef <reef@example.org>"
    depends = fields["reef-hello"]["Depends"]
    assert "libreef-greet1 (>= 1.1)" in depends  # as the symbols file says; without one it would be 1.2
    assert "libc6 (>= 2." in depends
    assert fields["libreef-greet1"]["Multi-Arch"] == "same"
    assert len(list(folder.glob("*.buildinfo"))) == 1
    assert len(list(folder.glob("*.changes"))) == 1


def test_debian_made_what_the_recipe_asked_for(built: Place) -> None:
    [deb] = (built.artifacts / BUILT).glob("reef-hello_*.deb")
    files = {entry.name.removeprefix("./"): content for entry, content in members(deb) if entry.isfile()}
    for expected in (
        "usr/bin/reef-hello", "etc/reef-hello.conf", "usr/lib/systemd/system/reef-hello.service",
        "usr/lib/udev/rules.d/60-reef-hello.rules", "usr/share/man/man1/reef-hello.1.gz",
        "usr/share/doc/reef-hello/copyright", "usr/share/doc/reef-hello/changelog.Debian.gz",
    ):  # fmt: skip
        assert expected in files, sorted(files)
    assert b"GREETED" not in (files["usr/bin/reef-hello"] or b"")
    assert b"world" in (files["usr/bin/reef-hello"] or b"")


def test_programs_are_hardened(built: Place) -> None:
    [deb] = (built.artifacts / BUILT).glob("reef-hello_*.deb")
    program = next(content for entry, content in members(deb) if entry.name.endswith("usr/bin/reef-hello"))
    elf = ELFFile(io.BytesIO(program or b""))
    assert elf["e_type"] == "ET_DYN"
    segments = {segment["p_type"]: segment for segment in elf.iter_segments()}
    assert segments["PT_GNU_STACK"]["p_flags"] & 1 == 0
    assert "PT_GNU_RELRO" in segments
    dynamic = elf.get_section_by_name(".dynamic")
    assert isinstance(dynamic, DynamicSection)
    tags = {tag.entry.d_tag for tag in dynamic.iter_tags()}
    assert {"DT_FLAGS", "DT_FLAGS_1"} <= tags
    assert b"__stack_chk_fail" in (program or b"")


def test_the_record_holds_time_memory_and_digests(built: Place) -> None:
    record = json.loads((built.artifacts / BUILT / "record.json").read_text())
    steps = {step["name"]: step for step in record["steps"]}
    assert {"sources", "run"} <= set(steps) <= {"sources", "root", "run"}
    assert steps["run"]["seconds"] > 1
    assert min(step["peak_memory_bytes"] for step in steps.values()) > 10e6
    diary = (built.artifacts / "logs/steps.log").read_text()
    assert re.search(r"done: run reef-hello/trixie/arm64/build, \d+\.\d s, peak memory \d+\.\d MB\n", diary)
    assert len(record["debs"]) == 5
    bom = json.loads((built.artifacts / BUILT / "reef-hello.cdx.json").read_text())
    names = {component["name"] for component in bom["components"]}
    assert {"reef-hello", "libreef-greet1", "gcc-14-aarch64-linux-gnu"} <= names


def facts(place: Place) -> dict[str, int]:
    """Return when each file of the builds, their logs, scratch and kept roots was last written."""
    folders = [place.artifacts / name for name in ("builds", "logs", "scratch", "failed")]
    return {
        str(path): path.lstat().st_mtime_ns
        for folder in folders
        for path in (folder, *folder.rglob("*"))
        if path.exists()
    }


def test_nothing_changed_builds_nothing(built: Place) -> None:
    before = facts(built)
    output = built.run("build-arm")
    assert "up to date" in output
    assert "▸" not in output
    assert facts(built) == before, "no job ran, no file was written"
    assert "up to date" in built.run("build-arm", "--plan")
    assert "up to date: nothing differs" in built.run("explain", "reef-hello")
    listed = built.run("list")
    assert "1.2-2~deb13" in listed
    assert "stale" not in listed


def test_packaging_alone_changes_without_compiling(place: Place) -> None:
    give_build(place)
    place.edit("greeting for boards - program", "greeting for boards - the program")
    assert "packaging changed (control)" in place.run("build-arm", "--plan")
    assert "debian.control" in place.run("explain", "reef-hello")
    assert "stale" in place.run("list")
    output = place.run("build-arm")
    record = json.loads((place.artifacts / BUILT / "record.json").read_text())
    hits, compiled = record["ccache"]
    assert hits == compiled > 0, output


def test_the_compilers_that_cmake_finds_share_work_too(place: Place) -> None:
    """Debian 13's ccache has no links under the names cc and c++."""
    place.edit('cc="${DEB_HOST_GNU_TYPE}-gcc"', "cc=cc")
    place.run("build-arm", "--target", "trixie/amd64")
    place.run("build-arm", "--target", "trixie/amd64", "--force")
    hits, compiled = json.loads((place.artifacts / "builds/reef-hello/trixie-amd64/record.json").read_text())["ccache"]
    assert hits == compiled > 0


def test_a_changed_source_is_compiled_again(place: Place) -> None:
    give_build(place)
    place.edit("hello, %s", "good morning, %s", "source/greet.c")
    assert "source digest changed" in place.run("build-arm", "--plan")
    place.run("build-arm")
    [deb] = (place.artifacts / BUILT).glob("libreef-greet1_*.deb")
    library = next(content for entry, content in members(deb) if entry.name.endswith("libreef-greet.so.1"))
    assert b"good morning" in (library or b"")


def test_a_file_changed_in_artifacts_is_built_again(place: Place) -> None:
    give_build(place)
    [deb] = (place.artifacts / BUILT).glob("reef-hello_*.deb")
    deb.write_bytes(b"rubbish")
    assert "never built" in place.run("build-arm", "--plan")
    place.within = ["unshare", "--net"]  # all that it takes is cached
    place.run("build-arm", "--offline")
    assert control_of(deb)["Package"] == "reef-hello"


def test_second_builds_in_fresh_roots_are_compared_file_by_file(place: Place) -> None:
    """Both recipes are built in one root of that run."""
    shutil.copytree(place.recipe, place.recipe.with_name("reef-other"))
    place.edit("name: reef-hello\nversion", "name: reef-other\nversion", "../reef-other/recipe.yml")
    place.edit(
        "  compile: |\n",
        '  compile: |\n    date +%s%N >> files-date; sed -i "s/hello, /hello $(date +%N), /" greet.c\n',
        "../reef-other/recipe.yml",
    )
    both = ("--recipe", "reef-hello", "--recipe", "reef-other", "--target", "trixie/amd64")
    output = place.run("build-arm", *both, "--verify", status=7)
    assert "reef-hello for trixie/amd64, 5 .debs and the source package byte-identical" in output
    assert "two builds of reef-other for trixie/amd64 differ" in output
    assert "./usr/lib/x86_64-linux-gnu/libreef-greet.so.1" in output
    before, after = output.split("verified: ")
    assert "▸ make root" in before.split("▸ run reef-other", 1)[1], "after the first builds"
    assert "▸ make root" not in after


def test_emulated_programs_see_the_cpu_of_the_oldest_boards(place: Place) -> None:
    project = Project.open(place.folder, Log(quiet=True))
    assert emulated_cpu(project, "chroot") == set()


def test_programs_that_16_kib_pages_refuse_are_refused(place: Place) -> None:
    place.edit('-gcc"\n', '-gcc"\n    LDFLAGS="$LDFLAGS -Wl,-z,max-page-size=4096"\n')
    output = place.run("build-arm", "--target", "trixie/arm64", status=9)
    assert "alignment reef-hello:" in output
    assert "usr/bin/reef-hello: LOAD segment 0 is aligned to 4096 bytes, expected: a multiple of 16384" in output


def test_armhf_is_one_option_away(place: Place) -> None:
    """Built, and installed and run on an emulated armhf board: publishing goes by what the build was asked for.

    Its programs use NEON, which the emulated CPU has: so says neon-support when it is installed there.
    """
    place.edit('-gcc"\n', '-gcc"\n    CFLAGS="$CFLAGS -mfpu=neon"\n')
    output = place.run("build-arm", "--target", "trixie/armhf", "publish-apt")
    folder = place.artifacts / "builds/reef-hello/trixie-armhf"
    [deb] = folder.glob("reef-hello_*.deb")
    assert control_of(deb)["Architecture"] == "armhf"
    assert "neon-support" in control_of(deb)["Depends"].split(", ")
    [development] = folder.glob("libreef-greet-dev_*.deb")
    assert "neon-support" not in control_of(development)["Depends"]
    assert "reef-hello for trixie/armhf: " in output
    [report] = folder.glob("install-report-*.json")
    verdicts = {one["check"]: one["passed"] for one in json.loads(report.read_text())["verdicts"]}
    assert verdicts == {"install": True, "upgrade": True, "run:greeting": True, "purge": True}
    assert (place.artifacts / "apt/dists/trixie/main/binary-armhf/Packages").read_text().count("Package: reef-hello\n")
