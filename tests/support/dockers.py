"""Docker engines of the tests' own: from Debian's packages in roots, in namespaces that vanish with them, never the
machine's. Debian 12's is the oldest that Reef works with (20.10), Debian 13's one of today's.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import docker

from builders.engines.roots import bootstrap
from builders.errors import ReefError
from builders.host.files import remove_tree
from builders.host.log import Log
from builders.model.jobs import Root
from builders.pipeline.project import Project
from tests.support import checkout
from tests.support.checkout import CHECKOUT

if TYPE_CHECKING:
    from tests.support.place import Place

BUILT = "builds/reef-hello/trixie-arm64"
JOB = "reef-hello/trixie/arm64/build"
BUILDX = ("build-arm", "--engine", "buildx")
SETTINGS = "buildx: {base: bootstrap, network: host}\n"
SCRIPT = Path(__file__).with_name("dockerd.sh")
PACKAGES = {
    "bookworm": ("docker.io", "mount"),
    "trixie": ("docker.io", "docker-cli", "docker-buildx", "docker-registry", "mount"),
}


def rootfs(suite: str) -> Path:
    """Return a root of ``suite`` with Docker in it, made once; the .debs are verified as those of any root."""
    project = Project.open(CHECKOUT, Log(quiet=True))
    root = Root(suite, project.machine, project.machine, PACKAGES[suite])
    workspace = replace(project.workspace, shared_cache=checkout.CACHE)
    found, _ = bootstrap.make(root, replace(project, workspace=workspace))
    return found


def configuration(folder: Path) -> Path:
    """Fill ``folder`` as Docker's configuration, with Debian 13's buildx: its binary runs on Debian 12 too."""
    (folder / "cli-plugins").mkdir(parents=True)
    shutil.copy(rootfs("trixie") / "usr/libexec/docker/cli-plugins/docker-buildx", folder / "cli-plugins")
    (folder / "bin").mkdir()
    shutil.copy(rootfs("trixie") / "usr/bin/docker", folder / "bin")
    return folder


class Dockerd:
    """One engine; its socket lies in a folder with a short path, because unix sockets want one."""

    def __init__(
        self,
        suite: str,
        *,
        own_network: bool = False,
        small: str = "",
        shared: Path | None = None,
        words: tuple[str, ...] = (),
    ) -> None:
        self.place = CHECKOUT / "artifacts" / "tests" / f"docker-{os.urandom(3).hex()}"
        self.place.mkdir(parents=True)
        self.sockets = Path(tempfile.mkdtemp(prefix="reef-docker-"))
        self.host = f"unix://{self.sockets}/docker.sock"
        self._root = rootfs(suite)
        self._network = ["--net"] if own_network else []
        loopback_up = f"{sys.executable} -c 'from builders.engines.chroot import enter; enter._loopback_up()'"
        self._extra = {
            "REEF_SMALL": small,
            "REEF_SHARED": str(shared or ""),
            "REEF_FIRST": loopback_up if own_network else "",
        }
        self._words = words
        self.start()

    def start(self) -> None:
        """Start the engine (again) and wait until it answers."""
        # A test run that is killed takes its engines along.
        words = ["setpriv", "--pdeathsig", "KILL", "--"]
        words += ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *self._network]
        words += ["sh", str(SCRIPT), str(self._root), str(self.place), str(self.sockets), *self._words]
        with (self.place / "dockerd.log").open("a") as log:
            self._child = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=os.environ | self._extra, cwd=CHECKOUT,
            )  # fmt: skip
        until = time.monotonic() + 120
        while not self._answers():
            assert self._child.poll() is None, (self.place / "dockerd.log").read_text()[-4000:]
            assert time.monotonic() < until, (self.place / "dockerd.log").read_text()[-4000:]
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except docker.errors.DockerException:
            return False

    def client(self) -> docker.DockerClient:
        """Return a client of Docker's SDK."""
        return docker.DockerClient(base_url=self.host, timeout=300)

    def tags(self) -> list[str]:
        """Return the names of all images."""
        return [tag for image in self.client().images.list() for tag in image.tags]

    def inside(self, *words: str) -> list[str]:
        """Return the words that run a command in the engine's own network."""
        child = subprocess.run(
            ["pgrep", "--parent", str(self._child.pid)], capture_output=True, text=True, check=True
        ).stdout.split()[0]
        return ["nsenter", f"--net=/proc/{child}/ns/net", "--", *words]

    def kill(self) -> None:
        """End the engine and everything in it, as a crash would."""
        os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()

    def remove(self) -> None:
        """End the engine and remove all that it wrote."""
        if self._child.poll() is None:
            self.kill()
        until = time.monotonic() + 120
        while self.place.exists():
            try:
                remove_tree(self.place)
            except ReefError:  # the kernel still takes its mounts down
                assert time.monotonic() < until
                time.sleep(0.2)
        remove_tree(self.sockets)


def environment(engine: Dockerd, config: Path) -> dict[str, str]:
    """Return what lets Docker's tools find ``engine``, buildx and the command line of the tests."""
    return {
        "DOCKER_HOST": engine.host, "DOCKER_CONFIG": str(config),
        "PATH": f"{config / 'bin'}:{os.environ['PATH']}",
    }  # fmt: skip


def certificates(folder: Path) -> Path:
    """Make an authority, and certificates of it for an engine on loopback and for its client."""
    folder.mkdir(parents=True)

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=reef-test-ca",
        "-keyout", "ca-key.pem", "-out", "ca.pem",
    )  # fmt: skip
    purposes: Mapping[str, tuple[str, str]] = {
        "server": ("server", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n"),
        "client": ("", "extendedKeyUsage=clientAuth\n"),
    }
    for name, (prefix, extension) in purposes.items():
        stem = f"{prefix}-" if prefix else ""
        openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN=reef-test-{name}",
            "-keyout", f"{stem}key.pem", "-out", f"{name}.csr",
        )  # fmt: skip
        (folder / "extension").write_text(extension)
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial",
            "-days", "2", "-extfile", "extension", "-out", f"{stem}cert.pem",
        )  # fmt: skip
    return folder


class There:
    """A project on disk and the command line with Docker's environment."""

    def __init__(self, place: "Place", environment: dict[str, str]) -> None:
        self.place = place
        self.environment = environment

    def run(self, *words: str, status: int = 0, **extra: str) -> str:
        return self.place.run(*words, status=status, **self.environment | extra)

    def start(self, *words: str, **extra: str) -> "subprocess.Popen[str]":
        return self.place.start(*words, **self.environment | extra)

    def settings(self, text: str) -> None:
        (self.place.folder / "reef.yml").write_text("maintainer: Reef <reef@example.org>\n" + text)

    def debs(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.place.artifacts / BUILT).glob("*.deb")}

    def project(self) -> Project:
        return Project.open(self.place.folder, Log(quiet=True))
