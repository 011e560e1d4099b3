"""Hosts to upload to, all on loopback: a server that speaks S3, a real sshd, a wire that can be cut, and readers."""

import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import requests

from builders.apt.indices.compression import UNPACK
from builders.apt.indices.entry import parse
from builders.apt.indices.release import parse_release
from builders.apt.upload.remote_state import by_hash
from builders.apt.verify.verify import CLEARSIGNED
from tests.support.ports import free_port

BUCKET = "boards"


def wait_for(port: int, child: "subprocess.Popen[bytes]") -> None:
    """Return when something listens on ``port``."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert child.poll() is None, "the server ended at once"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError("the server never listened")


@contextlib.contextmanager
def s3_server(log: Path, **environment: str) -> Iterator[str]:
    """Run moto's server for as long as the block takes and give its URL."""
    port = free_port()
    with log.open("wb") as sink:
        child = subprocess.Popen(
            [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)],
            env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            wait_for(port, child)
            yield f"http://127.0.0.1:{port}"
        finally:
            child.kill()
            child.wait()


def s3_client(url: str, service: str = "s3", key: str = "test", secret: str = "test") -> Any:
    import boto3

    make: Any = boto3.client  # the stubs want the service's name as it is written
    return make(service, endpoint_url=url, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=secret)


class Wire:
    """A way to a server that can be cut: after ``left`` bytes from the client nothing passes any more."""

    def __init__(self, port: int) -> None:
        self.left: float = float("inf")
        self._to = port
        self._open: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._server.accept()
                if self.left <= 0:
                    here.close()
                    continue
                there = socket.create_connection(("127.0.0.1", self._to))
                self._open += [here, there]
                threading.Thread(target=self._pump, args=(here, there, True), daemon=True).start()
                threading.Thread(target=self._pump, args=(there, here, False), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while (block := source.recv(65536)) and self.left > 0:
                target.sendall(block)
                self.left -= len(block) if counted else 0
        if self.left <= 0:
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._server.close()


@dataclass
class Ssh:
    """A real sshd with keys of its own, that lets this user in by key."""

    folder: Path
    port: int = 0
    child: "subprocess.Popen[bytes] | None" = None

    @property
    def identity(self) -> Path:
        return self.folder / "user"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.port = self.port or free_port()
        for name in ("host", "user", "stranger"):
            if not (self.folder / name).exists():
                subprocess.run(
                    ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)], check=True
                )
        shutil.copy(self.folder / "user.pub", self.folder / "authorized_keys")
        host = (self.folder / "host.pub").read_text().split()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {host[0]} {host[1]}\n")
        (self.folder / "config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host\nPidFile none\n"
            f"AuthorizedKeysFile {self.folder}/authorized_keys\nStrictModes no\nPermitRootLogin yes\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # where sshd locks its helpers in
        with (self.folder / "log").open("ab") as sink:
            self.child = subprocess.Popen(
                ["/usr/sbin/sshd", "-D", "-e", "-f", str(self.folder / "config")],
                stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        wait_for(self.port, self.child)

    def stop(self) -> None:
        """End the server and every session of it, as a lost line would; what ran in them ends by itself."""
        if self.child:
            ours = psutil.Process(self.child.pid)
            for one in (ours, *(child for child in ours.children(recursive=True) if child.name().startswith("sshd"))):
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            self.child.wait()
            self.child = None


class Reader:
    """Reads a repository over HTTP like apt, over and over in a thread: InRelease, indices by hash, then the .debs."""

    def __init__(self, url: str, suite: str = "trixie") -> None:
        self.url, self.suite = url.rstrip("/"), suite
        self.rounds = 0
        self.seen: set[str] = set()
        self.troubles: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def __enter__(self) -> "Reader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def read_on(self, rounds: int, timeout_s: float = 60) -> None:
        """Return after so many more rounds without trouble, or at the first trouble."""
        wanted, until = self.rounds + rounds, time.monotonic() + timeout_s
        while self.rounds < wanted and not self.troubles:
            assert time.monotonic() < until
            time.sleep(0.05)

    def _loop(self) -> None:
        with requests.Session() as session:
            while not self._ended.is_set() and not self.troubles:
                self.once(session)

    def once(self, session: requests.Session) -> None:
        """Read all once; what is missing or other than it is named is a trouble."""
        inrelease = self._get(session, f"dists/{self.suite}/InRelease")
        match = CLEARSIGNED.fullmatch(inrelease or b"")
        if match is None:
            self.troubles.append("InRelease is not whole")
            return
        release = parse_release(match[1], "InRelease")
        self.seen.add(release.fields["Date"])
        for name, digest in release.present.items():
            if name.endswith("/Packages.xz"):
                packed = self._get(session, by_hash(self.suite, name, digest.sha256), digest.sha256)
                if packed is not None:
                    for entry in parse(UNPACK[".xz"](packed), name):
                        self._get(session, entry.filename, entry.sha256)
        self.rounds += 1

    def _get(self, session: requests.Session, key: str, sha256: str = "") -> Any:
        answer = session.get(f"{self.url}/{quote(key)}", timeout=30)
        if answer.status_code != 200:
            self.troubles.append(f"{answer.status_code} {key}")
            return None
        if sha256 and hashlib.sha256(answer.content).hexdigest() != sha256:
            self.troubles.append(f"other bytes: {key}")
            return None
        return answer.content
