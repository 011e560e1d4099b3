"""The ssh connection to a virtual board: waiting for its start, and making a resumed copy a board of its own."""

import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builders.boards.api import Board, BoardKeys, HostKey, KnownHosts, LineLost, Ssh, Unreachable
from builders.errors import HostError
from builders.pipeline.virtual_board.image import USER
from builders.pipeline.virtual_board.machine import VirtualBoard

START_S = 1800
"""A start takes a minute, on a busy machine ten."""
ANSWER_S = 300
STARTED = "systemctl is-system-running | grep -Eq '^(running|degraded)$'"
OWN = """
set -eu
printf '%s\n' "$1" >/etc/hostname
printf '%s' "$1" >/proc/sys/kernel/hostname
printf '127.0.0.1 localhost %s\n' "$1" >/etc/hosts
printf '%s\n' "$2" >/etc/machine-id
systemctl restart systemd-journald # journalctl reads the folder that has the id in its name
"""
# The state was saved without a way to other machines, so DHCP gave it no router.
ROUTER = """
systemctl restart systemd-networkd
until ip route | grep -q '^default'; do sleep 0.2; done
"""
CLOCK = 'date -u -s "@$1" >/dev/null'


def keys(board: VirtualBoard) -> dict[str, str | int]:
    """Return the keys of boards.yml with which a running virtual board is reached."""
    return {
        "ansible_host": "127.0.0.1", "ansible_port": board.port, "ansible_user": USER,
        "ansible_ssh_private_key_file": str(board.image.identity.resolve()),
    }  # fmt: skip


def host_key(board: VirtualBoard) -> HostKey:
    """Return the board's host key, which the image knows."""
    return HostKey(*board.image.host_key)


def as_board(board: VirtualBoard, name: str) -> Board:
    """Return a virtual board as boards.yml would have it."""
    return Board(name, (), BoardKeys.model_validate(keys(board)))


@contextmanager
def connected(board: VirtualBoard, name: str) -> Iterator[Ssh]:
    """Give a connection to a board, which ends with the block."""
    with tempfile.TemporaryDirectory(prefix="reef-ssh-") as folder:
        known = KnownHosts(Path(folder) / "known_hosts")
        known.replace(name, [host_key(board)])
        ssh = Ssh(as_board(board, name), known.path, Path(folder))
        try:
            yield ssh
        finally:
            ssh.close()


def wait_until_started(board: VirtualBoard, ssh: Ssh) -> None:
    """Return once systemd has started everything; raises HostError after half an hour, and if the board ends."""
    until = time.monotonic() + START_S
    while not _started(ssh):
        board.qmp.ask("query-status")
        if time.monotonic() > until:
            raise HostError("a virtual board does not start", board.console_tail, f"look at {board.console}")
        ssh.stop.wait(1)


def _started(ssh: Ssh) -> bool:
    try:
        return ssh.run(STARTED, root=False).status == 0
    except (LineLost, Unreachable):
        return False


def set_clock(ssh: Ssh) -> None:
    """Set the clock of a board, which stood still while the board was saved."""
    _done(ssh, CLOCK, str(int(time.time())))


def make_own(ssh: Ssh) -> None:
    """Give a copy of a saved board its own name and machine id (machine-id(5)), from which apt derives its phases."""
    _done(ssh, OWN, ssh.board.name, uuid.uuid4().hex)


def find_router(ssh: Ssh) -> None:
    """Let a board that is not ``offline`` ask for its router by DHCP."""
    _done(ssh, ROUTER)


def free_memory(ssh: Ssh) -> None:
    """Write out and forget what the board caches of its disk: the saved state becomes smaller."""
    _done(ssh, "sync; echo 3 >/proc/sys/vm/drop_caches")


def _done(ssh: Ssh, script: str, *words: str) -> None:
    reply = ssh.run(script, words, timeout_s=ANSWER_S)
    if reply.status:
        raise HostError(f"{ssh.board}: a virtual board does not obey", reply.errors[-2000:], "start another board")
