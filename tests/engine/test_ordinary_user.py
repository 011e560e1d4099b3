"""An ordinary user in a fresh clone: ``./inv build-arm`` in user namespaces.

Run as root, the test makes up a user in a mount namespace of its own (passwd and the ranges of ids): the machine's
own users stay as they are.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
USER, UID = "reef-tester", 54321
AS_USER = """
set -eu
clone=$1; shift
for name in passwd group subuid subgid; do
    cat /etc/$name "$clone/../etc/$name" >"$clone/../etc/$name.whole"
    mount --bind "$clone/../etc/$name.whole" /etc/$name
done
cd "$clone"
exec setpriv --reuid $RUN_AS --regid $RUN_AS --clear-groups \
    env -i HOME="$clone/.." USER=$USER PATH=/usr/sbin:/usr/bin:/sbin:/bin $PIP "$@"
"""


@pytest.fixture
def clone() -> Iterator[Path]:
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
        "subuid": f"{USER}:2000000:65536\n", "subgid": f"{USER}:2000000:65536\n",
    }  # fmt: skip
    for name, line in lines.items():
        (place / "etc" / name).write_text(line)
    for path in [place, *place.rglob("*")]:
        os.chown(path, UID, UID)
    yield place / "clone"
    shutil.rmtree(place)


def as_user(clone: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    pip = " ".join(f"{name}={value}" for name, value in os.environ.items() if name.startswith("PIP_"))
    script = f"RUN_AS={UID} USER={USER} PIP='{pip}'\n{AS_USER}"
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", str(clone), *words],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.skipif(os.geteuid() != 0, reason="as an ordinary user every other test of this folder shows it")
def test_an_ordinary_user_builds_from_a_fresh_clone(clone: Path) -> None:
    done = as_user(clone, "./inv", "build-arm", "--recipe", "reef-hello")
    assert done.returncode == 0, done.stdout + done.stderr
    [deb] = (clone / "artifacts/builds/reef-hello/trixie-arm64").glob("reef-hello_*.deb")
    assert deb.stat().st_uid == UID
    cleaned = as_user(clone, "./inv", "clean", "--what", "roots", "--what", "caches")
    assert cleaned.returncode == 0, cleaned.stdout + cleaned.stderr
    assert not (clone / "artifacts/cache/roots").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a user of its own")
def test_who_may_not_install_is_told_the_one_command(clone: Path) -> None:
    """The made-up user is in no sudoers file, so that sudo does not help either."""
    with (clone / "builders/host-packages.txt").open("a") as file:
        file.write("reef-first  proves it\nreef-second  proves it again\n")
    done = as_user(clone, "./inv", "--list")
    assert done.returncode == 5, done.stdout + done.stderr
    assert done.stderr.splitlines()[-2:] == [
        "inv: these Debian packages are missing: reef-first reef-second ",
        "inv: run: sudo apt-get update && sudo apt-get install --yes --no-install-recommends reef-first reef-second ",
    ]
    assert not (clone / ".venv").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a user of its own")
def test_a_user_without_ids_is_told_what_to_run(clone: Path) -> None:
    for name in ("subuid", "subgid"):
        (clone.parent / "etc" / name).write_text("")
    done = as_user(clone, "./inv", "build-arm", "--recipe", "reef-hello")
    assert done.returncode == 5, done.stdout + done.stderr
    assert f"user {USER} has no range of ids in /etc/subuid" in done.stderr
    assert "usermod --add-subuids" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a user of its own")
def test_artifacts_of_another_user_are_told(clone: Path) -> None:
    (clone / "artifacts").mkdir()
    done = as_user(clone, "./inv", "build-arm", "--recipe", "reef-hello")
    assert done.returncode == 11, done.stdout + done.stderr
    assert "no permission to use" in done.stderr
    assert "chown" in done.stderr
