"""What ``./inv doctor`` finds on a machine that a test makes up: its programs, packages, emulators, disk and Docker."""

import http.server
import json
import os
import shutil
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from builders.engines.buildx.docker import endpoint
from builders.engines.roots import binfmt
from builders.host import apt_access, debian_mirror, needs
from builders.host.log import Log
from builders.host.needs import Need
from builders.maintenance import doctor
from builders.maintenance.host_packages import host_packages
from builders.pipeline.project import Project
from tests.support.checkout import CHECKOUT, HELLO

INVOKE = Path(sys.executable).with_name("invoke")
INSTALLED = "Package: {}\nStatus: {}\nArchitecture: all\nVersion: 1\nMaintainer: x\nDescription: x\n\n"
ARM = "7f454c4601010100000000000000000002002800"
"""How programs for armhf begin."""


class Machine:
    """A PATH with a dpkg-query over a database of packages of its own, an unshare and an apt; a kernel's list of
    emulators; and a project that builds for armhf."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin, self.misc = folder, folder / "bin", folder / "misc"
        self.packages = dict.fromkeys(host_packages(), "install ok installed")
        for place in (self.bin, self.misc, folder / "dpkg" / "info", folder / "dpkg" / "updates"):
            place.mkdir(parents=True)
        self.program("dpkg-query", f'exec /usr/bin/dpkg-query --admindir="{folder}/dpkg" "$@"')
        self.program("unshare", ":")
        self.program("true", ":")
        self.program("apt-get", "echo http://deb.example.org/debian/")
        self.program("apt-config", ":")
        for name in ("newuidmap", "newgidmap"):
            self.program(name, ":")
        (self.misc / "qemu").write_text(f"enabled\ninterpreter /q\nflags: F\noffset 0\nmagic {ARM}\n")
        recipe = shutil.copytree(HELLO, folder / "recipes" / "reef-hello") / "recipe.yml"
        recipe.write_text(recipe.read_text().replace("[arm64, armhf, amd64]", "[armhf]"))
        self.settings("engine: chroot")

    def program(self, name: str, script: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def settings(self, text: str) -> None:
        (self.folder / "reef.yml").write_text(f"{text}\n")

    def write_packages(self) -> None:
        status = "".join(INSTALLED.format(name, state) for name, state in self.packages.items())
        (self.folder / "dpkg" / "status").write_text(status)

    def troubles(self, *, fix: bool = False) -> dict[str, tuple[str, str]]:
        """Return trouble and fix of what the machine lacks, by name."""
        return {need.name: (need.trouble, need.fix) for need in self.needs(fix=fix) if need.trouble}

    def needs(self, *, fix: bool = False) -> list[Need]:
        self.write_packages()
        project = Project.open(self.folder, Log(quiet=True))
        return doctor.examine(project, fix=fix)

    def call(self) -> "subprocess.CompletedProcess[str]":
        """Run the task itself, as the user does."""
        self.write_packages()
        return subprocess.run(
            [str(INVOKE), "--search-root", str(CHECKOUT), "doctor"],
            env=os.environ | {"REEF_FOLDER": str(self.folder)}, capture_output=True, text=True, check=False,
        )  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    made = Machine(tmp_path)
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_TLS", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(made.bin))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(endpoint, "PLUGINS", ())
    monkeypatch.setattr(needs, "BUILD_BYTES", 1)
    monkeypatch.setattr(binfmt, "MISC", made.misc)
    debian_mirror.host_mirror.cache_clear()
    debian_mirror._security.cache_clear()
    apt_access.access.cache_clear()
    yield made
    debian_mirror.host_mirror.cache_clear()
    debian_mirror._security.cache_clear()
    apt_access.access.cache_clear()


def test_a_machine_that_has_everything_lacks_nothing(machine: Machine) -> None:
    found = machine.needs()
    assert [need for need in found if need.trouble or need.fix] == []
    names = [need.name for need in found]
    assert names == [
        *host_packages(),
        "namespaces",
        "QEMU armhf",
        "overlays",
        "disk of roots",
        "Debian mirror",
        "disk space",
    ]
    assert all(need.reason for need in found)


def test_packages_that_are_missing_or_only_left_their_settings(machine: Machine) -> None:
    del machine.packages["mmdebstrap"]
    machine.packages["gpgv"] = "deinstall ok config-files"
    assert machine.troubles() == {
        name: ("not installed", f"sudo apt-get install {name}") for name in ("mmdebstrap", "gpgv")
    }


def test_a_machine_without_dpkg_and_apt_has_its_table_too(machine: Machine) -> None:
    for name in ("dpkg-query", "apt-get", "apt-config"):
        (machine.bin / name).unlink()
    output = machine.troubles()
    assert list(output) == ["Debian packages", "Debian mirror"]
    trouble, fix = output["Debian packages"]
    assert trouble == "dpkg-query is not installed: this is not a Debian machine"
    assert all(name in fix for name in host_packages())
    assert output["Debian mirror"] == (
        "this machine has no apt that names a Debian mirror",
        "set debian_mirror: in reef.yml",
    )
    done = machine.call()
    assert done.returncode == 5, done.stdout + done.stderr
    assert "Debian packages  contain the programs" in done.stdout
    assert "run ./inv doctor" not in done.stderr


def test_namespaces_that_this_user_cannot_have(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.program("unshare", "echo unshare failed: Operation not permitted >&2; exit 1")
    trouble, fix = machine.troubles()["namespaces"]
    assert trouble == "namespaces cannot be made on this machine: unshare failed: Operation not permitted"
    assert "sudo sysctl kernel.unprivileged_userns_clone=1" in fix
    monkeypatch.setattr("os.geteuid", lambda: 1)  # "daemon", who has no range of ids
    assert machine.troubles()["namespaces"][0].startswith("user daemon has no range of ids in /etc/subuid")
    (machine.bin / "newuidmap").unlink()
    trouble, fix = machine.troubles()["namespaces"]
    assert trouble.startswith("newuidmap is not installed")
    assert fix == "sudo apt-get install uidmap"


def test_an_emulator_that_is_not_registered_and_one_that_is_missing(machine: Machine) -> None:
    (machine.misc / "qemu").unlink()
    assert machine.troubles() == {"QEMU armhf": ("not registered with the kernel", "sudo ./inv doctor --fix")}
    output = machine.troubles(fix=True)["QEMU armhf"]
    assert output[0].startswith("no QEMU user emulator for armhf")
    assert output[1] == "sudo apt-get install qemu-user-static binfmt-support"
    machine.program("qemu-arm-static", ":")
    (machine.misc / "register").touch()
    assert machine.troubles(fix=True) == {}
    assert (machine.misc / "register").read_text().startswith(":reef-qemu-arm:M:")


def test_an_apt_that_knows_no_debian(machine: Machine) -> None:
    machine.program("apt-get", ":")
    trouble, fix = machine.troubles()["Debian mirror"]
    assert trouble.startswith("this machine's apt names no Debian mirror: apt-get indextargets lists no index")
    assert "sudo apt-get update" in fix
    machine.settings("engine: chroot\ndebian_mirror: http://deb.example.org/debian")
    assert machine.troubles() == {}


def test_a_disk_that_is_too_small(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "BUILD_BYTES", 2**60)
    trouble, fix = machine.troubles()["disk space"]
    assert trouble.endswith(" GB free, 1073741824 GB needed")
    assert fix == "./inv clean, or a larger disk"


def test_a_shared_cache_on_a_disk_of_its_own(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as disk:
        machine.settings(f"engine: chroot\ncache: {disk}/reef/cache")
        assert machine.troubles() == {}
        assert os.listdir(disk) == []
        with monkeypatch.context() as patch:
            patch.setattr(os, "access", lambda *_: False)
            trouble, fix = machine.troubles()[f"cache {disk}/reef/cache"]
        assert trouble == f"{disk} cannot be written"
        assert fix == "name another folder: cache: in reef.yml, or the variable REEF_CACHE"
        monkeypatch.setattr(needs, "BUILD_BYTES", 2**60)
        assert {"disk space", "disk space of the cache"} <= set(machine.troubles())


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        ("kind: rsync, to: 'me@host:/srv'", {"rsync": "rsync", "ssh": "openssh-client"}),
        ("kind: folder, path: there", {"rsync": "rsync"}),
        ("kind: s3, bucket: example-apt", {}),
    ],
)
def test_what_uploads_need(machine: Machine, destination: str, expected: dict[str, str]) -> None:
    machine.settings(f"engine: chroot\nrepository: {{upload: [{{name: there, {destination}}}]}}")
    assert machine.troubles() == {
        name: ("not installed", f"sudo apt-get install {package}") for name, package in expected.items()
    }
    for name in expected:
        machine.program(name, ":")
    assert machine.troubles() == {}


class Answers(http.server.BaseHTTPRequestHandler):
    """As much of a Docker engine as says what it is."""

    said: ClassVar[dict[str, object]] = {}

    def do_GET(self) -> None:
        data = json.dumps(self.said).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def address_string(self) -> str:
        return "a unix socket"

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def docker_engine(data: Path) -> Iterator[str]:
    """Let a Docker engine answer that keeps its data in ``data``, and give what DOCKER_HOST is for it."""
    Answers.said = {
        "ApiVersion": "1.45", "ServerVersion": "26.1.5+dfsg1", "Architecture": "x86_64", "NCPU": 2,
        "DockerRootDir": str(data),
    }  # fmt: skip
    with (
        tempfile.TemporaryDirectory() as folder,  # a short path, as sockets want it
        socketserver.ThreadingUnixStreamServer(f"{folder}/s", Answers) as server,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"unix://{folder}/s"
        server.shutdown()


def test_docker_where_it_builds(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.settings("engine: buildx")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/socket")
    output = machine.troubles()
    assert list(output) == ["buildx", "docker", "Docker engine here"]
    assert all(fix for _, fix in output.values())
    assert output["buildx"][0].startswith("buildx is not installed")
    assert output["Docker engine here"][0] == "no Docker engine answers at unix:///nonexistent/socket"

    machine.program("docker", ":")
    machine.program("docker-buildx", "echo github.com/docker/buildx v0.13.1 0")
    with docker_engine(machine.folder) as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        assert machine.troubles() == {}
        monkeypatch.setattr(needs, "BUILD_BYTES", 2**60)
        trouble, fix = machine.troubles()["Docker engine here"]
    assert trouble.endswith(" GB free, 1073741824 GB needed")
    assert "docker builder prune" in fix


def test_a_docker_context_that_is_not_there_has_a_row(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.settings("engine: buildx")
    monkeypatch.setenv("DOCKER_CONTEXT", "misspelt")
    trouble, fix = machine.troubles()["Docker engine"]
    assert trouble == "no docker context is called 'misspelt'"
    assert "docker context ls" in fix


def test_the_table_is_shown_and_the_exit_code_is_the_machines(machine: Machine) -> None:
    del machine.packages["git"]
    done = machine.call()
    assert done.returncode == 5, done.stdout + done.stderr
    rows = {line.split()[1]: line.split()[0] for line in done.stdout.splitlines() if len(line.split()) > 2}
    assert (rows["git"], rows["gpgv"]) == ("MISSING", "ok")
    assert "needs are not met" in done.stderr
    assert "git: not installed\n    what to do: sudo apt-get install git\n" in done.stderr
