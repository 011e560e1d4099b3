"""First contact: the host key that a board offers, without a login."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from builders.boards.connection.errors import ssh_error
from builders.boards.connection.known_hosts import HostKey, parse
from builders.boards.connection.ssh import CONNECT_S, Ssh
from builders.boards.inventory import Board
from builders.host import process

ALGORITHMS = {"ssh-rsa": "rsa-sha2-512,rsa-sha2-256"}
"""The algorithms of a type of key, where they have other names (ssh_config(5), HostKeyAlgorithms)."""


def offered_key(ssh: Ssh, known: Sequence[HostKey] = ()) -> HostKey:
    """Return the host key that a board offers now; raises a BoardError if it cannot be reached.

    It is ssh's own choice among the board's keys, those of the ``known`` types first, through the same jump hosts as
    later connections.
    """
    with tempfile.TemporaryDirectory(prefix="reef-trust-") as name:
        scratch = Path(name) / "known_hosts"
        first = ("StrictHostKeyChecking=accept-new", f"UserKnownHostsFile={scratch}", "ControlMaster=no",
                 "ControlPath=none", "PreferredAuthentications=none", "GlobalKnownHostsFile=/dev/null")  # fmt: skip
        preferred = (
            [f"HostKeyAlgorithms=^{','.join(ALGORITHMS.get(key.kind, key.kind) for key in known)}"] if known else []
        )
        # ssh takes the first value of an option, so these come before its own.
        program, *rest = ssh.argv()
        argv = [program, *(word for option in (*first, *preferred) for word in ("-o", option)), *rest, "true"]
        answer = process.ask(argv, timeout_s=2 * CONNECT_S, on_sample=ssh.stop.check)
        if not scratch.exists():
            raise ssh_error(ssh.board.name, ssh.board.destination, answer.stderr)
        ((_, key), *_) = parse(scratch.read_text(), "ssh")
        return key


def known_to_user(board: Board, ssh: Ssh, key: HostKey) -> bool:
    """Return whether the user's own known_hosts has ``key`` for the board's address: the user compared it before."""
    asked = process.ask([*_without_own_files(ssh), "-G"], timeout_s=CONNECT_S)
    facts = dict(line.split(" ", 1) for line in asked.stdout.decode(errors="replace").splitlines() if " " in line)
    host, port = facts.get("hostname", board.host), facts.get("port", "22")
    name = host if port == "22" else f"[{host}]:{port}"
    for file in facts.get("userknownhostsfile", "").split():
        path = Path(file).expanduser()
        if not path.is_file():
            continue
        found = process.ask(["ssh-keygen", "-F", name, "-f", str(path)], timeout_s=CONNECT_S)
        if any(line.split()[1:3] == [key.kind, key.text] for line in found.stdout.decode(errors="replace").splitlines()
               if not line.startswith("#")):  # fmt: skip
            return True
    return False


def _without_own_files(ssh: Ssh) -> list[str]:
    """Return ssh's command line with the user's own files of host keys."""
    argv = ssh.argv()
    own = ssh.own_host_keys
    return [
        word for number, word in enumerate(argv)
        if word not in own and not (word == "-o" and argv[number + 1 : number + 2] and argv[number + 1] in own)
    ]  # fmt: skip
