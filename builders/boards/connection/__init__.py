"""The way to a board: OpenSSH's client, its host keys, and the errors that it reports."""

from builders.boards.connection.errors import (
    BoardError,
    Busy,
    HostKeyError,
    LineLost,
    LoginRefused,
    NoForwarding,
    SudoRefused,
    Unreachable,
)
from builders.boards.connection.known_hosts import FILE as KNOWN_HOSTS
from builders.boards.connection.known_hosts import HostKey, KnownHosts
from builders.boards.connection.ssh import Reply, Ssh, Stop

__all__ = [
    "KNOWN_HOSTS", "BoardError", "Busy", "HostKey", "HostKeyError", "KnownHosts", "LineLost", "LoginRefused",
    "NoForwarding", "Reply", "Ssh", "Stop", "SudoRefused", "Unreachable",
]  # fmt: skip
