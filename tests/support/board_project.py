"""A project with a published repository and boards.yml, whose commands tests run as a user does."""

import contextlib
import os
import pty
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import yaml

from builders.boards.connection import KNOWN_HOSTS, KnownHosts
from tests.support.checkout import CHECKOUT
from tests.support.light_board import USER, LightBoard
from tests.support.repository import DATE, Publisher

MAIN = "from builders.cli.app import main; main()"
DAY = 86400
LEFT = r"""
dpkg --audit
find /var/lib/dpkg/updates -type f -name '[0-9]*'
find /etc /usr/share/keyrings /var/lib/reef -name '*.reef-new' -o -name '*.new' -o -name 'reef-bad-*'
flock -w 10 /var/lib/reef/lock true || echo "the lock is held"
"""
"""Prints what an interrupted installation left."""


class ReachedBoard(Protocol):
    """A light or a virtual board: its ssh server on loopback, and the shell of its root."""

    @property
    def port(self) -> int: ...
    @property
    def identity(self) -> Path: ...
    @property
    def fingerprint(self) -> str: ...
    def shell(self, script: str) -> str: ...


@dataclass
class BoardProject:
    """A project in the publisher's folder, with light or virtual boards by their names."""

    publisher: Publisher
    boards: Mapping[str, ReachedBoard]
    keys: dict[str, Any] = field(default_factory=dict)
    """Keys of all boards in boards.yml."""
    more: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Keys of single boards; a name without a running board is a board that does not exist."""
    canary: str | None = None
    suite: str = "trixie"
    """The suite to publish into."""
    _days: int = 0

    @property
    def folder(self) -> Path:
        return self.publisher.folder

    def write(self) -> None:
        """Write reef.yml and boards.yml."""
        if not (self.folder / "reef.yml").exists():
            (self.folder / "reef.yml").write_text("artifacts: .\n")
        hosts = {name: self.connection(board) | self.more.get(name, {}) for name, board in self.boards.items()}
        hosts |= {name: keys for name, keys in self.more.items() if name not in hosts}
        group: dict[str, Any] = {"vars": {"reef_settle_s": 0, "reef_gate_timeout_s": 20} | self.keys, "hosts": hosts}
        if self.canary:
            group["children"] = {"canary": {"hosts": {self.canary: None}}}
        (self.folder / "boards.yml").write_text(yaml.safe_dump({"all": group}))

    def connection(self, board: ReachedBoard) -> dict[str, Any]:
        alone = board if isinstance(board, LightBoard) and not board.network else None
        proxy = {"ansible_ssh_common_args": f"-o ProxyCommand='{alone.proxy}'"} if alone else {}
        return proxy | {
            "ansible_host": "127.0.0.1", "ansible_port": board.port, "ansible_user": USER,
            "ansible_ssh_private_key_file": str(board.identity),
        }  # fmt: skip

    def trust(self) -> None:
        """Accept the boards' host keys, whose fingerprints the test knows."""
        words = [word for board in self.boards.values() for word in ("--accept", board.fingerprint)]
        names = [word for name in self.boards for word in ("--board", name)]
        self.inv("trust-boards", *names, *words)

    def publish(self, *debs: Path) -> None:
        """Publish packages, a day after the last publication."""
        self._days += 1
        self.publisher.publish(*debs, suite=self.suite, date=DATE + self._days * DAY)

    def inv(self, *words: str, status: int = 0, timeout_s: float = 600, main: str = MAIN) -> str:
        """Run a command, which must end with ``status``, and return all that it printed."""
        done = self.start(*words, main=main)
        output, _ = done.communicate(timeout=timeout_s)
        assert done.returncode == status, output
        return output

    def start(self, *words: str, main: str = MAIN) -> "subprocess.Popen[str]":
        self.write()
        return subprocess.Popen(
            # A shell starts what it puts in the background deaf to Ctrl-C, and tests inherit that.
            ["env", "--default-signal=INT", *command(words, main)], env=self._environment, cwd="/", text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def typed(self, answer: str, *words: str) -> tuple[int, str]:
        """Run a command on a terminal of its own, type an answer to its first question; return its status and text."""
        self.write()
        ours, its = pty.openpty()
        with subprocess.Popen(
            ["setsid", "--ctty", *command(words)], env=self._environment, cwd="/",
            stdin=its, stdout=its, stderr=its,
        ) as child, open(ours, "r+b", buffering=0) as terminal:  # fmt: skip
            os.close(its)
            text = b""
            # The terminal's own error says that the command has ended.
            with contextlib.suppress(OSError):
                while more := terminal.read(4096):
                    text += more
                    if answer and text.rstrip().endswith(b":"):
                        terminal.write(f"{answer}\n".encode())
                        answer = ""
            status = child.wait()
        return status, text.decode()

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "REEF_FOLDER": str(self.folder), "PYTHONPATH": str(CHECKOUT)}

    @property
    def known_hosts(self) -> KnownHosts:
        return KnownHosts(self.folder / KNOWN_HOSTS)


def command(words: Sequence[str], main: str = MAIN) -> list[str]:
    """Return the command line of Reef's program."""
    return [sys.executable, "-c", main, *words]


def version(publisher: Publisher, number: str, architecture: str = "amd64", **fields: str) -> list[Path]:
    """Return the .debs of demo and libdemo in a version; ``fields`` are demo's."""
    depends = {"Depends": "libdemo (>= 1.0-1)"} | fields
    return [
        publisher.deb("demo", number, architecture, fields=depends), publisher.deb("libdemo", number, architecture)
    ]  # fmt: skip


UNIT = """\
[Unit]
Description=answers over HTTP
[Service]
ExecStart=/usr/bin/answer
DynamicUser=yes
Restart=on-failure
[Install]
WantedBy=multi-user.target
"""
STARTS = """\
#!/bin/sh
set -e
systemctl daemon-reload
systemctl enable --quiet answer.service
systemctl restart answer.service
"""
STOPS = "#!/bin/sh\nset -e\nsystemctl disable --quiet --now answer.service\n"
ANSWERS = "#!/bin/sh\nexec busybox httpd -f -p 127.0.0.1:8080 -h /usr/share/answer\n"
ASKS = "busybox wget -q -O - http://127.0.0.1:8080/content"
"""A gate that asks the service."""
JOURNAL = "cut -d' ' -f1,2 $(ls -d /var/lib/reef/receipts/* | tail -n 1)/journal"


def service(
    publisher: Publisher, number: str, program: str = ANSWERS, *, unit: str = UNIT, depends: str = "", **scripts: str
) -> Path:  # fmt: skip
    """Return an arm64 .deb of a version of ``answer``: a service of systemd, which runs ``program``.

    ``scripts`` are maintainer scripts by their names.
    """
    texts = {"usr/bin/answer": program, "usr/lib/systemd/system/answer.service": unit}
    texts |= {f"DEBIAN/{name}": text for name, text in ({"postinst": STARTS, "prerm": STOPS} | scripts).items()}
    fields = {"Depends": depends} if depends else {}
    return publisher.deb("answer", number, "arm64", texts=texts, fields=fields)


def until(child: "subprocess.Popen[str]", pattern: str) -> str:
    """Return what a command prints up to a line with a ``pattern``."""
    assert child.stdout
    seen = ""
    for line in child.stdout:
        seen += line
        if re.search(pattern, line):
            return seen
    raise AssertionError(seen)


def states(board: ReachedBoard) -> list[tuple[str, str]]:
    """Return the states of a board in its newest rollout, each with the id of the board's start."""
    return [(words[0], words[1]) for line in board.shell(JOURNAL).splitlines() if (words := line.split())]


def installed(board: ReachedBoard) -> dict[str, str]:
    text = board.shell("dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\\n'")
    return {words[0]: words[1] for line in text.splitlines() if (words := line.split())[2][1] == "i"}


def files(board: ReachedBoard) -> str:
    """Return digests of all that a rollout must not touch."""
    return board.shell("cat /var/lib/dpkg/status; find /etc /usr/local -type f -exec sha256sum {} + | sort -k 2")
