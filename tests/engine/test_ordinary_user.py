"""An ordinary user in a fresh clone: ``./inv build-arm`` in user namespaces.

Run as root, the test makes up a user in a mount namespace of its own (passwd and the ranges of ids): the machine's
own users stay as they are.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT
from tests.support.place import kill

USER, UID = "reef-tester", 54321
IDS = range(2_000_000, 2_065_536)
"""The user's range of ids: what runs as anybody but root inside the user's namespaces has one of them."""
BUILT = "artifacts/builds/reef-hello/trixie-arm64"
BUILD = ("./inv", "build-arm", "--recipe", "reef-hello", "--target", "trixie/arm64")
AS_USER = """
set -eu
clone=$1; shift
for name in passwd group subuid subgid; do
    cat /etc/$name "$clone/../etc/$name" >"$clone/../etc/$name.whole"
    mount --bind "$clone/../etc/$name.whole" /etc/$name
done
cd "$clone"
exec setpriv --reuid $RUN_AS --regid $RUN_AS --clear-groups \
    env --default-signal=INT -i HOME="$clone/.." USER=$USER PATH=/usr/sbin:/usr/bin:/sbin:/bin $PIP "$@"
"""


@contextmanager
def cloned() -> Iterator[Path]:
    """Give a fresh clone that the user owns."""
    # Not below the checkout: its own folders may be closed to other users.
    place = Path("/var/tmp") / f"reef-ordinary-{os.urandom(3).hex()}"
    (place / "etc").mkdir(parents=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (CHECKOUT / name).is_file():
            target = place / "clone" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, target)
    (place / "clone" / "reef.yml").write_text("recipes: tests/fixtures/recipes\nmaintainer: Reef <reef@example.org>\n")
    lines = {
        "passwd": f"{USER}:x:{UID}:{UID}::{place}:/bin/sh\n", "group": f"{USER}:x:{UID}:\n",
        "subuid": f"{USER}:{IDS.start}:{len(IDS)}\n", "subgid": f"{USER}:{IDS.start}:{len(IDS)}\n",
    }  # fmt: skip
    for name, line in lines.items():
        (place / "etc" / name).write_text(line)
    for path in [place, *place.rglob("*")]:
        os.chown(path, UID, UID)
    yield place / "clone"
    shutil.rmtree(place)


@pytest.fixture
def clone() -> Iterator[Path]:
    with cloned() as folder:
        yield folder


@pytest.fixture(scope="module")
def built() -> Iterator[Path]:
    """A clone in which the user built the miniature, for all tests that need its root."""
    with cloned() as folder:
        done = as_user(folder, *BUILD)
        assert done.returncode == 0, done.stdout + done.stderr
        yield folder


def words_as_user(clone: Path, *words: str) -> list[str]:
    pip = " ".join(f"{name}={value}" for name, value in os.environ.items() if name.startswith("PIP_"))
    script = f"RUN_AS={UID} USER={USER} PIP='{pip}'\n{AS_USER}"
    return ["unshare", "--mount", "sh", "-c", script, "sh", str(clone), *words]


def as_user(clone: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        words_as_user(clone, *words), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def running(*words: str) -> dict[int, str]:
    """Return the processes that have one of these words in their lines: one of each user, by the user's id."""
    listed = subprocess.run(["ps", "-eo", "uid=,args="], capture_output=True, text=True, check=True).stdout
    return {int(line.split()[0]): line for line in listed.splitlines() if any(word in line for word in words)}


@pytest.mark.skipif(os.geteuid() != 0, reason="as an ordinary user every other test of this folder shows it")
def test_an_ordinary_user_builds_from_a_fresh_clone(built: Path) -> None:
    [deb] = (built / BUILT).glob("reef-hello_*.deb")
    assert deb.stat().st_uid == UID


@pytest.mark.skipif(os.geteuid() != 0, reason="as an ordinary user test_faults.py shows it")
@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.nightly)])
def test_ended_in_a_build_script_nothing_runs_on_and_the_next_run_builds(built: Path, number: int) -> None:
    recipe = built / "tests/fixtures/recipes/reef-hello/recipe.yml"
    whole, before = recipe.read_text(), {path.name: path.read_bytes() for path in (built / BUILT).iterdir()}
    # One as root in there, who is the user out here, and one as somebody else, who has one of the ids.
    sleeping = f"sleep 615.{os.getpid()}{number}"
    sleepy = f"setpriv --reuid 1 --clear-groups {sleeping} & echo compiling; {sleeping}"
    recipe.write_text(whole.replace("  compile: |\n", f"  compile: |\n    {sleepy}\n"))
    with (built / "output").open("w") as output:
        child = subprocess.Popen(
            words_as_user(built, *BUILD), stdin=subprocess.DEVNULL, stdout=output, stderr=output, text=True
        )
    until = time.monotonic() + 120
    while len(running(sleeping)) < 2:
        assert child.poll() is None, (built / "output").read_text()
        assert time.monotonic() < until, running(sleeping)
        time.sleep(0.05)
    assert UID in running(sleeping)
    assert any(one in IDS for one in running(sleeping))
    assert kill(child, number) == (130 if number == signal.SIGINT else -signal.SIGKILL)
    until = time.monotonic() + 120
    while left := running(sleeping, str(built)):
        assert time.monotonic() < until, left
        time.sleep(0.05)
    assert str(built) not in Path("/proc/mounts").read_text()
    assert {path.name: path.read_bytes() for path in (built / BUILT).iterdir()} == before
    assert bool(list((built / "artifacts/scratch").iterdir())) == (number == signal.SIGKILL)
    recipe.write_text(whole)
    done = as_user(built, *BUILD, "--force")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "▸ make root" not in done.stdout
    assert list((built / "artifacts/scratch").iterdir()) == []
    debs = {name: data for name, data in before.items() if name.endswith(".deb")}
    assert {path.name: path.read_bytes() for path in (built / BUILT).glob("*.deb")} == debs


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a user of its own")
def test_what_other_ids_own_is_removed_too(built: Path) -> None:
    assert [path for path in (built / "artifacts/cache/roots").rglob("*") if path.lstat().st_uid in IDS]
    cleaned = as_user(built, "./inv", "clean", "--what", "roots", "--what", "caches")
    assert cleaned.returncode == 0, cleaned.stdout + cleaned.stderr
    assert not (built / "artifacts/cache/roots").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a user of its own")
def test_who_may_not_install_is_shown_the_one_command(clone: Path) -> None:
    """The made-up user is in no sudoers file, so that sudo does not help either."""
    with (clone / "builders/host/packages.txt").open("a") as file:
        file.write("reef-first  proves it\nreef-second  proves it again\n")
    done = as_user(clone, "./inv", "--list")
    assert done.returncode == 5, done.stdout + done.stderr
    assert done.stderr.splitlines()[-2:] == [
        "inv: these Debian packages are missing: reef-first reef-second ",
        "inv: run: sudo apt-get update && sudo apt-get install --yes --no-install-recommends reef-first reef-second ",
    ]
    assert not (clone / ".venv").exists()


@contextmanager
def changed(*files: Path, text: str) -> Iterator[None]:
    """Let the files hold ``text`` until the end of the block."""
    before = {path: path.read_text() for path in files}
    for path in files:
        path.write_text(text)
    yield
    for path, content in before.items():
        path.write_text(content)


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a user of its own")
def test_a_user_without_ids_is_shown_what_to_run(built: Path) -> None:
    with changed(*(built.parent / "etc" / name for name in ("subuid", "subgid")), text=""):
        done = as_user(built, *BUILD, "--force")
    assert done.returncode == 5, done.stdout + done.stderr
    assert f"user {USER} has no range of ids in /etc/subuid" in done.stderr
    assert "usermod --add-subuids" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a user of its own")
def test_artifacts_of_another_user_are_reported(built: Path) -> None:
    (built / "others").mkdir()
    with changed(built / "reef.yml", text="recipes: tests/fixtures/recipes\nartifacts: others\n"):
        done = as_user(built, *BUILD)
    assert done.returncode == 11, done.stdout + done.stderr
    assert "no permission to use" in done.stderr
    assert "chown" in done.stderr
