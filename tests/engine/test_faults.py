"""What goes wrong in a real build: told in three parts, with its exit code, and nothing is left behind."""

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from builders.engines.chroot import failed
from builders.engines.chroot.entry import CANNOT_ENTER
from builders.engines.roots import manifest
from builders.errors import BuildError, RootError
from builders.host.files import remove_tree
from builders.host.log import Log
from builders.model.arch import AMD64, ARM64
from builders.model.jobs import BuildJob, Input, JobLimits, Root
from builders.pipeline.project import Project
from tests.support.checkout import CHECKOUT
from tests.support.place import INVOKE, Place, give_build, gone, kill

BUILT = "builds/reef-hello/trixie-arm64"
BUILT_NATIVELY = "builds/reef-hello/trixie-amd64"
NATIVE = ("--target", "trixie/amd64")
"""For tests that make roots: those of this machine's CPU take half as long."""
SLEEPY = "  compile: |\n    echo compiling; sleep 600\n"


def test_a_failing_script_shows_lines_log_and_the_way_in(place: Place) -> None:
    place.edit("  compile: |\n", "  compile: |\n    echo the last words; exit 9\n")
    output = place.run("build-arm", status=7)
    assert "run of reef-hello/trixie/arm64/build failed" in output
    assert "the last words" in output
    log = place.artifacts / "logs/reef-hello/trixie/arm64/build-run.log"
    assert f"full log: {log}" in output
    assert "the last words" in log.read_text()
    assert "./inv shell --job reef-hello/trixie/arm64/build" in output
    assert not (place.artifacts / BUILT).exists()


def test_the_kept_root_can_be_entered_and_goes_with_the_next_success(place: Place) -> None:
    place.edit("  compile: |\n", "  compile: |\n    echo mark > marker; exit 9\n")
    place.run("build-arm", status=7)
    entered = subprocess.run(
        [str(INVOKE), "--search-root", str(CHECKOUT), "shell", "--job", "reef-hello/trixie/arm64/build"],
        env=place.environment(), input="cat /build/reef-hello-1.2/marker; echo arch=$(dpkg --print-architecture)\n",
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "mark" in entered.stdout
    assert "arch=amd64" in entered.stdout
    assert gone(place) == []
    roots = place.artifacts / "cache"
    roots.rename(place.artifacts / "elsewhere")
    assert "was removed" in place.run("shell", "--job", "reef-hello/trixie/arm64/build", status=6)
    remove_tree(roots)  # the run made an empty one
    (place.artifacts / "elsewhere").rename(roots)
    place.edit("    echo mark > marker; exit 9\n", "")
    place.run("build-arm")
    assert "no root is kept" in place.run("shell", "--job", "reef-hello/trixie/arm64/build", status=3)


def run_alone(place: Place, job: BuildJob) -> Project:
    """Run a job of the chroot engine's on the place's project, which is returned."""
    project = Project.open(place.folder, Log(quiet=True))
    project.engines.get("chroot").run(job, project.workspace.path / "out", project.log)
    return project


def test_a_time_limit_ends_the_script(place: Place) -> None:
    job = BuildJob("try/limit", Root("trixie", AMD64, AMD64, ()), "echo began; sleep 600", limits=JobLimits(4.0))
    with pytest.raises(BuildError, match="run of try/limit failed after its time limit of 4 s") as caught:
        run_alone(place, job)
    assert "began" in caught.value.detail
    assert gone(place) == []


def test_a_root_that_cannot_be_entered_is_reported_without_the_way_into_it(place: Place) -> None:
    absent = Input(place.folder / "absent", "/build/src")
    job = BuildJob("try/enter", Root("trixie", AMD64, AMD64, ()), "true", inputs=(absent,))
    with pytest.raises(RootError, match="the root of try/enter cannot be entered") as caught:
        run_alone(place, job)
    assert "/mnt/build/src cannot be mounted" in caught.value.detail
    assert f"/upper on {absent.path}\n" in caught.value.detail
    assert "full log: " in caught.value.detail
    assert "Traceback" not in caught.value.detail
    assert "./inv doctor shows what this machine lacks" in caught.value.fix
    assert failed.names(Project.open(place.folder, Log(quiet=True)).workspace) == []
    with pytest.raises(BuildError, match="run of try/enter failed with status 119"):  # the script's own
        run_alone(place, BuildJob(job.name, job.root, f"exit {CANNOT_ENTER}"))


def test_a_kept_root_that_can_no_longer_be_entered_is_reported(place: Place) -> None:
    with pytest.raises(BuildError):
        run_alone(place, BuildJob("try/shell", Root("trixie", AMD64, AMD64, ()), "exit 9"))
    upper = place.artifacts / "failed" / "try-shell" / "root" / "upper"
    shutil.rmtree(upper)
    upper.touch()
    output = place.run("shell", status=6)
    assert f"reef: the root cannot be entered: [Errno 17] File exists: '{upper}'" in output
    assert "error: the root of 'try-shell' cannot be entered" in output


def test_a_disk_that_cannot_hold_what_jobs_change_is_reported_before_anything_is_made(lonely_place: Place) -> None:
    """The project lies on an overlay itself, as in a container: no kernel lays another one's changes there."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user", "--map-auto"]
    script = """
        cd "$1"; mkdir ../upper ../work; shift
        mount -t overlay -o lowerdir=.,upperdir=../upper,workdir=../work overlay .; exec "$@"
    """
    done = subprocess.run(
        ["unshare", *user, "--mount", "sh", "-euc", script, "sh", str(lonely_place.artifacts),
         str(INVOKE), "--search-root", str(CHECKOUT), "build-arm"],
        env=lonely_place.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 5, done.stdout + done.stderr
    disk = f"the disk of {lonely_place.artifacts}/scratch (overlayfs)"
    assert f"{disk} cannot hold the changes of build jobs" in done.stderr
    assert "artifacts: /path/on/that/disk in reef.yml" in done.stderr
    assert "▸" not in done.stdout


INTERFACES = "sed -n 's/^ *\\([^:]*\\):.*/\\1/p' /proc/net/dev"


def test_a_script_has_no_network_and_a_clean_environment(place: Place) -> None:
    lines = [
        f'test "$({INTERFACES})" = lo || {{ cat /proc/net/dev; exit 8; }}',
        'test -z "${REEF_SECRET:-}"; test "$LC_ALL" = C.UTF-8; test "$(hostname)" = reef; echo all seen; exit 7',
    ]
    place.edit("  compile: |\n", "  compile: |\n" + "".join(f"    {line}\n" for line in lines))
    assert "all seen" in place.run("build-arm", status=7, REEF_SECRET="hush")


def test_only_fetch_has_a_network(place: Place) -> None:
    place.fetches(f"{INTERFACES} > interfaces")
    line = "    grep -qvx lo interfaces || { echo fetch had none; exit 8; }; echo all seen; exit 7\n"
    place.edit("  compile: |\n", f"  compile: |\n{line}")
    assert "all seen" in place.run("build-arm", status=7)


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.nightly)]
)
def test_ended_in_a_build_script(place: Place, number: int) -> None:
    place.edit("  compile: |\n", SLEEPY)
    child = place.start("build-arm")
    place.when(child, lambda: "\ncompiling" in place.log_text())
    status = kill(child, number)
    if number != signal.SIGKILL:
        assert status == 130
        assert "interrupted: nothing unfinished is kept" in (place.folder / "output").read_text()
    assert gone(place) == []
    assert not (place.artifacts / BUILT).exists()
    if number == signal.SIGKILL:
        place.edit(SLEEPY, "  compile: |\n")
        place.run("build-arm")
    assert list((place.artifacts / "scratch").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.nightly)])
def test_ended_while_it_fetches(place: Place, number: int) -> None:
    place.fetches("echo fetching; sleep 600")
    child = place.start("build-arm")
    place.when(child, lambda: "\nfetching" in place.log_text())
    assert kill(child, number) == (130 if number == signal.SIGINT else -signal.SIGKILL)
    assert gone(place) == []
    assert not (place.artifacts / BUILT).exists()
    place.edit("; sleep 600", "; exit 9")
    assert "fetching" in place.run("build-arm", status=7)
    assert list((place.artifacts / "scratch").iterdir()) == []


def test_ended_while_a_root_is_made_and_a_half_made_one_is_never_used(lonely_place: Place) -> None:
    made = lonely_place.artifacts / "cache" / "roots"
    for number in (signal.SIGINT, signal.SIGKILL):
        child = lonely_place.start("build-arm", *NATIVE)
        lonely_place.when(child, lambda: bool(list((made.parent / "scratch").glob("root.*/rootfs/usr/bin"))))
        kill(child, number)
        assert gone(lonely_place) == []
        assert [path for path in made.glob("*") if path.is_dir()] == []
    # What a run leaves that is killed while it puts a root in place; and a manifest as a power failure leaves it.
    [lock] = made.glob("*.lock")
    half = lock.with_suffix("") / "rootfs" / "half"
    half.mkdir(parents=True)
    (half.parents[1] / "manifest.yml").write_bytes(bytes(4096))
    assert "▸ make root" in lonely_place.run("build-arm", *NATIVE)
    assert len(list(made.glob("*/manifest.yml"))) == 1
    assert not half.exists()
    assert "▸ make root" not in lonely_place.run("build-arm", *NATIVE, "--force")
    assert [*(made.parent / "scratch").iterdir(), *(lonely_place.artifacts / "scratch").iterdir()] == []


def test_two_runs_at_once_build_once(place: Place) -> None:
    place.edit("  compile: |\n", "  compile: |\n    sleep 3\n")
    first = place.start("build-arm")
    place.when(first, lambda: "▸ run reef-hello" in (place.folder / "output").read_text())
    (place.folder / "output").rename(place.folder / "first")
    output = place.run("build-arm")
    assert first.wait(timeout=600) == 0
    assert "run reef-hello" in (place.folder / "first").read_text()
    assert "▸ run" not in output
    assert "up to date" in output


def test_two_recipes_are_built_by_two_runs_at_once(place: Place) -> None:
    shutil.copytree(place.recipe, place.recipe.with_name("reef-other"))
    place.edit("name: reef-hello\nversion", "name: reef-other\nversion", "../reef-other/recipe.yml")
    for name in ("reef-hello", "reef-other"):
        place.edit("  compile: |\n", "  compile: |\n    echo compiling; sleep 5\n", f"../{name}/recipe.yml")
        place.edit(
            "hello, %s", f"{name} {os.urandom(8).hex()}, %s", f"../{name}/source/greet.c"
        )  # never compiled before
    first = place.start("build-arm", "--recipe", "reef-hello")
    place.when(first, lambda: "\ncompiling" in place.log_text())
    (place.folder / "output").rename(place.folder / "first")
    place.run("build-arm", "--recipe", "reef-other")
    assert first.wait(timeout=600) == 0, (place.folder / "first").read_text()
    records = [json.loads(p.read_text()) for p in (place.artifacts / "builds").glob("reef-*/trixie-arm64/record.json")]
    assert len(records) == 2
    # Each counts what its own compiler met, not what the cache met.
    assert [record["ccache"] for record in records] == [[0, 1], [0, 1]]


def test_clean_spares_a_run_at_work_and_then_frees_space(place: Place) -> None:
    place.edit("  compile: |\n", SLEEPY)
    child = place.start("build-arm")
    place.when(child, lambda: "\ncompiling" in place.log_text())
    (place.folder / "output").rename(place.folder / "first")
    output = place.run("clean", "--what", "logs", status=12)
    assert "another run of Reef is at work" in output
    assert "compiling" in place.log_text()
    kill(child)
    assert re.search(r"logs: logs \(\d+\.\d kB\)", place.run("clean", "--what", "logs"))
    assert not (place.artifacts / "logs").exists() or place.log_text() == ""


def test_clean_killed_in_the_middle_leaves_nothing_that_counts(lonely_place: Place) -> None:
    roots = lonely_place.artifacts / "cache" / "roots"
    folders = [roots / f"root{number}" / "rootfs" / str(inner) for number in range(4) for inner in range(50)]
    for folder in folders:
        folder.mkdir(parents=True)
        for number in range(400):
            (folder / str(number)).touch()
        (folder.parents[1] / "manifest.yml").touch()
    child = lonely_place.start("clean", "--what", "roots")
    lonely_place.when(child, lambda: not all(folder.exists() for folder in folders))
    kill(child)
    assert any(folder.exists() for folder in folders), "killed too late to show anything"
    assert list(roots.glob("*/manifest.yml")) == []
    lonely_place.run("clean", "--what", "roots")
    assert not roots.exists()


def without_emulation(place: Place, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run ``invoke`` where binfmt_misc is empty, in a mount namespace of its own, and no emulator is installed."""
    script = 'mount -t tmpfs tmpfs /proc/sys/fs/binfmt_misc; for f in /usr/bin/qemu-aarch64*; do ' \
             'mount --bind /dev/null "$f"; done; exec "$@"'  # fmt: skip
    return subprocess.run(
        ["unshare", "--mount", "sh", "-euc", script, "sh", str(INVOKE), "--search-root", str(CHECKOUT), *words],
        env=place.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount over binfmt_misc and the emulators")
def test_a_machine_that_cannot_run_the_boards_programs_is_reported(place: Place) -> None:
    done = without_emulation(place, "build-arm", "--strategy", "emulate")
    assert done.returncode == 5, done.stdout + done.stderr
    assert "no QEMU user emulator for arm64" in done.stderr
    assert "apt-get install qemu-user-static" in done.stderr
    assert "▸" not in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount over binfmt_misc and the emulators")
def test_a_machine_that_cannot_try_what_it_builds_is_reported_before_it_builds(place: Place) -> None:
    done = without_emulation(place, "build-arm")
    assert done.returncode == 0, done.stdout + done.stderr
    before, _, _ = done.stdout.partition("▸")
    assert (
        "warning: publish-apt installs packages for trixie/arm64 on their CPU, which this machine cannot do" in before
    )
    assert "apt-get install qemu-user-static" in before
    done = without_emulation(place, "publish-apt")
    assert done.returncode == 5, done.stdout + done.stderr
    assert "no QEMU user emulator for arm64" in done.stderr
    assert "▸" not in done.stdout


def on_a_small_disk(
    place: Place, size: str, *words: str, root: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run ``invoke`` with ``artifacts`` on a disk with ``size`` kB free, then list its files if it fails.

    With ``root``, a finished one, there are a copy of it and one of what was built on that disk already.
    """
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user", "--map-auto"]
    script = """
        cd "$1"; mkdir small; mount -t tmpfs -o size=4g tmpfs small
        if [ -n "$3" ]; then mkdir -p small/cache/roots; cp -a "$3" small/cache/roots; cp -a builds small; fi
        mount -o "remount,size=$(($(df --output=used -k small | tail -1) + $2))k" small
        mount --bind small .; cd "$1"
        shift 3; "$@" || { s=$?; find . -path "./cache/roots/*/rootfs/*" -prune -o -print; exit $s; }
    """
    return subprocess.run(
        ["unshare", *user, "--mount", "sh", "-euc", script, "sh", str(place.artifacts), size, str(root or ""),
         str(INVOKE), "--search-root", str(CHECKOUT), *words],
        env=place.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_full_disk_is_reported_as_one(place: Place) -> None:
    give_build(place)
    facts = json.loads((place.artifacts / BUILT / "record.json").read_text())["fingerprint"]["root"]
    key = manifest.key(Root(facts["suite"], AMD64, ARM64, tuple(facts["packages"])))
    root = place.artifacts / "cache" / "roots" / key
    built = {f"./{BUILT}/{path.name}" for path in (place.artifacts / BUILT).iterdir()}
    place.edit("  compile: |\n", "  compile: |\n    echo compiling; head -c 60M /dev/zero > big\n")
    done = on_a_small_disk(place, "40000", "build-arm", root=root)
    assert done.returncode == 11, done.stdout + done.stderr
    assert "▸ make root" not in done.stdout
    assert "no space left on the disk" in done.stderr
    assert {line for line in done.stdout.splitlines() if line.startswith(f"./{BUILT}/")} == built
    assert gone(place) == []


@pytest.mark.parametrize("size", ["20000", "300000"])
def test_a_disk_that_gets_full_while_a_root_is_made_is_reported_as_one(lonely_place: Place, size: str) -> None:
    """The first is too small for any root, the second is full after apt has its indices."""
    done = on_a_small_disk(lonely_place, size, "build-arm")
    assert done.returncode == 11, done.stdout + done.stderr
    assert "no space left on the disk" in done.stderr
    assert ("free: " in done.stderr) == (size == "20000")
    assert "./cache/roots/" in done.stdout
    assert "manifest.yml" not in done.stdout
    assert "rootfs" not in done.stdout
    assert gone(lonely_place) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.nightly)])
def test_ended_while_it_verifies(place: Place, number: int) -> None:
    give_build(place, "trixie/amd64")
    built = {path.name: path.read_bytes() for path in (place.artifacts / BUILT_NATIVELY).iterdir()}
    child = place.start("build-arm", *NATIVE, "--verify")
    rootfs = "verify.*/artifacts/cache/scratch/root.*/rootfs/usr/bin"
    place.when(child, lambda: bool(list((place.artifacts / "scratch").glob(rootfs))))
    assert kill(child, number) == (130 if number == signal.SIGINT else -signal.SIGKILL)
    assert gone(place) == []
    assert {path.name: path.read_bytes() for path in (place.artifacts / BUILT_NATIVELY).iterdir()} == built
    if number == signal.SIGKILL:
        place.run("clean", "--what", "logs")  # whatever runs next and removes anything
    assert list((place.artifacts / "scratch").iterdir()) == []
    assert "up to date" in place.run("build-arm", *NATIVE)


def test_missing_tools_are_reported_before_anything_is_done(place: Place, tmp_path: Path) -> None:
    needed = ["setpriv", "dpkg-query", "apt-get", "apt-config", "sh", "env", "unshare", "mount", "true"]
    for name in needed:
        found = shutil.which(name)
        assert found
        (tmp_path / name).symlink_to(found)
    output = place.run("build-arm", status=5, PATH=str(tmp_path))
    assert "mmdebstrap is not installed; it makes build roots" in output
    assert "apt-get install mmdebstrap" in output
    assert "make root" not in output


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["build-arm", "--recipe", "reef-helo"], 3, "did you mean 'reef-hello'?"),
        (["build-arm", "--target", "trixi/arm64"], 3, "did you mean 'trixie'?"),
        (["build-arm", "--target", "trixie/arm65"], 3, "did you mean 'arm64'?"),
        (["build-arm", "--recipe", "reef-hello", "--target", "bookworm/arm64"], 3, "does not serve bookworm/arm64"),
        (["build-arm", "--strategy", "magic"], 3, "unknown strategy: 'magic'"),
        (["build-arm", "--engine", "steam"], 3, "unknown engine: 'steam'"),
        (["publish-apt"], 3, "nothing to publish"),
        (["build-arm", "--plan", "--engine", "steam"], 3, "unknown engine: 'steam'"),
        (["build-arm", "--strategy", "native"], 3, "cannot be built by strategy 'native'"),
        (["shell"], 3, "no root of a failed job is kept"),
        (["clean", "--what", "everything"], 3, "unknown part: 'everything'"),
    ],
)
def test_wrong_words_are_reported(place: Place, words: list[str], status: int, message: str) -> None:
    assert message in place.run(*words, status=status)


def test_an_undefined_variable_is_reported_with_its_place(place: Place) -> None:
    place.edit("keep_source: true\n", "")  # where it stands, the CPU has no variables
    place.edit("  compile: |\n", "  compile: |\n    echo {{ tripplet }}\n")
    output = place.run("build-arm", status=8)
    assert "debian/reef/compile.sh" in output
    assert "'tripplet' is undefined" in output
    assert "triplet" in output
