"""Failures on the way to a board. Each names its cause in words, from the texts that ssh and sudo print."""

import re
from collections.abc import Mapping, Sequence

from builders.errors import ReefError


class BoardError(ReefError):
    """A board cannot be reached, checked or installed."""

    exit_code = 15


class Unreachable(BoardError):
    """A board does not answer: it is switched off, asleep, or has another address."""


class LineLost(BoardError):
    """A connection ended while a command ran; the board may go on with it."""


class NoForwarding(BoardError):
    """A board's ssh server forwards no ports."""


class HostKeyError(BoardError):
    """A board's host key is unknown, or another than before."""


class LoginRefused(BoardError):
    """A board does not accept the user or the key."""


class SudoRefused(BoardError):
    """The user may not become root on a board."""


class Busy(BoardError):
    """Another rollout is at work on a board."""


TRUST = "compare it with the board's own: ./inv trust-boards --board {board}"
SENT = re.compile(r"sent by the remote host is\s+(SHA256:\S+?)\.?\s")
"""ssh's words for the key that it refused."""
REASONS: tuple[tuple[str, type[BoardError], str, str], ...] = (
    ("REMOTE HOST IDENTIFICATION HAS CHANGED|Offending .* key in", HostKeyError,
     "its host key is another than before", "./inv trust-boards --board {board} shows both keys"),
    ("No .* host key is known for|Host key verification failed", HostKeyError, "its host key is unknown", TRUST),
    ("Could not resolve hostname", Unreachable, "no such machine", "correct ansible_host: in boards.yml"),
    ("Connection refused", Unreachable, "nothing listens at its ssh port",
     "start ssh on the board (sudo systemctl enable --now ssh), or correct ansible_port:"),
    ("[Nn]o route to host|Network is unreachable|Host is down|[Oo]peration timed out|Connection timed out|"
     "timed out during banner exchange", Unreachable, "it does not answer",
     "switch it on, or correct ansible_host:; other boards go on without it"),
    ("Load key .*: (?:Permission denied|invalid format|error in libcrypto)|UNPROTECTED PRIVATE KEY|"
     "Identity file .* not accessible", LoginRefused, "the private key cannot be used",
     "correct ansible_ssh_private_key_file:, or the file's permissions (chmod 600)"),
    ("Permission denied \\(|Too many authentication failures|Authentication failed|no mutual signature", LoginRefused,
     "it does not accept the login", "copy a public key to it: ssh-copy-id {login}; or correct ansible_user:"),
    ("no matching (?:host key type|key exchange method|cipher|MAC) found|Unable to negotiate", Unreachable,
     "its ssh is too old for this machine's", "update ssh on the board, or allow its algorithm in ~/.ssh/config"),
    ("Bad configuration option|Bad owner or permissions on|terminating, \\d+ bad configuration|"
     "command-line: line|unknown option|illegal option", Unreachable, "ssh does not take its configuration",
     "correct ~/.ssh/config or ansible_ssh_common_args:"),
    ("kex_exchange_identification|ssh_exchange_identification|Connection (?:reset|closed) by", Unreachable,
     "it closed the connection before the login", "run the same command again; look into its log: journalctl -u ssh"),
    ("client_loop|Broken pipe|Timeout, server .* not responding|mux_client|Connection to .* closed", LineLost,
     "the connection broke off", "run the same command again: it continues"),
)  # fmt: skip
SUDO: tuple[tuple[str, str, str], ...] = (
    ("incorrect password|Sorry, try again", "sudo does not accept the password",
     "run the command again with --ask-sudo"),
    ("a password is required|no password was provided|a terminal is required", "sudo asks for a password",
     "run the command with --ask-sudo, or let the user run sudo without a password"),
    ("is not in the sudoers file|may not run sudo|is not allowed to", "its user may not run sudo",
     "add the user to the group sudo on the board, or set ansible_user: root"),
    ("sudo: .*not found|sudo: No such file", "sudo is not installed on it", "install sudo, or set ansible_user: root"),
)  # fmt: skip


UNSAID = re.compile("@@@|Add correct host key in|remove with:|ssh-keygen -f")


def ssh_error(board: str, destination: str, text: str) -> BoardError:
    """Return the error for ssh's own failure (its status 255) from what it printed."""
    for pattern, kind, what, fix in REASONS:
        if re.search(pattern, text):
            host, _, port = destination.rpartition(":")  # ssh-copy-id takes no port behind the host
            login = f"-p {port} {host}" if port.isdigit() and ":" not in host else destination  # IPv6 has more colons
            return kind(f"{board}: {what}", _shown(text), fix.format(board=board, login=login))
    return LineLost(f"{board}: ssh ended", _shown(text) or "it printed nothing", "run the same command again")


def with_fingerprints(error: BoardError, text: str, recorded: Sequence[str]) -> BoardError:
    """Return a HostKeyError that names the recorded keys and the one that the board sent, if ssh printed it."""
    sent = SENT.search(text)
    if not isinstance(error, HostKeyError) or not recorded:
        return error
    board = error.what.partition(": ")[0]
    now = f"it is {sent[1]}" if sent else "the board sends none of them"
    return HostKeyError(
        f"{board}: its host key has changed: it was {' or '.join(recorded)}, {now}", "",
        f"if the board was set up again, {TRUST.format(board=board)}; if not, another machine answers for it",
    )  # fmt: skip


def sudo_error(board: str, text: str) -> SudoRefused | None:
    """Return the error for sudo's failure from what it printed, None if it printed none."""
    for pattern, what, fix in SUDO:
        if re.search(pattern, text):
            return SudoRefused(f"{board}: {what}", _shown(text), fix)
    return None


def _shown(text: str) -> str:
    """Return ssh's lines without its frame of '@' signs and without its advice to remove keys."""
    lines = [line.strip() for line in text.replace("\r", "\n").splitlines()]
    return "\n".join(line for line in lines if line and not UNSAID.match(line))[:2000]


def in_words(errors: Mapping[str, BoardError]) -> str:
    """Return a line for each board with its error."""
    return "\n".join(error.what for error in errors.values())
