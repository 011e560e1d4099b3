"""Faults of apt and of the board's disk before anything is installed: locks, sources, keys, room, holds."""

import re
import shutil
import subprocess
import tempfile

import pytest

from tests.support.board_project import BoardProject, files, installed, version
from tests.support.light_board import FRONTEND, LISTS, LightBoard, moved


@pytest.mark.parametrize("lock", [FRONTEND, LISTS])
def test_a_lock_is_waited_for(project: BoardProject, boards: dict[str, LightBoard], lock: str) -> None:
    with boards["one"].locked(lock):
        child = project.start("install-boards", "--board", "one")
        # apt has found the lock when its words are in a file of Reef's.
        project.boards["one"].shell("until grep -qs 'Could not get lock' /run/reef-apt.*; do sleep 0.1; done")
    output, _ = child.communicate(timeout=300)
    assert child.returncode == 0, output
    assert installed(project.boards["one"])["demo"] == "1.0-1"


@pytest.mark.parametrize("lock", [FRONTEND, LISTS])
def test_a_lock_that_is_held_for_ever_skips_the_board(
    project: BoardProject, boards: dict[str, LightBoard], lock: str
) -> None:
    project.keys["reef_lock_wait_s"] = 0
    one = boards["one"]
    before = files(one)
    with one.locked(lock):
        output = project.inv("install-boards", "--canary", "0", status=0)
    assert (
        "one  skipped  another program holds a lock of apt; wait for its end" in " ".join(output.split(" ")) or output
    )
    assert installed(project.boards["two"])["demo"] == "1.0-1"
    assert files(one) == before


def test_a_source_of_the_board_that_fails_stops_nothing(project: BoardProject) -> None:
    one = project.boards["one"]
    one.shell("echo 'deb [trusted=yes] http://127.0.0.1:9/ nowhere main' >/etc/apt/sources.list.d/third.list")
    project.inv("install-boards", "--board", "one")
    assert installed(one)["demo"] == "1.0-1"
    project.publish(*version(project.publisher, "1.1-1", Depends="libdemo (>= 1.1-1), absent-package"))
    output = project.inv("install-boards", "--board", "one", status=15)
    assert "apt cannot install this" in output
    assert "absent-package" in output
    assert "http://127.0.0.1:9" in output


def test_a_repository_of_another_key_is_refused(project: BoardProject) -> None:
    one = project.boards["one"]
    project.publisher.keyring.write_bytes(public_key())
    output = project.inv("install-boards", "--board", "one", status=15)
    assert "the next way is tried" not in output
    assert re.search(r"one +failed +apt cannot read the repository", output)
    assert re.search("is not signed|NO_PUBKEY|Missing key", output)
    assert "demo" not in installed(one)


def public_key() -> bytes:
    """Return a public key that has signed nothing."""
    home = tempfile.mkdtemp(prefix="rk", dir="/tmp")
    gpg = ["gpg", "--batch", "--homedir", home]
    making = [*gpg, "--passphrase", "", "--quick-gen-key", "other@localhost", "ed25519", "sign"]
    subprocess.run(making, check=True, capture_output=True)
    found = subprocess.run([*gpg, "--export"], check=True, capture_output=True).stdout
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)
    shutil.rmtree(home, ignore_errors=True)  # the agent removes its sockets meanwhile
    return found


def test_a_package_that_would_remove_another_is_refused(project: BoardProject) -> None:
    one = project.boards["one"]
    before = files(one)
    project.publish(*version(project.publisher, "1.1-1", Conflicts="sudo"))
    output = project.inv("install-boards", "--board", "one", status=15)
    assert "one    failed  apt would remove sudo; remove it there by hand" in output
    assert files(one) == before


def test_held_packages_stay(project: BoardProject) -> None:
    project.inv("install-boards", "--board", "one")
    one = project.boards["one"]
    one.shell("apt-mark hold demo")
    project.publish(*version(project.publisher, "1.1-1", Depends="libdemo (>= 1.0-1)"))
    output = project.inv("install-boards", "--board", "one")
    assert "demo is held: it stays as it is until: sudo apt-mark unhold demo" in output
    assert (installed(one)["demo"], installed(one)["libdemo"]) == ("1.0-1", "1.1-1")
    one.shell("apt-mark unhold demo; apt-mark hold libdemo")
    project.publish(*version(project.publisher, "1.2-1", Depends="libdemo (>= 1.2-1)"))
    output = project.inv("install-boards", "--board", "one", status=15)
    assert "apt cannot install this" in output
    assert "held" in output
    assert (installed(one)["demo"], installed(one)["libdemo"]) == ("1.0-1", "1.1-1")


def test_a_disk_without_room_is_found_before(project: BoardProject) -> None:
    one, two = project.boards.values()
    one.shell("mount -t tmpfs -o size=8m none /var/cache/apt/archives")
    two.shell("mount -t tmpfs -o size=64m,nr_inodes=100 none /var/cache/apt/archives")
    output = project.inv("install-boards", "--canary", "0", status=15)
    assert re.search(r"one +failed +8 MB free on /var/cache/apt/archives; free some space: sudo apt-get clean", output)
    assert re.search(r"two +failed +\d\d inodes free on /var/cache/apt/archives; remove many small files", output)


def test_a_download_that_fills_the_disk(project: BoardProject) -> None:
    one = project.boards["one"]
    one.shell("mount -t tmpfs -o size=64m none /var/cache/apt/archives; mkdir /var/cache/apt/archives/partial")
    one.shell("dd if=/dev/zero of=/var/cache/apt/archives/full bs=1M count=10 2>/dev/null")
    big = project.publisher.deb("big", "1.1-1", "amd64", content="x" * 70_000_000, compression="none")
    project.publish(*version(project.publisher, "1.1-1", Depends="libdemo, big"), big)
    output = project.inv("install-boards", "--board", "one", status=15)
    assert re.search(r"one +failed +57 MB free on /var/cache/apt/archives, too little for this", output)
    assert "70.0 MB to download" in output
    assert "demo" not in installed(one)


def test_an_interrupted_dpkg_is_completed(project: BoardProject, boards: dict[str, LightBoard]) -> None:
    one = boards["one"]
    waits = "#!/bin/sh\nif mkdir /root/began; then echo $$ >/root/began/pid; exec sleep 600; fi\n"
    slow = project.publisher.deb("slow", "1.0-1", "amd64", texts={"DEBIAN/postinst": waits})
    shutil.copy(slow, one.path("/root/slow.deb"))
    one.shell(
        "dpkg -i /root/slow.deb >/dev/null 2>&1 & until [ -s /root/began/pid ]; do sleep 0.1; done; "
        "kill -9 $! $(cat /root/began/pid); wait"
    )
    assert one.shell("dpkg --audit")
    output = project.inv("install-boards", "--board", "one")
    assert "one  ready: an interrupted installation was completed" in output
    assert installed(one).keys() >= {"slow", "demo"}


def test_a_package_that_power_left_half_installed_is_reinstalled(
    project: BoardProject, boards: dict[str, LightBoard]
) -> None:  # fmt: skip
    one = boards["one"]
    waits = "#!/bin/sh\nif mkdir /root/began; then sync; exec sleep 600; fi\n"
    demo = project.publisher.deb("demo", "1.1-1", "amd64", texts={"DEBIAN/preinst": waits})
    project.publish(demo, project.publisher.deb("libdemo", "1.1-1", "amd64"))
    child = project.start("install-boards", "--board", "one")
    one.shell("until [ -e /root/began ]; do sleep 0.1; done")
    child.kill()
    child.communicate()
    moved(one)
    assert "reinstreq" in one.shell("dpkg-query -W -f '${db:Status-Eflag}' demo")
    output = project.inv("install-boards", "--board", "one")
    assert re.search(r"one +good", output), output
    assert installed(one)["demo"] == "1.1-1"
