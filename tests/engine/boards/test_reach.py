"""Boards that cannot be reached or entered: each says why, and the others go on. Real ssh, sshd and sudo."""

import re
import socket
import subprocess
from pathlib import Path

from builders.boards.connection import HostKey, Ssh
from builders.boards.connection.sockets import sockets_folder
from builders.boards.inventory import load_inventory
from tests.support.board_project import BoardProject, installed
from tests.support.light_board import USER, LightBoard, moved
from tests.support.ports import free_port


def other_key(folder: Path) -> Path:
    """Return a new private key."""
    path = folder / "other_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
    return path


def ends(output: str) -> dict[str, tuple[str, str]]:
    """Return the last state of each board and its reason, from the table at the end of a rollout."""
    table = output[output.rindex("\nrollout ") :]
    found = re.findall(r"^ *(\S+) +(good|skipped|failed|broken|lost|rolled-back) *(.*)$", table, re.M)
    return {board: (state, reason) for board, state, reason in found}


def test_each_fault_of_a_connection_has_its_words_and_other_boards_go_on(project: BoardProject) -> None:
    one, other = project.boards["one"], other_key(project.folder)
    mute = socket.create_server(("127.0.0.1", free_port()))
    twin = project.connection(one)
    project.more = {
        "stranger": twin | {"ansible_ssh_common_args": "-o SetEnv=A=1"},
        "nobody": twin | {"ansible_user": "nobody-here"},
        "refused": twin
        | {"ansible_ssh_private_key_file": str(other), "ansible_ssh_common_args": "-o IdentitiesOnly=yes"},
        "keyless": twin | {"ansible_ssh_private_key_file": "/nowhere/key", "ansible_ssh_common_args": "-o SetEnv=A=2"},
        "closed": twin | {"ansible_port": free_port()},
        "mute": twin | {"ansible_port": mute.getsockname()[1]},
        "nameless": {"ansible_host": "no-such-host.invalid"},
    }
    project.more["nobody"]["ansible_ssh_common_args"] = "-o SetEnv=A=3"
    known = project.known_hosts
    for name in project.more:
        if name != "stranger":
            known.replace(name, known.keys("one"))
    kind, text = other.with_suffix(".pub").read_text().split()[:2]
    known.replace("two", [HostKey(kind, text)])
    with mute:
        found = ends(output := project.inv("install-boards", "--most-failures", "9", status=15))
    assert found["one"] == ("good", "")
    expected = {
        "two": ("failed", "its host key has changed: it was SHA256:"),
        "stranger": ("failed", "its host key is unknown; compare it with the board's own"),
        "nobody": (
            "failed",
            f"it does not accept the login; copy a public key to it: ssh-copy-id -p {one.port} nobody-here@127.0.0.1",
        ),
        "refused": ("failed", "it does not accept the login; copy a public key"),
        "keyless": ("failed", "the private key cannot be used; correct ansible_ssh_private_key_file:"),
        "closed": ("skipped", "nothing listens at its ssh port; start ssh on the board"),
        "mute": ("skipped", "it does not answer; switch it on"),
        "nameless": ("skipped", "no such machine; correct ansible_host:"),
    }
    for name, (state, reason) in expected.items():
        assert found[name][0] == state, output
        assert found[name][1].startswith(reason), output
    assert "Permission denied (publickey" in output
    assert "5 of 9 boards failed" in output
    assert "Traceback" not in output


def test_sudo_that_asks_refuses_or_is_missing(project: BoardProject) -> None:
    one = project.boards["one"]
    check = ("check-boards", "--board", "one")
    one.shell(f"echo '{USER} ALL=(ALL) ALL' >/etc/sudoers.d/{USER}")
    assert "one:\n    error: sudo asks for a password: run the command with --ask-sudo" in project.inv(
        *check, status=15
    )
    status, wrong = project.typed("blueberry", *check, "--ask-sudo")
    assert (status, "error: sudo does not accept the password" in wrong) == (15, True), wrong
    status, right = project.typed("raspberry", *check, "--ask-sudo")
    assert (status, "one: Debian" in right) == (0, True), right
    assert "raspberry" not in right
    one.shell(f"rm /etc/sudoers.d/{USER}")
    status, refused = project.typed("raspberry", *check, "--ask-sudo")
    assert (status, "error: its user may not run sudo" in refused) == (15, True), refused
    one.shell("mv /usr/bin/sudo /usr/bin/sudo.away")
    assert "one:\n    error: sudo is not installed on it: install sudo, or" in project.inv(*check, status=15)


def test_a_shell_that_prints_a_banner_and_another_address(
    project: BoardProject, boards: dict[str, LightBoard]
) -> None:  # fmt: skip
    one = boards["one"]
    one.shell(
        f"printf 'echo reef-start noise; echo reef-reply; echo more >&2\\n' >/home/{USER}/.bashrc; "
        "echo 'Connection refused: REMOTE HOST IDENTIFICATION HAS CHANGED' >/etc/reef-banner; "
        "echo 'Banner /etc/reef-banner' >/etc/ssh/sshd_config.d/banner.conf"
    )
    moved(one)
    project.inv("install-boards", "--board", "one")
    assert installed(one)["demo"] == "1.0-1"


def test_the_way_through_ssh_opens_after_the_shared_connection_ended(project: BoardProject) -> None:
    project.write()
    (board,) = load_inventory(project.folder).select(["one"], [])
    with sockets_folder() as sockets, socket.create_server(("127.0.0.1", free_port())) as repository:
        ssh = Ssh(board, project.known_hosts.path, sockets)
        assert ssh.run("true").status == 0
        ssh.close()  # as it ends by itself while the canary takes its time
        port = ssh.forward(repository.getsockname()[1])
        with socket.create_connection(("127.0.0.1", port)):  # a light board shares this machine's loopback
            repository.settimeout(60)
            repository.accept()[0].close()
        ssh.close()
