"""depends, file-policy, version, lintian, and all of them together."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from builders.checks import inspect
from builders.checks.static.contents import Entry, read_contents
from builders.checks.static.file_policy import check_files
from builders.checks.static.places import misplaced
from builders.checks.static.pointers import check_pointers
from builders.checks.static.relations import check_depends
from builders.checks.static.version import check_versions
from builders.errors import PackageError
from builders.model.arch import AMD64
from builders.model.packages import Verdict
from builders.model.recipe import VERDICTS
from builders.model.target import SUITES, Target
from tests.component.checks.conftest import Compiled
from tests.support.debs import AMD64_BOOKWORM, VERSION, as_version, make_deb, only, recipe_accepting, recipe_of
from tests.support.git import pointer

AMD64_TRIXIE = Target(SUITES["trixie"], AMD64)


def judge_files(folder: Path, files: Mapping[str, str], target: Target = AMD64_TRIXIE, **more: object) -> Verdict:
    return check_files(read_contents(make_deb(folder, files, **more)), target)  # type: ignore[arg-type]


def test_depends_of_a_linked_program(tmp_path: Path, compiled: Compiled) -> None:
    files = {"usr/bin/program": compiled.program}
    good = make_deb(tmp_path, files, Depends="libc6 (>= 2.34), libx1:any | libx2:amd64", Provides="sample-tf2.14 (= 1)")
    verdict = check_depends(read_contents(good), AMD64_BOOKWORM)
    assert verdict.passed
    assert verdict.detail.startswith("libc6 (>= 2.34)")
    bad = read_contents(make_deb(tmp_path, files, Package="empty"))
    verdict = check_depends(bad, AMD64_BOOKWORM)
    assert not verdict.passed
    assert "Depends is empty, but usr/bin/program needs libc.so.6" in verdict.detail


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("Depends", "libc6, , foo", "an empty relation"),
        ("Depends", ", aa", "an empty relation"),
        ("Recommends", "aa | | bb", "an empty relation"),
        ("Conflicts", "aa | bb", "alternatives, which dpkg refuses"),
        ("Depends", "libc6-armhf-cross (>= 2.34)", "a cross package"),
        ("Recommends", "libstdc++6-arm64-cross", "a cross package"),
        ("Depends", "x | libc6:arm64 (>= 2)", "names the architecture arm64"),
        ("Conflicts", "other:native", "names the architecture native"),
        ("Depends", "libc6, ${shlibs:Depends}", "a substitution variable without a value"),
        ("Suggests", "Not A Relation", "not a relation"),
    ],
)
def test_relations_that_no_board_can_meet(tmp_path: Path, field: str, value: str, fault: str) -> None:
    # dpkg-deb refuses some of these, so the field is set on what was read.
    contents = read_contents(make_deb(tmp_path))
    spoilt = type(contents)(contents.deb, {**contents.control, field: value}, (), (), ())
    verdict = check_depends(spoilt, AMD64_BOOKWORM)
    assert not verdict.passed
    assert fault in verdict.detail
    assert f"{field}: " in verdict.detail


def test_data_without_a_file_is_told(tmp_path: Path) -> None:
    patterns = ["/usr/share/fw", "usr/share/fw/*.bin", "usr/lib/firmware", "usr/share/f", "opt/**"]
    package = {"name": "sample", "summary": "a sample", "data": patterns}
    recipe = recipe_of(packages=[package, {"name": "other", "summary": "a sample"}])
    deb = make_deb(tmp_path, {"usr/share/fw/a.bin": "x", "lib/firmware/b": "x"})
    verdicts = inspect(recipe, AMD64_BOOKWORM, [deb], "lintian-exit=0\n")
    assert [line for verdict in verdicts for line in verdict.stale] == [
        f"data of sample matches no file: '{pattern}'" for pattern in ("usr/lib/firmware", "usr/share/f", "opt/**")
    ]


def test_pointers_in_place_of_files_are_named(tmp_path: Path) -> None:
    files = {
        "usr/share/sample/model.tflite": pointer(b"model"),
        "usr/share/sample/old": pointer(b"x").replace("git-lfs", "hawser"),
        "usr/share/sample/annexed": "/annex/objects/SHA256E-s5--0123.bin\n",
        "usr/share/sample/about": "a pointer begins with: " + pointer(b"model"),
        "usr/share/sample/large": pointer(b"model") + "x" * 1024,
    }
    verdict = check_pointers(read_contents(make_deb(tmp_path, files)))
    assert verdict.detail.splitlines()[:-1] == [
        "usr/share/sample/annexed: a pointer of git-annex",
        "usr/share/sample/model.tflite: a pointer of Git LFS to a file of 5 bytes",
        "usr/share/sample/old: a pointer of Git LFS to a file of 1 bytes",
    ]


def test_files_in_their_places_pass(tmp_path: Path) -> None:
    files = {
        "usr/bin/a": "", "usr/lib/udev/rules.d/60-a.rules": "", "usr/share/doc/sample/copyright": "",
        "etc/sample.conf": "", "var/lib/sample/state": "", "usr/include/absl/build/x.h": "",
        "usr/share/web/build/index.html": "", "boot/overlays/a.dtbo": "", "usr/games/a": "", "var/spool/sample/a": "",
        "var/games/sample.scores": "", "var/www/html/a": "", "usr/lib/modules/6.12/a.ko": "", "usr/share/a b/Ü.txt": "",
        "usr/lib32/a": "", "usr/share/doc/sample/build.log": "in /build/sample-1.0",
    }  # fmt: skip
    links = {
        "usr/lib/x86_64-linux-gnu/liba.so": "liba.so.1", "usr/share/sample/conf": "/etc/sample.conf",
        "usr/lib/systemd/system/a.service": "/dev/null", "usr/share/doc/b": "sample",
    }  # fmt: skip
    verdict = judge_files(tmp_path, files, links=links, control_files={"conffiles": "/etc/sample.conf\n"})
    assert verdict.passed, verdict.detail


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("opt/sample/a", "not a place"), ("usr/local/bin/a", "not a place"), ("srv/a", "not a place"),
        ("home/a", "not a place"),
        ("root/a", "not a place"), ("tmp/a", "not a place"), ("run/a", "not a place"),
        ("usr/lib64/a", "not a place"), ("var/log/a.log", "but no files"), ("build/sample/a", "not a place"),
        ("usr/share/x/build/sample-1.0/a", "the folder of the build"), ("lib64/a", "not a place"),
        ("lib/udev/rules.d/60-a.rules", "put it under /usr/lib"), ("bin/a", "put it under /usr/bin"),
        ("var/mail/a", "not a place"), ("var/run/a", "RuntimeDirectory="), ("var/tmp/a", "not a place"),
        ("media/a", "not a place"), ("mnt/a", "not a place"), ("var/opt/a/b", "not a place"), ("a", "not a place"),
        ("usr/local/a", "9.1.2"), ("usr/lib/aarch64-linux-gnu/a", "the folder of another CPU, arm64"),
        ("usr/include/arm-linux-gnueabihf/a.h", "the folder of another CPU, armhf"), ("var/a", "not a place"),
        ("etc/sample.conf", "not a conffile"), ("usr/arm-none-eabi/lib/a", "put it under /usr/lib/arm-none-eabi"),
        ("usr/aarch64-linux-gnu/lib/a.o", "cross toolchains"), ("var/crash/a", "but no files"),
        ("var/account/a", "but no files"), ("var/backups/a", "use /var/lib"),
    ],
)  # fmt: skip
def test_files_out_of_place(tmp_path: Path, path: str, fault: str) -> None:
    verdict = judge_files(tmp_path, {path: ""})
    assert not verdict.passed
    assert f"/{path}: " in verdict.detail
    assert fault in verdict.detail


def test_the_content_of_a_folder_in_a_wrong_place_is_the_fault(tmp_path: Path) -> None:
    verdict = judge_files(tmp_path, {"opt/vendor/bin/a": "", "opt/vendor/b": ""})
    assert [fault.partition(": ")[0] for fault in verdict.faults] == ["/opt/vendor/b", "/opt/vendor/bin/a"]


@pytest.mark.parametrize("path", ["usr/local/share/sample", "run/sample", "opt/vendor", "srv/sample", "home/sample"])
def test_folders_where_no_package_has_any(tmp_path: Path, path: str) -> None:
    entry = Entry(path, "folder", 0o755, "root:root", 0, 0)
    assert "is not a place" in misplaced(entry, read_contents(make_deb(tmp_path)), AMD64_TRIXIE)


@pytest.mark.parametrize(
    "path", ["usr", "var", "var/cache", "var/cache/sample", "var/log/sample", "var/crash", "boot", "usr/games"]
)
def test_folders_that_a_package_may_make(tmp_path: Path, path: str) -> None:
    entry = Entry(path, "folder", 0o755, "root:root", 0, 0)
    assert misplaced(entry, read_contents(make_deb(tmp_path)), AMD64_TRIXIE) == ""


@pytest.mark.parametrize("path", ["lib/udev/rules.d/60-a.rules", "bin/a", "lib/modules/6.1/a.ko"])
def test_the_root_has_places_before_trixie(tmp_path: Path, path: str) -> None:
    assert judge_files(tmp_path, {path: ""}, AMD64_BOOKWORM).passed


def test_a_version_without_a_revision_has_a_folder_of_the_build(tmp_path: Path) -> None:
    contents = read_contents(make_deb(tmp_path, Version="1:2.0", Source="tool (2.0)"))
    assert contents.build_path == "/build/tool-2.0"


def test_a_text_with_the_folder_of_the_build(tmp_path: Path) -> None:
    text = "prefix=/build/sample-1.0/debian/tmp/usr\n"
    verdict = judge_files(tmp_path, {"usr/lib/pkgconfig/a.pc": text, "usr/lib/a": text + "\0"})
    assert verdict.faults == ("/usr/lib/pkgconfig/a.pc: its text contains /build/sample-1.0, the folder of the build",)


@pytest.mark.parametrize(
    ("mode", "fault"), [(0o4755, "setuid"), (0o2755, "setuid or setgid"), (0o666, "by everyone"), (0o755, "")]
)
def test_modes(tmp_path: Path, mode: int, fault: str) -> None:
    verdict = judge_files(tmp_path, {"usr/bin/a": ""}, modes={"usr/bin/a": mode})
    assert verdict.passed is not bool(fault)
    assert fault in verdict.detail


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        (Entry("usr/games/a", "file", 0o2755, "root:games", 0, 60), ""),
        (Entry("var/games/a", "file", 0o664, "root:games", 0, 60), ""),
        (Entry("usr/bin/a", "file", 0o2755, "root:games", 0, 60), "setgid"),
        (Entry("usr/games/a", "file", 0o4755, "root:games", 0, 60), "setuid"),
        (Entry("var/lib/a", "folder", 0o2775, "root:staff", 0, 50), ""),
        (Entry("var/lib/a", "folder", 0o1777, "root:root", 0, 0), "by everyone"),
        (Entry("var/lib/a", "file", 0o644, "sample:sample", 101, 101), "owned by sample:sample"),
        (Entry("var/lib/a", "file", 0o644, "root:games", 0, 1000), "owned by root:games"),
        (Entry("etc/b", "hardlink", 0o644, "root:root", 0, 0, "etc/a"), "hard link"),
    ],
)
def test_owners_and_modes_of_debian_policy(tmp_path: Path, entry: Entry, fault: str) -> None:
    contents = replace(
        read_contents(make_deb(tmp_path)), entries=(entry,), conffiles=("/etc/b",) * entry.path.count("etc")
    )
    verdict = check_files(contents, AMD64_TRIXIE)
    assert verdict.passed is not bool(fault), verdict.detail
    assert fault in verdict.detail


def test_owners(tmp_path: Path) -> None:
    verdict = judge_files(tmp_path, {"usr/bin/a": ""}, root_owner=False)
    assert not verdict.passed
    assert "/usr/bin/a: owned by " in verdict.detail


@pytest.mark.parametrize(
    ("link", "target", "fault"),
    [
        ("usr/lib/a", "/usr/lib/b", "make it relative"),
        ("usr/share/a", "../../etc/b", "make it absolute"),
        ("usr/share/a", "../../../../b", "above the root"),
        ("usr/share/a", "/home/me/b", "a place that no package owns"),
        ("usr/share/a", "/build/sample/b", "a place that no package owns"),
    ],
)
def test_links(tmp_path: Path, link: str, target: str, fault: str) -> None:
    verdict = judge_files(tmp_path, {}, links={link: target})
    assert f"/{link} -> {target}: " in verdict.detail
    assert fault in verdict.detail


def test_a_conffile_that_is_not_there(tmp_path: Path) -> None:
    verdict = judge_files(tmp_path, {}, control_files={"conffiles": "/etc/gone\nremove-on-upgrade /etc/old\n"})
    assert "/etc/gone: a conffile that the package does not hold" in verdict.detail
    assert "/etc/old" not in verdict.detail


def test_debugging_symbols_lie_alone(tmp_path: Path) -> None:
    good = {"usr/lib/debug/.build-id/a.debug": "", "usr/share/doc/sample-dbgsym/copyright": ""}
    assert judge_files(tmp_path, good, Package="sample-dbgsym").passed
    verdict = judge_files(tmp_path, {"usr/bin/a": ""}, Package="other-dbgsym")
    assert "/usr/bin/a: a package of debugging symbols holds only" in verdict.detail


def test_multi_arch_same_keeps_libraries_apart(tmp_path: Path) -> None:
    good = {
        "usr/lib/x86_64-linux-gnu/liba.so.1": "", "usr/share/doc/sample/copyright": "",
        "usr/lib/gcc/x86_64-linux-gnu/14/libgcc.a": "",
        "usr/lib/python3/dist-packages/a.cpython-313-x86_64-linux-gnu.so": "",
    }  # fmt: skip
    assert judge_files(tmp_path, good, Multi_Arch="same").passed
    verdict = judge_files(tmp_path, {"usr/lib/liba.so.1": ""}, Package="b", Multi_Arch="same")
    assert "/usr/lib/liba.so.1: Multi-Arch: same, but outside /usr/lib/x86_64-linux-gnu" in verdict.detail


def test_multi_arch_same_holds_no_program(tmp_path: Path, compiled: Compiled) -> None:
    deb = make_deb(tmp_path, {"usr/bin/program": compiled.program}, Multi_Arch="same")
    assert "/usr/bin/program: Multi-Arch: same" in check_files(read_contents(deb), AMD64_TRIXIE).detail


def test_the_version_carries_the_suite(tmp_path: Path) -> None:
    recipe, deb = recipe_of("sample"), make_deb(tmp_path)
    assert recipe.debian_version(AMD64_BOOKWORM) == VERSION == deb.version
    (verdict,) = check_versions(recipe, AMD64_BOOKWORM, [deb])
    assert verdict.passed
    (verdict,) = check_versions(recipe, AMD64_TRIXIE, [deb])
    assert f"has version {VERSION}, expected: 1.0-1~deb13" in verdict.detail
    (verdict,) = check_versions(recipe, AMD64_BOOKWORM, [as_version(deb, "1.0-1")])
    assert not verdict.passed


def test_the_packages_are_those_of_the_recipe(tmp_path: Path) -> None:
    debs = [make_deb(tmp_path), make_deb(tmp_path, Package="sample-dbgsym"), make_deb(tmp_path, Package="stray")]
    verdicts = check_versions(recipe_of("sample", "absent"), AMD64_BOOKWORM, debs)
    assert only(verdicts, "version").passed
    assert only(verdicts, "version", "sample-dbgsym").passed
    assert "the recipe names no package stray" in only(verdicts, "version", "stray").detail
    assert "the build made none" in only(verdicts, "version", "absent").detail
    twice = check_versions(recipe_of("sample"), AMD64_BOOKWORM, debs[:1] * 2)
    assert "more than one .deb" in twice[0].detail


def test_inspect_judges_everything(tmp_path: Path, compiled: Compiled) -> None:
    deb = make_deb(tmp_path, {"usr/bin/program": compiled.program}, Depends="libc6 (>= 2.34)")
    verdicts = inspect(recipe_of("sample"), AMD64_BOOKWORM, [deb], "lintian-exit=0\n")
    expected = [
        "archive", "elf-cpu", "alignment", "symbol-floor", "depends", "file-policy", "systemd", "pointers", "version",
        "lintian",
    ]  # fmt: skip
    assert [v.check for v in verdicts] == expected
    assert all(v.passed for v in verdicts), verdicts
    assert {*expected} <= {*VERDICTS}


def test_inspect_passes_a_fault_that_the_recipe_accepts(tmp_path: Path) -> None:
    accepting = recipe_accepting({"check": "file-policy", "match": "/nowhere", "reason": "the vendor's place"})
    deb = make_deb(tmp_path, {"nowhere/x": ""})
    other = make_deb(tmp_path, Package="other")
    verdict = only(inspect(accepting, AMD64_BOOKWORM, [deb, other], "lintian-exit=0\n"), "file-policy", "sample")
    assert verdict.passed
    assert "the vendor's place" in verdict.detail


def test_other_bytes_than_recorded_are_refused(tmp_path: Path) -> None:
    deb = make_deb(tmp_path)
    deb.path.write_bytes(deb.path.read_bytes() + b"\n")
    with pytest.raises(PackageError, match="has changed since it was recorded"):
        inspect(recipe_of("sample"), AMD64_BOOKWORM, [deb], "lintian-exit=0\n")


def test_long_lists_are_counted(tmp_path: Path) -> None:
    verdict = judge_files(tmp_path, {f"opt/sample/{n:03}": "" for n in range(50)})
    assert "... and 3" in verdict.detail
    assert len(verdict.detail.splitlines()) == 22
