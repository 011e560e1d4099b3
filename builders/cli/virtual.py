"""The command of virtual boards: whole arm64 machines in QEMU, for people who have no board at hand."""

import shlex
from collections.abc import Sequence

from builders.boards.api import FILE as BOARDS
from builders.boards.api import KNOWN_HOSTS, Board, KnownHosts, Ssh, add_board, load_inventory, require_name
from builders.cli.app import open_project
from builders.errors import InputError, nearest
from builders.pipeline.project import Project
from builders.pipeline.virtual_board.named import NamedBoard, named_boards
from builders.pipeline.virtual_board.reach import as_board, host_key, keys

FIRST = "virtual-1"
LOOPBACK = "127.0.0.1"


def virtual_board(names: Sequence[str], packages: Sequence[str], *, stop: bool, remove: bool, show: bool) -> None:
    """Start, stop, remove or show virtual boards; those that start are added to boards.yml, with their host keys."""
    if stop + remove + show > 1:
        raise InputError("--stop, --remove and --show exclude each other", fix="give one of them")
    for name in names:
        require_name(name)
    project = open_project(settings_alone=True)
    with project.workspace.in_use():
        if stop:
            _stop(project, names)
        elif remove:
            _remove(project, names)
        elif not show:
            for name in names or (FIRST,):
                _start(NamedBoard(project, name), tuple(packages))
        _show(project)


def _start(board: NamedBoard, packages: tuple[str, ...]) -> None:
    project, log = board.project, board.project.log
    known = _in_inventory(project, board.name)
    if known and known.host != LOOPBACK:
        raise InputError(
            f"{board.name} in {BOARDS} is no virtual board", f"it is {known.destination}", "choose another --board"
        )
    log.note(f"{board.name}: {board.start()}")
    # The image knows the host key, so that nobody has to compare it.
    KnownHosts(project.folder / KNOWN_HOSTS).replace(board.name, [host_key(board.machine)])
    if known is None:
        path = add_board(project.folder, board.name, keys(board.machine), packages)
        log.note(f"added {board.name} to {path}, and its host key to {KNOWN_HOSTS}")
    elif known.keys.ansible_port != board.port:
        log.warn(f"{board.name} has another port in {BOARDS}: set ansible_port: {board.port}")


def _in_inventory(project: Project, name: str) -> Board | None:
    if not (project.folder / BOARDS).exists():
        return None
    return next((board for board in load_inventory(project.folder).boards if board.name == name), None)


def _stop(project: Project, names: Sequence[str]) -> None:
    for board in _named(project, names):
        project.log.note(f"{board.name}: {'stopped; its state is saved' if board.stop() else 'it did not run'}")


def _remove(project: Project, names: Sequence[str]) -> None:
    for board in _named(project, names or (FIRST,)):
        board.remove()
        project.log.note(f"{board.name}: removed; its line in {BOARDS} stays")


def _named(project: Project, names: Sequence[str]) -> list[NamedBoard]:
    """Return boards that exist, by default all; raises InputError for an unknown name."""
    found = {board.name: board for board in named_boards(project)}
    for name in names:
        if name not in found:
            raise InputError(
                f"no virtual board {name!r}", nearest(name, found) if found else "this project has none",
                "./inv virtual-board --show",
            )  # fmt: skip
    return [found[name] for name in names] if names else list(found.values())


def _show(project: Project) -> None:
    boards = named_boards(project)
    if not boards:
        project.log.note("no virtual boards: ./inv virtual-board starts one")
        return
    rows = [(board.name, "runs" if board.running else "stopped", _ssh(board)) for board in boards]
    project.log.table("virtual boards", ("board", "state", "its shell"), rows)


def _ssh(board: NamedBoard) -> str:
    """Return the command that logs in to a board, for a shell."""
    known = KnownHosts(board.project.folder / KNOWN_HOSTS)
    return shlex.join(Ssh(as_board(board.machine, board.name), known.path, board.folder).login)
