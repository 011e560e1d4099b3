"""Virtual boards of tests: whole arm64 machines with real systemd, each resumed from one saved state of the cache.

They are slow: a login takes 2 s, a start after pulled power a minute. No more than `MOST` run at once.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from builders.boards.api import Ssh
from builders.pipeline.project import Project
from builders.pipeline.virtual_board import reach
from builders.pipeline.virtual_board.image import Image, image
from builders.pipeline.virtual_board.machine import VirtualBoard
from builders.pipeline.virtual_board.saved import saved_state
from tests.support.checkout import RUN
from tests.support.ports import free_port

MOST = 2
"""Boards that run at once in all processes of a test run: more would starve each other."""
WAIT_S = 3600


@dataclass
class TestedBoard:
    """A running virtual board, and the shell of its root. Its clock is right at first."""

    __test__ = False
    name: str
    machine: VirtualBoard
    _stack: ExitStack = field(default_factory=ExitStack)
    _ssh: Ssh | None = None

    @property
    def port(self) -> int:
        return self.machine.port

    @property
    def identity(self) -> Path:
        return self.machine.image.identity

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the host key, as ssh-keygen shows it."""
        return reach.host_key(self.machine).fingerprint

    def shell(self, script: str, *, status: int = 0, timeout_s: float = 600) -> str:
        """Run a script as root on the board and return what it prints; it must end with ``status``."""
        reply = self.ssh.run(f"exec </dev/null\n{script}", timeout_s=timeout_s)
        assert reply.status == status, reply.output + reply.errors
        return reply.output

    @property
    def ssh(self) -> Ssh:
        """A connection of the test's own, made at its first use."""
        if self._ssh is None:
            self._ssh = self._stack.enter_context(reach.connected(self.machine, self.name))
        return self._ssh

    def until_console(self, text: str, since: int = 0) -> None:
        """Wait until the board prints a text on its console, after the first ``since`` characters."""
        console, limit = self.machine.console, time.monotonic() + WAIT_S
        while text not in console.read_text(errors="replace")[since:]:
            assert time.monotonic() < limit, console.read_text(errors="replace")[since:]
            time.sleep(0.2)

    def pull_power(self) -> None:
        """End the board at once; its disk stays."""
        self._stack.close()
        self._ssh = None
        self.machine.stop()

    def start(self) -> None:
        """Start the board from its disk, and return once systemd has started everything; its port stays."""
        self.machine.boot()
        reach.wait_until_started(self.machine, self.ssh)


def saved_board(project: Project) -> tuple[Image, Path]:
    """Return the image and the saved state of virtual boards, which the cache has after the first test."""
    found = image(project)
    return found, saved_state(project, found)


@contextmanager
def virtual_boards(project: Project, folder: Path, names: Sequence[str]) -> Iterator[dict[str, TestedBoard]]:
    """Run boards, by their names, for as long as the block takes; waits until few enough others run."""
    assert len(names) <= MOST
    found, saved = saved_board(project)
    with places(len(names)), ExitStack() as stack:
        boards = {name: TestedBoard(name, VirtualBoard(found, folder / name, port=free_port())) for name in names}
        for board in boards.values():
            stack.callback(board.pull_power)
            board.machine.boot(saved)
        for board in boards.values():
            reach.wait_until_started(board.machine, board.ssh)
            reach.set_clock(board.ssh)
            reach.make_own(board.ssh)
        yield boards


@contextmanager
def places(number: int) -> Iterator[None]:
    """Hold places for boards. All are taken under one lock, so that no two tests wait for each other's second."""
    folder = RUN / "virtual"
    with ExitStack() as held:
        with FileLock(folder / "boards.lock", timeout=WAIT_S):
            until = time.monotonic() + WAIT_S
            while len(free := _free(folder)) < number:
                for place in free:
                    place.release()
                assert time.monotonic() < until, "other virtual boards run on and on"
                time.sleep(0.5)
            for place in free[number:]:
                place.release()
            for place in free[:number]:
                held.callback(place.release)
        yield


def _free(folder: Path) -> list[FileLock]:
    """Return the free places, now locked."""
    found = []
    for number in range(MOST):
        lock = FileLock(folder / f"board-{number}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            continue
        found.append(lock)
    return found
