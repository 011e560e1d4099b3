"""Bundles in a folder, for boards that no connection reaches: a person carries it there and back."""

import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from builders.apt import api as apt
from builders.boards.api import (
    Board,
    BoardError,
    BoardSystem,
    Options,
    Rollout,
    StickBoard,
    files_of,
    offer_for,
    plan_board,
    stick,
)
from builders.errors import ReefError
from builders.host.files import disk_errors, remove_tree, write_whole
from builders.host.log import size
from builders.model.packages import DebFile
from builders.pipeline.bundle import Bundles
from builders.pipeline.fleet import Fleet, new_record

WAVE = "stick"
"""The wave of boards in a folder."""


@dataclass(frozen=True)
class Carried:
    """The end of one board: in an export, or in a folder that was brought back."""

    board: str
    state: str
    detail: str = ""
    failed: bool = False


@dataclass(frozen=True)
class Stick:
    """A folder for boards, on a stick or elsewhere."""

    fleet: Fleet
    folder: Path

    def export(self, boards: Sequence[Board]) -> list[Carried]:
        """Make the folder, whole or not at all, and return what it has for each board.

        It has packages for the boards whose answers are known, and asks the others for their facts. Raises InputError,
        PublishError, DiskError.
        """
        stick.require_folder(self.folder)
        self.fleet.require_gates()
        if self.folder.exists():
            self.receive()
        workspace = self.fleet.project.workspace
        with (
            workspace.locked("boards", wait_s=0, what="the boards of this project"),
            workspace.cache.in_use(),
            workspace.cache.scratch_folder("stick") as scratch,
        ):
            found = [self._board(board, scratch / board.name) for board in boards]
            ready = {made.plan.board.name: made for made in found if isinstance(made, StickBoard)}
            record = new_record(self.fleet.records)
            self._write(boards, ready, record, scratch)
            if ready:
                record.begin({"by": Options().who, "waves": {WAVE: list(ready)}})
            for name in ready:
                record.add(name, "planned", f"exported to {self.folder}")
        return [made if isinstance(made, Carried) else _exported(made) for made in found]

    def receive(self) -> list[Carried]:
        """Record the answers that boards wrote into the folder, and return them; raises DiskError."""
        place = self.folder / stick.ANSWERS
        names = sorted(path.name for path in place.iterdir() if path.is_dir()) if place.is_dir() else []
        boards = {board.name: board for board in self.fleet.inventory.boards}
        return [
            self._received(boards[name])
            if name in boards
            else Carried(name, "unknown", "it is not in boards.yml", failed=True)
            for name in names
        ]

    def _board(self, board: Board, scratch: Path) -> StickBoard | Carried:
        """Return what a board gets, or why it gets nothing."""
        try:
            answer = stick.brought_answer(self.fleet.records, board.name)
            if answer is None:
                return Carried(board.name, "asked", "it writes its facts; bring the folder back, and export it again")
            facts = answer.facts_of([name for offer in self.fleet.offers.values() for name in offer.names])
            # Folders carry packages alone; models need a connection.
            plan = replace(plan_board(board, facts, offer_for(board, facts, self.fleet.offers)), models=())
            debs = Bundles(self.fleet.project).lacking(plan, BoardSystem(facts, answer.status), scratch)
        except ReefError as error:
            reason = f"{error.what.removeprefix(f'{board}: ')}; {error.fix}"
            return Carried(board.name, "failed", reason, failed=True)
        return StickBoard(plan, debs, answer.status, self.fleet.tests(plan))

    def _write(
        self, boards: Iterable[Board], ready: dict[str, StickBoard], record: Rollout, scratch: Path
    ) -> None:  # fmt: skip
        """Write the folder beside its place, and put it there."""
        new, old = (self.folder.with_name(f"{self.folder.name}.{end}") for end in ("new", "old"))
        for rest in (new, old):
            remove_tree(rest)
        pool = self._repository(ready.values(), new, scratch)
        write_whole(new / stick.INSTALL, stick.install_script(int(time.time())))
        for board in boards:
            place = new / stick.BOARDS / board.name
            services = self.fleet.known_services(board, self.fleet.offers)
            write_whole(place / "probe.sh", stick.probe_script(self.fleet.offers, services))
            seen = self.fleet.records.seen(board.name)
            write_whole(place / "hostname", f"{board.name}\n{seen.text('hostname') if seen else board.host}\n")
            if made := ready.get(board.name):
                for name, text in made.scripts(record.stamp, Options().who).items():
                    write_whole(place / name, text)
                write_whole(place / "files", "".join(f"{name}\n" for name in _files(made, pool)))
        stick.write_sums(new)
        with disk_errors(self.folder):
            if self.folder.exists():
                self.folder.rename(old)
            new.rename(self.folder)
        remove_tree(old)

    def _repository(self, ready: Iterable[StickBoard], new: Path, scratch: Path) -> dict[str, str]:
        """Write one signed repository for all boards, and return its files: each path, with a .deb's digest or none."""
        debs: dict[str, dict[str, DebFile]] = {}
        for made in ready:
            debs.setdefault(made.plan.offer.suite, {}).update({deb.sha256: deb for deb in made.debs})
        if not debs:
            return {}
        repository = scratch / "repository"
        found = {suite: list(some.values()) for suite, some in debs.items()}
        digests = {path: sha256 for sha256, path in apt.small_repository(self.fleet.project, found, repository).items()}
        files = dict(files_of(repository, debs))
        for name, path in files.items():
            target = new / stick.REPOSITORY / name
            with disk_errors(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
        return {name: digests.get(name, "") for name in files}

    def _received(self, board: Board) -> Carried:
        records, place = self.fleet.records, self.folder / stick.ANSWERS / board.name
        try:
            answer = stick.read_answer(place, board.name)
        except BoardError as error:
            return Carried(board.name, "damaged", f"{error.what.removeprefix(f'{board}: ')}; {error.fix}", failed=True)
        for name in stick.FILES:
            if (place / name).is_file():
                with disk_errors(place / name):
                    write_whole(records.brought(board.name) / name, (place / name).read_bytes())
        seen = records.seen(board.name)
        if seen is None or seen.answered <= answer.facts.answered:
            records.see(board.name, answer.facts)
        state, reason = answer.end
        if answer.stamp in records.rollouts:
            rollout = records.rollout(answer.stamp)
            write_whole(rollout.log(board.name), answer.log)
            last = rollout.states().get(board.name)
            if state and (last is None or last.state != state):
                rollout.add(board.name, state, reason)
        return Carried(board.name, state or "facts", reason, failed=state in ("rolled-back", "broken"))


def _files(made: StickBoard, pool: dict[str, str]) -> list[str]:
    """Return the files of the repository that a board takes, the signature last."""
    own, suite = {deb.sha256 for deb in made.debs}, f"dists/{made.plan.offer.suite}/"
    return [name for name, digest in pool.items() if digest in own or name.startswith(suite)]


def _exported(made: StickBoard) -> Carried:
    changes = ", ".join(map(str, made.plan.changes)) or "nothing changes"
    total = size(sum(deb.size for deb in made.debs))
    return Carried(made.plan.board.name, "exported", f"{changes}; {len(made.debs)} packages, {total}")
