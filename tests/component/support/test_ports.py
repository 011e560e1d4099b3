"""Ports for the servers of tests."""

import socket
import subprocess
import sys

from tests.support import ports

GIVE_FIVE = "from tests.support.ports import free_port; print(*(free_port() for _ in range(5)), flush=True); input()"


def test_no_port_is_given_twice_while_its_process_runs() -> None:
    others = [
        subprocess.Popen([sys.executable, "-c", GIVE_FIVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    given = [ports.free_port() for _ in range(5)]
    for other in others:
        assert other.stdout
        given += [int(word) for word in other.stdout.readline().split()]
    for other in others:
        other.communicate("\n", timeout=60)
    assert len(set(given)) == 20


def test_a_port_is_none_of_those_that_the_kernel_gives_to_others() -> None:
    # Its default (ip(7)); the range of a machine may be set to begin lower.
    assert ports.FIRST <= ports.free_port() <= ports.LAST < 32768


def test_a_port_in_use_is_passed_over() -> None:
    # Servers of earlier tests may still occupy some ports of the block.
    taken = ports.free_port()
    with socket.create_server(("127.0.0.1", taken)):
        given = {ports.free_port() for _ in range(ports.BLOCK)}
    assert taken not in given
    assert len(given) > ports.BLOCK / 2
