"""Errors of the way to a board, by the texts of OpenSSH 9.2 and 10.0, and sudo 1.9, as they print them."""

import pytest

from builders.boards.connection import (
    BoardError,
    HostKeyError,
    LineLost,
    LoginRefused,
    Unreachable,
)
from builders.boards.connection.errors import ssh_error, sudo_error

CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Add correct host key in /work/boards.known_hosts to get rid of this message.
Offending ED25519 key in /work/boards.known_hosts:8
  remove with:
  ssh-keygen -f "/work/boards.known_hosts" -R "two"
Host key for two has changed and you have requested strict checking.
Host key verification failed.
"""


@pytest.mark.parametrize(
    ("text", "kind", "what"),
    [
        (CHANGED, HostKeyError, "its host key is another than before"),
        ("No ED25519 host key is known for two and you have requested strict checking.\r\n"
         "Host key verification failed.",
         HostKeyError, "its host key is unknown"),
        ("ssh: Could not resolve hostname two.invalid: Name or service not known", Unreachable, "no such machine"),
        ("ssh: connect to host 127.0.0.1 port 22: Connection refused", Unreachable, "nothing listens at its ssh port"),
        ("ssh: connect to host 10.0.0.9 port 22: No route to host", Unreachable, "it does not answer"),
        ("ssh: connect to host 10.0.0.9 port 22: Connection timed out", Unreachable, "it does not answer"),
        ("Connection timed out during banner exchange\nConnection to 127.0.0.1 port 22 timed out", Unreachable,
         "it does not answer"),
        ("pi@127.0.0.1: Permission denied (publickey,password).", LoginRefused, "it does not accept the login"),
        ("Received disconnect from 10.0.0.9 port 22:2: Too many authentication failures", LoginRefused,
         "it does not accept the login"),
        ("Warning: Identity file /nowhere/key not accessible: No such file or directory.\n"
         "pi@127.0.0.1: Permission denied (publickey).", LoginRefused, "the private key cannot be used"),
        ('Load key "/home/a/key": Permission denied\npi@127.0.0.1: Permission denied (publickey).', LoginRefused,
         "the private key cannot be used"),
        ("Unable to negotiate with 10.0.0.9 port 22: no matching host key type found. "
         "Their offer: ssh-rsa", Unreachable,
         "its ssh is too old for this machine's"),
        ("/home/a/.ssh/config: line 3: Bad configuration option: porxyjump\n"
         "/home/a/.ssh/config: terminating, 1 bad configuration options", Unreachable,
         "ssh does not take its configuration"),
        ("kex_exchange_identification: read: Connection reset by peer", Unreachable,
         "it closed the connection before the login"),
        ("client_loop: send disconnect: Broken pipe", LineLost, "the connection broke off"),
        ("Timeout, server 10.0.0.9 not responding.", LineLost, "the connection broke off"),
        ("", LineLost, "ssh ended"),
    ],
)  # fmt: skip
def test_a_failure_of_ssh(text: str, kind: type[BoardError], what: str) -> None:
    error = ssh_error("two", "pi@10.0.0.9", text)
    assert (type(error), error.what) == (kind, f"two: {what}")
    assert error.fix
    assert error.exit_code == 15


@pytest.mark.parametrize(("destination", "words"), [
    ("pi@pi5", "ssh-copy-id pi@pi5;"), ("pi@pi5:22", "ssh-copy-id -p 22 pi@pi5;"), ("fe80::1", "ssh-copy-id fe80::1;"),
])  # fmt: skip
def test_advice_to_copy_a_key_is_a_command(destination: str, words: str) -> None:
    assert words in ssh_error("two", destination, "pi@10.0.0.9: Permission denied (publickey).").fix


def test_advice_to_remove_keys_is_not_shown() -> None:
    detail = ssh_error("two", "two", CHANGED).detail
    assert "SOMEONE IS DOING SOMETHING NASTY" in detail
    assert "@@@" not in detail
    assert "-R" not in detail


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("sudo: a password is required", "sudo asks for a password"),
        ("Sorry, try again.\nsudo: no password was provided\nsudo: 1 incorrect password attempt",
         "sudo does not accept the password"),
        ("pi is not in the sudoers file.", "its user may not run sudo"),
        ("Sorry, user pi is not allowed to execute '/usr/bin/sh' as root on board.", "its user may not run sudo"),
        ("sh: 1: exec: sudo: not found", "sudo is not installed on it"),
        ("sh: line 1: exec: sudo: not found", "sudo is not installed on it"),
    ],
)  # fmt: skip
def test_a_failure_of_sudo(text: str, what: str) -> None:
    error = sudo_error("two", text)
    assert error
    assert (error.what, error.exit_code) == (f"two: {what}", 15)
    assert error.fix


def test_another_failure_is_none_of_sudo() -> None:
    assert sudo_error("two", "E: Unable to locate package demo") is None
