"""The boards of a project: published packages and recipes' gates, as rollouts use them."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from builders.apt import api as apt
from builders.boards.api import (
    KNOWN_HOSTS,
    Access,
    Archives,
    Board,
    BoardPlan,
    BoardRun,
    BoardTests,
    Display,
    Inventory,
    KnownHosts,
    Offer,
    Options,
    PublishedFile,
    Records,
    Rollout,
    RolloutRun,
    Ssh,
    Stop,
    Wave,
    load_inventory,
    read_holds,
    sockets_folder,
)
from builders.errors import InputError, nearest
from builders.model.recipe import Recipe
from builders.pipeline.bundle import Bundles
from builders.pipeline.project import Project

if TYPE_CHECKING:
    from builders.model.recipe import Gate

STAMP = "%Y%m%dT%H%M%SZ"


@dataclass
class Fleet:
    """A project's boards with their connections, which end with the block of `opened`."""

    project: Project
    inventory: Inventory
    sockets: Path
    password: str | None = None
    stop: Stop = field(default_factory=Stop)
    _connections: dict[str, Ssh] = field(default_factory=dict)

    @property
    def known_hosts(self) -> KnownHosts:
        """The boards' host keys, in a file beside boards.yml."""
        return KnownHosts(self.inventory.path.with_name(KNOWN_HOSTS))

    @property
    def records(self) -> Records:
        """The records of rollouts."""
        return Records(self.project.workspace.path / "boards")

    def ssh(self, board: Board) -> Ssh:
        """Return the connection of a board, which is made at its first use."""
        if board.name not in self._connections:
            self._connections[board.name] = Ssh(board, self.known_hosts.path, self.sockets, self.stop, self.password)
        return self._connections[board.name]

    @cached_property
    def offers(self) -> Mapping[str, Offer]:
        """The suites that were published when they were asked for first; raises PublishError if there is none."""
        return self.published()

    def published(self) -> Mapping[str, Offer]:
        """Return the suites that are published now, by name; raises PublishError if there is none."""
        url = self.project.settings.repository.url
        return {
            suite.name: Offer(
                suite.name, suite.stamp, suite.debs, PublishedFile(*suite.keyring), PublishedFile(*suite.sources), url
            )
            for suite in apt.board_suites(self.project)
        }

    def services(self, board: Board, names: Sequence[str]) -> tuple[str, ...]:
        """Return the services that must stay active on a board with the packages ``names``."""
        if board.keys.reef_service is not None:
            return (board.keys.reef_service,) if board.keys.reef_service else ()
        packages = [package for recipe in self.project.recipes.values() for package in recipe.packages]
        return tuple(f"{each.name}.service" for each in packages if each.systemd and each.name in names)

    def known_services(self, board: Board, offers: Mapping[str, Offer]) -> tuple[str, ...]:
        """Return the services that a board may have of any package of ``offers``."""
        return self.services(board, [name for offer in offers.values() for name in offer.names])

    def tests(self, plan: BoardPlan) -> BoardTests:
        """Return the tests of a board after its plan: boards.yml's, else the gates of the recipes of its packages."""
        names = {*plan.facts.versions, *(package.name for package in plan.packages)}
        gates = self._gates()
        asked = plan.board.keys.reef_gate
        if asked is None:
            chosen = {name: gate for name, gate in gates.items() if set(gate[1].packages) <= names}
            scripts = {name: recipe.folder / gate.script for name, (recipe, gate) in chosen.items()}
        else:
            scripts = dict(self._named_gate(name, gates) for name in asked if name)
        return BoardTests(
            self.services(plan.board, sorted(names)), {name: path.read_bytes() for name, path in scripts.items()}
        )

    def require_gates(self) -> None:
        """Raise InputError for a gate of boards.yml that does not exist, before anything begins."""
        gates = self._gates()
        for board in self.inventory.boards:
            for name in filter(None, board.keys.reef_gate or ()):
                self._named_gate(name, gates)

    def _gates(self) -> "dict[str, tuple[Recipe, Gate]]":
        return {gate.name: (recipe, gate) for recipe in self.project.recipes.values() for gate in recipe.gates}

    def _named_gate(self, name: str, gates: "Mapping[str, tuple[Recipe, Gate]]") -> tuple[str, Path]:
        if "/" in name:
            path = self.inventory.path.parent / Path(name).expanduser()
            if not path.is_file():
                raise InputError(f"no such file: {path}", "reef_gate: in boards.yml names it", "correct the path")
            return path.stem, path
        if name not in gates:
            hint = nearest(name, gates) if gates else "no recipe has gates:"
            raise InputError(
                f"unknown gate {name!r} in boards.yml", hint, "a script needs a / in its path: ./my-gate.sh"
            )
        recipe, gate = gates[name]
        return name, recipe.folder / gate.script


@contextmanager
def opened(project: Project, password: str | None = None) -> Iterator[Fleet]:
    """Give the boards of a project, and end all connections at the end; raises InputError for faults in boards.yml."""
    inventory = load_inventory(project.folder)
    with sockets_folder() as sockets:
        fleet = Fleet(project, inventory, sockets, password)
        try:
            yield fleet
        finally:
            for connection in fleet._connections.values():
                connection.close()


@contextmanager
def rollout(
    fleet: Fleet, order: Sequence[Wave], options: Options, *, only_plan: bool = False,
    offers: Mapping[str, Offer] | None = None, temporary: bool = False,
) -> Iterator[RolloutRun]:  # fmt: skip
    """Give a new rollout of ``offers``, by default of the published suites. Its repository is served on loopback until
    the end, for ``ssh -R``.

    With ``only_plan`` nothing of it is kept. With ``temporary`` boards know the sources for this rollout alone.
    """
    fleet.require_gates()
    offers = fleet.offers if offers is None else offers
    workspace = fleet.project.workspace
    with (
        workspace.locked("boards", wait_s=0, what="the boards of this project"),
        apt.serving(workspace.apt, host="127.0.0.1") as url,
        workspace.scratch_folder("boards") as scratch,
    ):
        ours = frozenset(fleet.records.rollouts)
        record = new_record(Records(scratch) if only_plan else fleet.records)
        named = {wave.name: [board.name for board in wave.boards] for wave in order}
        record.begin({"by": options.who, "waves": named})
        display, archives = Display(record, fleet.project.log), Archives(scratch)
        runs = {
            board.name: BoardRun(
                fleet.ssh(board),
                offers,
                record.stamp,
                archives,
                display.reporter(board.name),
                partial(fleet.records.see, board.name),
                fleet.known_services(board, offers),
                options,
                ours,
            )
            for wave in order
            for board in wave.boards
        }
        port = int(url.rsplit(":", 1)[1])
        ways = partial(_ways, fleet.project.settings.repository.url, port, Bundles(fleet.project), temporary)
        held = {name: str(hold) for name, hold in read_holds(fleet.inventory.path.parent).items() if name in runs}
        yield RolloutRun(record, runs, fleet.tests, ways, options, fleet.stop, display, held)


def _ways(
    url: str | None, port: int, bundles: Bundles, temporary: bool, run: BoardRun
) -> Sequence[Callable[[], Access]]:
    """Return a board's ways to the repository: its address if boards know one, the connection itself, a bundle.

    A board without a network gets a bundle at once: it needs Debian's packages too.
    """
    bundle = partial(bundles.deliver, run)
    if run.ssh.board.keys.reef_offline:
        return [bundle]
    tunnel = lambda: Access(f"http://127.0.0.1:{run.ssh.forward(port)}/", temporary=True)  # noqa: E731
    return [*([lambda: Access(url, temporary=temporary)] if url else []), tunnel, bundle]


def new_record(records: Records) -> Rollout:
    """Return a rollout with a stamp of its own."""
    while True:
        record = records.rollout(time.strftime(STAMP, time.gmtime()))
        if not record.folder.exists():
            return record
        time.sleep(0.2)
