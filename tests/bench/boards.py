"""Measures rollouts beside the same work by hand over ssh, on light boards. Part of ``./inv bench --boards``.

Each figure stands beside its peer of the same run, in turns. What a command costs before it reaches a board is left out
of the figures for one board, and told apart.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from builders.apt import api as apt
from builders.apt.keys.signing import signing_key
from builders.boards.api import Options, Ssh, waves
from builders.host.log import Log
from builders.model.settings import Settings
from builders.pipeline import fleet as fleets
from builders.pipeline.project import Project
from tests.bench.budget import Budget, exit_code, tell
from tests.support.board_project import BoardProject
from tests.support.checkout import CACHE
from tests.support.many_boards import many_boards
from tests.support.repository import Publisher

BOARDS, TIMES = 20, 7
MOST_TRIPS, MOST_LOGINS, MOST_FLEET, MOST_INSTALL, MOST_MB = 6, 3.0, 4.0, 1.3, 60.0
PACKAGES, FILES, CONTENT = 8, 1000, 4_000_000
"""What is installed: packages of so many files, one of them of so many characters. That takes a board some seconds."""
BY_HAND = """
set -e
cat >/etc/apt/sources.list.d/by-hand.sources <<END
Types: deb
URIs: {url}
Suites: trixie
Components: main
Signed-By: /usr/share/keyrings/by-hand.gpg
END
apt-get -q -o Dir::Etc::sourcelist=/etc/apt/sources.list.d/by-hand.sources -o Dir::Etc::sourceparts=- update
apt-get -qy --no-install-recommends install {names}
"""
"""The keyring is there already."""


@dataclass(frozen=True)
class Bench:
    """Boards, the project that installs on them, and its published packages."""

    boards: BoardProject
    names: tuple[str, ...]

    def publish(self, version: str) -> None:
        """Publish all packages in a version, with contents that do not compress."""
        debs = [
            self.boards.publisher.deb(
                name, version, "amd64", content=os.urandom(CONTENT // 2).hex(),
                files=[f"usr/share/{name}/{number}" for number in range(FILES)],
            )
            for name in self.names
        ]  # fmt: skip
        self.boards.publish(*debs)

    @property
    def project(self) -> Project:
        return Project.open(self.boards.folder, Log(quiet=True), without_recipes=True)

    @contextmanager
    def ssh(self, name: str) -> Iterator[Ssh]:
        """Give the connection of a board, which is not open yet."""
        with fleets.opened(self.project) as fleet:
            yield fleet.ssh(*fleet.inventory.select([name], []))


def main() -> None:
    """Take all measurements, print them with their budgets, and judge them."""
    log = Log()
    with tempfile.TemporaryDirectory(prefix="rb", dir="/tmp", ignore_cleanup_errors=True) as name:
        place = Path(name)
        os.environ["REEF_GNUPGHOME"] = f"{place}/home"
        (place / "project").mkdir()
        (place / "roots").mkdir()
        (place / "roots" / "reef.yml").write_text(f"cache: {CACHE}\n")
        roots = Project.open(place / "roots", Log(quiet=True), settings_alone=True)
        publisher = Publisher(place / "project", signing_key(Settings(), Log(quiet=True)), Log(quiet=True))
        log.note(f"starting {BOARDS} light boards")
        with many_boards(roots, place / "boards", BOARDS) as boards:
            names = tuple(f"demo-{number}" for number in range(PACKAGES))
            bench = Bench(BoardProject(publisher, boards, {"reef_packages": list(names)}), names)
            bench.boards.trust()
            budgets = [*_install(bench), *_unchanged(bench), *_fleet(bench)]
    tell(budgets, log, "boards")
    sys.exit(exit_code(budgets, sys.argv))


def _install(bench: Bench) -> list[Budget]:
    """Install on one board with Reef, and on others by hand."""
    bench.publish("1.0-1")
    by_hand, reef, peaks, cpu = [], [], [], []
    for number in range(1, 4):
        by_hand.append(_seconds(partial(_by_hand, bench, f"board-{number + 10}")))
        taken, peak, spent = _command(bench, "install-boards", "--board", f"board-{number:02}")
        reef.append(taken)
        peaks.append(peak)
        cpu.append(spent)
    start, _, _ = _command(bench, "hold-boards")
    hand, command = min(by_hand), min(reef)
    return [
        Budget("install, of the same apt-get by hand", (command - start) / hand, MOST_INSTALL,
               note=f"{command - start:.1f} s of {hand:.1f} s, and {start:.1f} s to start; CPU here {min(cpu):.1f} s"),
        Budget("the controller's own memory, install-boards", max(peaks) / 1e6, MOST_MB, "MB"),
    ]  # fmt: skip


def _by_hand(bench: Bench, name: str) -> None:
    board = bench.boards.boards[name]
    with apt.serving(bench.project.workspace.apt, host="127.0.0.1") as url, bench.ssh(name) as ssh:
        keyring = bench.boards.publisher.keyring.read_bytes()
        board.path("/usr/share/keyrings/by-hand.gpg").write_bytes(keyring)  # type: ignore[attr-defined] # a light board
        reply = ssh.run(BY_HAND.format(url=url, names=" ".join(bench.names)), timeout_s=600)
        assert reply.status == 0, reply.output + reply.errors


def _unchanged(bench: Bench) -> list[Budget]:
    """Roll out on a board on which nothing changes, in turns with a login."""
    logins, rollouts, trips = [], [], 0
    for _ in range(TIMES):
        with bench.ssh("board-01") as ssh:
            words = ["ssh", "-o", "ControlMaster=no", "-o", "ControlPath=none", *ssh.argv()[1:], "true"]
            logins.append(_seconds(partial(subprocess.run, words, check=True)))
        with fleets.opened(bench.project) as fleet:
            boards = fleet.inventory.select(["board-01"], [])
            order = waves(fleet.inventory, boards, None, None)
            with fleets.rollout(fleet, order, Options()) as run:
                rollouts.append(_seconds(run.plan) + _seconds(partial(run.go, order)))
                assert run.outcomes["board-01"].reason == "unchanged"
            trips = 1 + fleet.ssh(boards[0]).round_trips
    login, rollout = statistics.median(logins), statistics.median(rollouts)
    return [
        Budget("nothing changes: round trips, with the login", trips, MOST_TRIPS),
        Budget("nothing changes, of one login", rollout / login, MOST_LOGINS,
               note=f"{1000 * rollout:.0f} ms of {1000 * login:.0f} ms"),
    ]  # fmt: skip


def _fleet(bench: Bench) -> list[Budget]:
    """Roll out on all boards, in turns with one, after all have the packages."""
    side_by_side = ["--canary", "0", "--batch", str(BOARDS)]
    _command(bench, "install-boards", *side_by_side)
    pairs = [
        (_command(bench, "install-boards", *side_by_side)[0],
         _command(bench, "install-boards", "--board", "board-01")[0])
        for _ in range(3)
    ]  # fmt: skip
    many, one = (min(times) for times in zip(*pairs, strict=True))
    note = f"{many:.1f} s of {one:.1f} s"
    return [Budget(f"nothing changes, {BOARDS} boards of one", many / one, MOST_FLEET, note=note)]


def _seconds(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def _command(bench: Bench, *words: str) -> tuple[float, int, float]:
    """Run a command; return its seconds, the peak of its own process's resident bytes, and its own CPU seconds."""
    started = time.monotonic()
    child = bench.boards.start(*words)
    process, peak, cpu = psutil.Process(child.pid), 0, 0.0
    while child.poll() is None:
        try:
            peak = max(peak, process.memory_info().rss)
            cpu = sum(process.cpu_times())
        except psutil.NoSuchProcess:
            break
        time.sleep(0.02)
    output, _ = child.communicate()
    assert child.returncode == 0, output
    return time.monotonic() - started, peak, cpu


if __name__ == "__main__":
    main()
