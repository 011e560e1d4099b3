"""The installation job: rounds, rendered scripts, and what is read back from it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from builders.checks import install_job, make_older_revision, read_install
from builders.checks.install.job import KEYRING
from builders.errors import CheckError
from builders.model.arch import AMD64
from builders.model.deb_file import read_deb
from builders.model.jobs import BuildJob, Input
from builders.model.packages import DebFile
from builders.model.recipe import BuildSpec, RepackSpec
from tests.support.debs import AMD64_BOOKWORM, VERSION, make_deb, only, recipe_of
from tests.unit.checks.install.test_job import SAMPLE_CONTROLS, outcome, sample


def sample_debs(folder: Path) -> list[DebFile]:
    return [make_deb(folder, Package=c["Package"], Depends=c.get("Depends", "libc6"), Conflicts=c.get("Conflicts", "x"))
            for c in SAMPLE_CONTROLS.values()]  # fmt: skip


@pytest.fixture
def job(tmp_path: Path) -> BuildJob:
    debs = sample_debs(tmp_path)
    older = tmp_path / "older"
    older.mkdir()
    for name in ("library", "tools"):
        make_deb(older, Package=name, Version="0.9-1~deb12", Depends="library" if name == "tools" else "libc6")
    return install_job(sample(), AMD64_BOOKWORM, debs, tmp_path / "apt", upgrade_from=older)


def test_the_job_is_declarative(job: BuildJob, tmp_path: Path) -> None:
    assert job.root.build == job.root.host == AMD64
    assert job.root.packages == ()
    assert Input(tmp_path / "apt", "/srv/reef") in job.inputs
    assert Input(tmp_path / "older", "/reef/older") in job.inputs
    assert Input(Path(), "/reef/recipe") in job.inputs


def test_the_rendered_scripts_are_clean_shell(job: BuildJob, tmp_path: Path) -> None:
    for name, text in (("fetch", job.fetch), ("script", job.script)):
        assert text
        path = tmp_path / name
        path.write_text(text)
        for checker in (["sh", "-n"], ["shellcheck", "--shell=sh"]):
            if not shutil.which(checker[0]):
                pytest.fail(f"{checker[0]} is not installed: ./inv test installs it")
            done = subprocess.run([*checker, str(path)], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr


def test_a_portable_package_may_hold_data(tmp_path: Path) -> None:
    """Its paths and BPF objects are data in the installed package too, whose programs an empty root must start."""
    packages = [
        {"name": "sample", "summary": "a", "data": ["usr/share/My $x@1/*'s.elf"]},
        {"name": "other", "summary": "a"},
    ]
    repack = RepackSpec(native="trixie", native_version="1", runtime="runtime13.1", runtime_version="13.1", packages={})
    recipe = recipe_of(packages=packages).model_copy(update={"build": BuildSpec.of_repack(repack, {"runtime": []})})
    script = install_job(recipe, AMD64_BOOKWORM, [make_deb(tmp_path)], tmp_path / "apt").script
    start = script.index("is_data() {")
    function = script[start : script.index("\n}\n", start) + 3]
    bpf = tmp_path / "prog.o"
    bpf.write_bytes(b"\x7fELF".ljust(18, b"\0") + b"\xf7\0")
    plain = tmp_path / "plain"
    plain.write_bytes(b"\x7fELF".ljust(18, b"\0") + b"\x3e\0")
    for checker in (["sh", "-n"], ["shellcheck", "--shell=sh", "--exclude=SC2317", "-"]):
        subprocess.run(checker, input=script, check=True, text=True)

    def is_data(package: str, path: str) -> bool:
        command = [
            "sh",
            "-eu",
            "-c",
            f'{function}if is_data "$1" "$2"; then exit 0; else exit 7; fi',
            "sh",
            package,
            path,
        ]
        done = subprocess.run(command, check=False, stderr=subprocess.DEVNULL)
        assert done.returncode in (0, 7)
        return done.returncode == 0

    assert is_data("sample", "usr/share/My $x@1/one's.elf")
    assert is_data("other", "usr/lib/firmware/core.elf")
    assert is_data("other", str(bpf)[1:])
    assert not is_data("other", "usr/share/My $x@1/one's.elf")
    assert not is_data("sample", str(plain)[1:])


def test_only_fetch_needs_a_network(job: BuildJob) -> None:
    assert job.fetch
    assert "apt-get update" not in job.script
    assert "-d install" not in job.script
    assert f"Signed-By: /usr/share/keyrings/{KEYRING}" in job.fetch
    assert "Suites: bookworm\n" in job.fetch


def test_what_has_no_older_revision_is_not_upgraded(job: BuildJob) -> None:
    assert "verdict upgrade headers skipped" in job.script
    assert "verdict upgrade variant skipped" in job.script
    assert "'/reef/older/library_0.9-1~deb12_amd64.deb' '/reef/older/tools_0.9-1~deb12_amd64.deb'" in job.script
    assert "'/reef/recipe/checks/an answer.sh'" in job.script


def test_older_dependencies_are_fetched_only_where_they_differ(job: BuildJob, tmp_path: Path) -> None:
    assert job.fetch
    assert "plan-older-1.log" in job.fetch
    debs = [read_deb(path) for path in sorted(tmp_path.glob("*.deb"))]
    for deb in debs:
        make_older_revision(deb, tmp_path / "same")
    same = install_job(sample(), AMD64_BOOKWORM, debs, tmp_path, upgrade_from=tmp_path / "same")
    assert same.fetch
    assert "plan-older" not in same.fetch
    assert "apply upgrade older-1.log" in same.script


def test_an_older_revision_must_be_older(tmp_path: Path) -> None:
    debs = [make_deb(tmp_path)]
    older = tmp_path / "older"
    older.mkdir()
    make_deb(older, Version="1.0-2~deb12")
    with pytest.raises(CheckError, match="is not older than the new build"):
        install_job(recipe_of("sample"), AMD64_BOOKWORM, debs, tmp_path, upgrade_from=older)


def test_what_is_new_comes_with_the_upgrade_and_is_purged_with_the_old(job: BuildJob) -> None:
    assert 'apply upgrade upgrade-1.log "$upgraded" library tools headers\n' in job.script
    assert 'purge upgraded-1 $(without "$stay" library tools headers)\n' in job.script


def test_older_packages_that_conflicted_then_are_not_installed_together(tmp_path: Path) -> None:
    debs = [make_deb(tmp_path, Package=name) for name in ("one", "three", "two")]
    older = tmp_path / "older"
    older.mkdir()
    make_deb(older, Package="one", Version="0.9", Depends="three")
    make_deb(older, Package="two", Version="0.9", Conflicts="one")
    make_deb(older, Package="three", Version="0.9")
    job = install_job(recipe_of("one", "two", "three"), AMD64_BOOKWORM, debs, tmp_path, upgrade_from=older)
    assert "for older in /reef/older/one_0.9_amd64.deb /reef/older/three_0.9_amd64.deb; do" in job.script
    assert "verdict upgrade two skipped" in job.script
    assert 'upgraded=$(without "$stay" one three)\n' in job.script
    assert 'apply upgrade upgrade-1.log "$upgraded" one three two\n' in job.script


def test_an_older_package_of_another_round_is_purged_too(tmp_path: Path) -> None:
    """The old revision's packages needed each other, those of the new one take turns."""
    debs = [make_deb(tmp_path, Package="one", Conflicts="two"), make_deb(tmp_path, Package="two")]
    older = tmp_path / "older"
    older.mkdir()
    make_deb(older, Package="one", Version="0.9", Depends="two")
    make_deb(older, Package="two", Version="0.9")
    job = install_job(recipe_of("one", "two"), AMD64_BOOKWORM, debs, tmp_path, upgrade_from=older)
    assert "expect_installed upgrade upgrade-1.log one=1.0-1~deb12 ;;" in job.script
    assert 'purge upgraded-1 $(without "$stay" one two)\n' in job.script


def test_an_upgrade_says_what_it_was_tried_from(tmp_path: Path) -> None:
    older = tmp_path / "older"
    older.mkdir()
    make_deb(older, Package="library", Version="0.9-1~deb12")
    make_older_revision(make_deb(tmp_path, Package="tools"), older)
    fault = ("upgrade\tlibrary\tok\tupgrade-1.log\t" + VERSION, "upgrade\tlibrary\tfailed\t\tapt failed")
    verdicts = read_install(sample(), AMD64_BOOKWORM, outcome(tmp_path, fault), older)
    assert only(verdicts, "upgrade", "library").detail.startswith("apt failed, from 0.9-1~deb12\n")
    left = ("upgraded-1\tok\tpurge-upgraded-1.log\t", "upgraded-1\tfailed\t\tnot as before")
    (tmp_path / "left").mkdir()
    purged = only(read_install(sample(), AMD64_BOOKWORM, outcome(tmp_path / "left", left), older), "purge")
    assert purged.detail.startswith("not as before, upgraded from 0.9-1~deb12, 1.0-1~deb12~~older (made up")
    output = f"{VERSION}, from {VERSION}~~older (made up: none that fits is published)"
    assert only(verdicts, "upgrade", "tools").detail == output


def test_what_the_system_needs_is_not_purged(job: BuildJob, tmp_path: Path) -> None:
    """apt refuses to remove essential packages, and those that dpkg itself needs. A check may have removed one."""
    tool = tmp_path / "dpkg-query"
    cases = 'essential) echo "yes " ;; protected) echo " yes" ;; gone) exit 1 ;; *) echo " " ;;'
    tool.write_text(f"#!/bin/sh\ncase $4 in {cases} esac\n")
    tool.chmod(0o755)
    system = "system=' libzstd1 dpkg '"
    script = f"{system}{functions(job, 'kept')}kept libzstd1 gone zstd essential protected yes-man kg\n"
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(["sh", "-eu", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["libzstd1", "essential", "protected"]


def test_what_packages_that_stay_depend_on_is_not_purged(job: BuildJob, tmp_path: Path) -> None:
    """The others are: apt's simulation says what a removal takes along."""
    tool = tmp_path / "apt-get"
    cases = "base-library) echo 'Purg base-library [1]'; echo 'Remv base:amd64 [1]' ;; apt-needs-it) exit 100 ;;"
    tool.write_text(f'#!/bin/sh\ncase $3 in {cases} *) echo "Purg $3 [1]" ;; esac\n')
    tool.chmod(0o755)
    script = functions(job, "without", "loose") + "loose base base-library apt-needs-it base-dev\n"
    for needed, expected in (("base ", ["base-dev"]), ("", ["base", "base-library", "apt-needs-it", "base-dev"])):
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "state": str(tmp_path), "needed": needed}
        done = subprocess.run(["sh", "-eu", "-c", script], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.split() == expected


def functions(job: BuildJob, *names: str) -> str:
    """Return functions of the script."""
    assert job.script
    starts = [job.script.index(f"\n{name}() {{") for name in names]
    return "".join(job.script[start : job.script.index("\n}\n", start) + 3] for start in starts)
