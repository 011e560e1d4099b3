"""Commands on a board through OpenSSH's client, over one shared connection (ControlMaster of ssh_config(5))."""

import hashlib
import re
import shlex
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from builders.boards.connection.errors import (
    BoardError,
    LineLost,
    NoForwarding,
    Unreachable,
    ssh_error,
    sudo_error,
    with_fingerprints,
)
from builders.boards.connection.known_hosts import KnownHosts
from builders.boards.inventory import Board
from builders.host import process

SSH_FAILED = 255
CONNECT_S = 15
OPTIONS = (
    "BatchMode=yes", f"ConnectTimeout={CONNECT_S}", "ServerAliveInterval=15", "ServerAliveCountMax=4",
    "StrictHostKeyChecking=yes", "UpdateHostKeys=no", "ForwardAgent=no", "ForwardX11=no", "RequestTTY=no",
    "ControlMaster=auto", "ControlPersist=60", "LogLevel=INFO",
)  # fmt: skip
"""Before the user's own options: ssh takes the first value of each."""
REPLY = "reef-reply"
"""The line before a program's output; whatever is printed before it came from the board's own shell."""
START = "reef-start"
"""The line before a program's input. sudo reads the password before it, or, if it needs none, leaves that there."""
BEGIN = f'while IFS= read -r line && [ "$line" != {START} ]; do :; done; echo {REPLY}; exec "$@"'
AS_ROOT = (
    'export LC_ALL=C; if [ "$(id -u)" -eq 0 ]; then exec sh -c "$begin" reef "$@"; '
    'else exec sudo {options} -- sh -c "$begin" reef "$@"; fi'
)
UNPACK = 'umask 022; mkdir -p -- "$1" && exec tar -x -f - -C "$1"'


class Stop:
    """The end of all work with boards, which Ctrl-C asks for."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def ask(self) -> None:
        self._asked.set()

    def check(self) -> None:
        """Raise KeyboardInterrupt after `ask`."""
        if self._asked.is_set():
            raise KeyboardInterrupt

    def wait(self, seconds: float) -> None:
        """Return after so many seconds; raises as `check`."""
        self._asked.wait(seconds)
        self.check()


@dataclass(frozen=True)
class Reply:
    """The end of a script on a board: its exit status and what it printed."""

    status: int
    output: str
    errors: str


@dataclass
class Ssh:
    """A board's connection. ``sockets`` is a private folder with a short path; ``password`` is that for sudo."""

    board: Board
    known_hosts: Path
    sockets: Path
    stop: Stop = field(default_factory=Stop)
    password: str | None = None
    round_trips: int = 0

    def run(
        self, script: str, words: Sequence[str] = (), *, timeout_s: float = 60, root: bool = True
    ) -> Reply:  # fmt: skip
        """Run a shell script on the board, with ``words`` as its arguments, and return its end.

        The script travels on standard input, so it must not read from there. Raises a BoardError if ssh or sudo fails,
        or at the end of ``timeout_s``.
        """
        return self._run(["sh", "-s", "--", *words], script.encode(), timeout_s, root=root)

    def send(self, content: bytes | Path, folder: str, *, timeout_s: float = 3600) -> None:
        """Unpack a tar archive into a ``folder`` of the board, as root; raises as `run`."""
        reply = self._run(["sh", "-c", UNPACK, "tar", folder], content, timeout_s, root=True)
        if reply.status:
            raise BoardError(
                f"{self.board}: files do not arrive in {folder}", reply.errors[-2000:], "free some space on the board"
            )

    def forward(self, port: int) -> int:
        """Let the board reach ``port`` of this machine's loopback, and return the port of its own loopback.

        Raises NoForwarding if the board's ssh server does not allow it, else as `run`.
        """
        if self._control("check").returncode:  # the shared connection ends by itself after a time without use
            self.run("true", root=False)
        answer = self._control("forward", "-R", f"127.0.0.1:0:127.0.0.1:{port}")
        found = re.search(rb"\b(\d+)\b", answer.stdout)
        if answer.returncode or not found:
            raise NoForwarding(
                f"{self.board}: its ssh server forwards no ports",
                answer.stderr[-2000:],
                "set AllowTcpForwarding yes in its sshd_config, or reef_offline: true in boards.yml",
            )
        return int(found[1])

    def close(self) -> None:
        """End the shared connection, if there is one."""
        self._control("exit")

    @property
    def own_host_keys(self) -> tuple[str, str]:
        """The options of ssh that name the board's host keys."""
        # ssh accepts several files here, separated by blanks, and replaces what follows a %.
        path = str(self.known_hosts).replace("%", "%%")
        return f'UserKnownHostsFile="{path}"', f"HostKeyAlias={self.board.name}"

    def argv(self, *more: str) -> list[str]:
        """Return ssh's command line without the remote command."""
        words = [word for option in (*OPTIONS, *self.own_host_keys) for word in ("-o", option)]
        words += ["-o", f"ControlPath={self._socket}", *more]
        return ["ssh", *words, *self._address]

    @property
    def login(self) -> list[str]:
        """The command line that logs in to the board by hand."""
        return ["ssh", *(word for option in self.own_host_keys for word in ("-o", option)), *self._address]

    @property
    def _address(self) -> list[str]:
        keys, words = self.board.keys, []
        if keys.ansible_port:
            words += ["-p", str(keys.ansible_port)]
        if keys.ansible_user:
            words += ["-l", keys.ansible_user]
        if keys.ansible_ssh_private_key_file:
            # Else ssh offers every key of an agent first, and servers end a login after six.
            words += ["-i", keys.ansible_ssh_private_key_file, "-o", "IdentitiesOnly=yes"]
        return [*words, *shlex.split(keys.ansible_ssh_common_args or ""), self.board.host]

    @property
    def _socket(self) -> Path:
        """A name of the board's own: ssh's %C is the same for boards of one address behind different jump hosts."""
        return self.sockets / hashlib.sha256(self.board.name.encode()).hexdigest()[:12]

    def _run(self, program: Sequence[str], content: bytes | Path, timeout_s: float, *, root: bool) -> Reply:
        """Run a program that reads ``content``; raises as `run`."""
        self.stop.check()
        self.round_trips += 1
        remote = _remote(program, root=root, password=self.password is not None)
        prefix = f"{self.password or ''}\n{START}\n".encode()
        answer = process.ask(
            [*self.argv(), remote], given=[prefix, content], timeout_s=timeout_s + CONNECT_S, on_sample=self.stop.check
        )
        if answer.timed_out:
            raise Unreachable(
                f"{self.board}: no answer within {timeout_s:.0f} s", answer.stderr[-2000:], "run the same command again"
            )
        if answer.returncode == SSH_FAILED:
            raise self._failed(answer.stderr)
        noise, mark, output = answer.stdout.decode(errors="replace").partition(f"{REPLY}\n")
        if not mark:
            error = sudo_error(self.board.name, answer.stderr) if root else None
            raise error or LineLost(
                f"{self.board}: the command did not start",
                f"{noise}{answer.stderr}"[-2000:],
                f"log in by hand and look: ssh {self.board.destination}",
            )
        return Reply(answer.returncode, output, answer.stderr)

    def _failed(self, text: str) -> BoardError:
        error = ssh_error(self.board.name, self.board.destination, text)
        recorded = KnownHosts(self.known_hosts).keys(self.board.name)
        return with_fingerprints(error, text, [key.fingerprint for key in recorded])

    def _control(self, command: str, *words: str) -> process.Answer:
        return process.ask([*self.argv("-O", command, *words)], timeout_s=CONNECT_S)


def _remote(program: Sequence[str], *, root: bool, password: bool) -> str:
    """Return the command for the board's login shell, whichever that is, which starts a program."""
    arguments = shlex.join(["reef", *program])
    if not root:
        return f"exec sh -c {shlex.quote(BEGIN)} {arguments}"
    options = "-S -p ''" if password else "-n"
    script = f"begin={shlex.quote(BEGIN)}; {AS_ROOT.format(options=options)}"
    return f"exec sh -c {shlex.quote(script)} {arguments}"
