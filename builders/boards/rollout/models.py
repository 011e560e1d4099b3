"""The models of one board in a rollout: a pure comparison of the board's versions with this machine's."""

import hashlib
import tarfile
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builders.boards.connection import BoardError
from builders.boards.facts import LEAST_BYTES, LEAST_INODES, BoardFacts, BoardModel, Finding, VersionPolicy, models_on
from builders.boards.inventory import Board
from builders.boards.model_folder import ModelFault, ModelVersion
from builders.host.files import disk_errors

SERVERS = ("edge-model-server", "tensorflow-model-server")
"""The packages whose models.config ``scripts/models.sh`` knows."""
PLACES = "/var/lib/edge-model-server/models"
Line = tuple[str, str, int, str, str]


@dataclass(frozen=True)
class PlannedModel:
    """A model on a board: the versions that its server serves before and after, and those that are sent for that."""

    name: str
    known: bool
    base: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    sent: tuple[ModelVersion, ...] = ()
    left: tuple[int, ...] = ()
    """Versions that are put aside, because the server would serve them instead."""

    @property
    def changes(self) -> bool:
        return self.before != self.after or bool(self.sent or self.left) or not self.known

    @property
    def lines(self) -> Iterator[Line]:
        """The lines for ``scripts/models.sh``."""
        for version in self.sent:
            yield "place", self.name, version.number, version.digest, self.base
        for verb, versions in (("leave", self.left), ("serve", self.after), ("served", self.before)):
            for number in versions:
                yield verb, self.name, number, "-", self.base
        if not self.known:
            yield "register", self.name, 0, "-", self.base

    @property
    def record(self) -> Mapping[str, Any]:
        """The model in a receipt."""
        sent = {version.number: version.digest for version in self.sent}
        return {"name": self.name, "before": self.before, "after": self.after, "sent": sent}

    def __str__(self) -> str:
        before, after = (" ".join(map(str, versions)) or "-" for versions in (self.before, self.after))
        return f"model {self.name} {f'{before} -> {after}' if self.changes else after}"


def models_asked(board: Board) -> str:
    """Return the models and versions that a board is asked for, in the words of ``scripts/probe.sh``."""
    try:
        return " ".join(f"{name}:{','.join(map(str, versions))}" for name, versions in board.models.items())
    except ModelFault:
        return " ".join(f"{name}:" for name in board.keys.reef_models)


def model_lines(models: Sequence[PlannedModel]) -> str:
    """Return what ``scripts/models.sh`` reads."""
    return "\n".join(" ".join(map(str, line)) for model in models for line in model.lines)


def plan_models(
    board: Board, facts: BoardFacts, packages: Sequence[str], *, frozen: bool = False
) -> tuple[PlannedModel, ...]:  # fmt: skip
    """Return the plan for a board's models, with ``packages`` installed; raises BoardError for an obstacle.

    With ``frozen`` they stay as they are, and must still be served.
    """
    present = models_on(facts)
    if frozen:
        served = [present[name] for name in board.keys.reef_models if name in present and present[name].served]
        return tuple(PlannedModel(model.name, True, model.base, model.served, model.served) for model in served)
    try:
        here = board.models
    except ModelFault as fault:
        raise BoardError(f"{board}: {fault.what}", fix="correct reef_models: in boards.yml") from fault
    planned = tuple(_planned(board, versions, present.get(name) or _absent(name)) for name, versions in here.items())
    if planned and not facts.text("model_server") and not {*packages} & {*SERVERS}:
        raise BoardError(
            f"{board}: it has no model server for {', '.join(model.name for model in planned)}", "",
            f"add one to reef_packages: in boards.yml: {', '.join(SERVERS)}",
        )  # fmt: skip
    _require_room(board, planned, present)
    return planned


def model_notes(board: Board, facts: BoardFacts, models: Sequence[PlannedModel]) -> Iterator[Finding]:
    """Yield what people should know of a board's models: drift is shown, never removed silently."""
    present = models_on(facts)
    for model in models:
        newest = max(board.models[model.name])
        if others := [version for version in model.after if version not in board.models[model.name]]:
            yield Finding("note", f"model {model.name} {_listed(others)} on it is not from {_home(board, model.name)}")
        elif newest not in model.after:
            policy = present[model.name].policy
            yield Finding("note", f"model {model.name} {newest} is not served: its policy there is {policy}")
    for name, found in present.items():
        if name not in board.keys.reef_models and found.versions:
            yield Finding(
                "note", f"model {name} is on it, but not in boards.yml",
                f"it stays until you remove it there: {found.base}, and its lines in models.config",
            )  # fmt: skip


@dataclass
class Archives:
    """Tar archives of versions that are sent in the rollout ``stamp``; boards that need the same share one."""

    folder: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, models: Sequence[PlannedModel], stamp: str) -> Path | None:
        """Return the archive for a board, None if nothing is sent; raises DiskError."""
        lines = [line for model in models for line in model.lines if line[0] == "place"]
        if not lines:
            return None
        path = self.folder / f"{hashlib.sha256(repr(lines).encode()).hexdigest()}.tar"
        with self._lock:
            if not path.exists():
                _write_archive(path, models, stamp)
        return path


def _write_archive(path: Path, models: Sequence[PlannedModel], stamp: str) -> None:
    """Write a tar archive of the versions that are sent, each where it waits for its place."""
    with disk_errors(path), tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for model in models:
            for version in model.sent:
                folder = f"{model.base.lstrip('/')}/.reef/{stamp}/new/{version.number}"
                for file in version.files:
                    archive.add(version.folder / file.path, f"{folder}/{file.path}", filter=_plain)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Return a member that every user of the board can read: model servers run as users of their own."""
    member.uid, member.gid, member.uname, member.gname, member.mode = 0, 0, "root", "root", 0o644
    return member


def _absent(name: str) -> BoardModel:
    return BoardModel(name, False, f"{PLACES}/{name}", VersionPolicy(), {}, frozenset())


def _planned(board: Board, here: Mapping[int, ModelVersion], there: BoardModel) -> PlannedModel:
    """Return the plan for a model: what this machine has takes the place of what Reef placed before.

    Versions that somebody else placed on the board stay.
    """
    others = set(there.versions) - there.placed
    after = there.policy.chosen({*here, *others})
    for number in after:
        if number in here and there.versions.get(number, here[number].digest) != here[number].digest:
            raise BoardError(
                f"{board}: model {there.name} {number} is another on it",
                f"a server does not load a version again whose content changed: {there.base}/{number}",
                "give the new content a number of its own; if the board's copy is broken, remove it there",
            )
    sent = tuple(here[number] for number in after if number not in there.versions)
    served = there.policy.chosen({*there.versions, *after})
    left = tuple(number for number in served if number not in after)
    return PlannedModel(there.name, there.known, there.base, there.served, after, sent, left)


def _require_room(board: Board, models: Sequence[PlannedModel], present: Mapping[str, BoardModel]) -> None:
    """Raise BoardError if a file system of the board has no room for what is sent."""
    disks, needs, files = {}, defaultdict[str, int](int), defaultdict[str, int](int)
    for model in models:
        if model.name in present and (disk := present[model.name].disk):
            disks[disk.mount] = disk
            needs[disk.mount] += sum(version.room for version in model.sent)
            files[disk.mount] += sum(len(version.files) for version in model.sent)
    for mount, disk in disks.items():
        if needs[mount] and disk.free_bytes - needs[mount] < LEAST_BYTES:
            raise BoardError(
                f"{board}: no room for its models: {needs[mount] / 1e6:.0f} MB",
                f"{disk.free_bytes / 1e6:.0f} MB are free on {mount}, of which {LEAST_BYTES / 1e6:.0f} MB stay free",
                "free some space on the board, or serve fewer versions",
            )
        if files[mount] and disk.free_inodes is not None and disk.free_inodes - files[mount] < LEAST_INODES:
            raise BoardError(
                f"{board}: no room for its models: {files[mount]} files",
                f"{disk.free_inodes} inodes are free on {mount}", "remove many small files; df -i shows the inodes",
            )  # fmt: skip


def _listed(versions: Sequence[int]) -> str:
    return ", ".join(map(str, versions))


def _home(board: Board, name: str) -> str:
    return board.keys.reef_models[name]
