"""The command ``virtual-board``: a board that goes on between commands, in a folder with an odd name."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from tests.support.place import Place
from tests.support.virtual_board import places

NAME = "virtual-1"


@pytest.fixture
def own(place: Place) -> Iterator[Place]:
    """A project of the test's own, whose virtual boards end with the test."""
    with places(1):
        yield place
        place.run("clean", "--what", "virtual-boards")


def folder(place: Place) -> Path:
    return place.artifacts / "virtual-boards" / NAME


def qemu(place: Place) -> list[psutil.Process]:
    """Return the emulators that run in the project."""
    found = []
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "qemu-system-aarch64" and process.cwd() == str(folder(place).resolve()):
            found.append(process)
    return found


def ssh(place: Place, command: str) -> str:
    """Run a command on the board, as boards.yml says it is reached, with the host key that was recorded."""
    hosts = yaml.safe_load((place.folder / "boards.yml").read_text())["all"]["hosts"]
    keys = hosts[NAME]
    # ssh takes several files, divided by spaces, and these folders have some.
    known = f'UserKnownHostsFile="{place.folder / "boards.known_hosts"}"'
    words = ["-o", known, "-o", f"HostKeyAlias={NAME}", "-o", "BatchMode=yes", "-p", str(keys["ansible_port"]),
             "-i", keys["ansible_ssh_private_key_file"]]  # fmt: skip
    address = f"{keys['ansible_user']}@{keys['ansible_host']}"
    return subprocess.run(["ssh", *words, address, command], check=True, capture_output=True, text=True).stdout


def test_a_board_goes_on_between_commands_and_after_a_stop(own: Place) -> None:
    output = own.run("virtual-board", "--package", "reef-hello")
    assert "it is new" in output
    assert yaml.safe_load((own.folder / "boards.yml").read_text())["all"]["vars"] == {"reef_packages": ["reef-hello"]}
    assert ssh(own, "sleep 9999 >/dev/null 2>&1 & echo kept >note; hostname") == f"{NAME}\n"
    assert "Debian GNU/Linux 13" in own.run("check-boards")
    assert "it runs already" in own.run("virtual-board")

    assert "its state is saved" in own.run("virtual-board", "--stop")
    assert not qemu(own)
    assert "stopped" in own.run("virtual-board", "--show")
    assert "it goes on where it was stopped" in own.run("virtual-board")
    assert ssh(own, "cat note; pgrep --full --count 'sleep 9999$'") == "kept\n1\n"
    assert not (folder(own) / "state.zst").exists()  # the disk has changed since

    own.run("virtual-board", "--remove")
    assert not qemu(own)
    assert not folder(own).exists()
    assert "no virtual boards" in own.run("virtual-board", "--show")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_start_that_is_interrupted_leaves_nothing_in_the_way(own: Place, number: signal.Signals) -> None:
    child = own.start("virtual-board")
    own.when(child, lambda: bool(qemu(own)))
    os.kill(child.pid, number)
    child.wait(60)
    if number == signal.SIGINT:
        assert not qemu(own)
    assert "no virtual boards" in own.run("virtual-board", "--show")
    assert "it is new" in own.run("virtual-board")
    assert len(qemu(own)) == 1
    assert ssh(own, "hostname") == f"{NAME}\n"


@pytest.mark.nightly  # a start from the disk takes a minute
def test_a_board_that_lost_its_power_starts_from_its_disk(own: Place) -> None:
    own.run("virtual-board")
    ssh(own, "echo kept >note; sync")
    (emulator,) = qemu(own)
    emulator.kill()
    emulator.wait()
    assert "stopped" in own.run("virtual-board", "--show")
    assert "it started from its disk" in own.run("virtual-board")
    assert ssh(own, "cat note; hostname") == f"kept\n{NAME}\n"


def test_a_board_of_an_image_that_is_gone_says_so(own: Place) -> None:
    own.run("virtual-board")
    own.run("virtual-board", "--stop")
    record = folder(own) / "board.yml"
    record.write_text(record.read_text().replace("-started-", "-gone-"))
    output = own.run("virtual-board", status=5)
    assert "its image is no longer in the cache" in output
    assert "--remove" in output


def test_a_machine_without_qemu_is_told_what_to_install(place: Place, tmp_path: Path) -> None:
    for program in ("env", "setpriv", "git"):
        (tmp_path / program).symlink_to(str(shutil.which(program)))
    output = place.run("virtual-board", status=5, PATH=str(tmp_path))
    assert "sudo apt-get install --no-install-recommends qemu-system-arm qemu-utils zstd" in output


def test_a_real_board_of_the_same_name_stays(place: Place) -> None:
    place.run("new-board", NAME, "--address", "192.0.2.7")
    before = (place.folder / "boards.yml").read_text()
    assert "is no virtual board" in place.run("virtual-board", status=3)
    assert (place.folder / "boards.yml").read_text() == before
    assert "not a board's name" in place.run("virtual-board", "--board", "../x", status=3)
    assert "no virtual board" in place.run("virtual-board", "--stop", "--board", "other", status=3)
