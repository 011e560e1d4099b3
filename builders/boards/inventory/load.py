"""Reads ``boards.yml`` and gives each board the keys of its groups, by Ansible's rules."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builders.boards.inventory.keys import BoardKeys, Group, InventoryFile
from builders.boards.model_folder import ModelFault, ModelVersion, model_versions
from builders.errors import InputError, nearest
from builders.model.yaml_file import Fault, load_judged

FILE = "boards.yml"
NO_FILE = "write one: ./inv new-board NAME"
Place = tuple[int | str, ...]


@dataclass(frozen=True)
class Board:
    """A board: its name, its groups (the outermost first, without ``all``), and its keys with those of its groups.

    Paths in its keys are relative to ``home``.
    """

    name: str
    groups: tuple[str, ...]
    keys: BoardKeys
    home: Path = Path()

    @property
    def host(self) -> str:
        """The name or address for ssh."""
        return self.keys.ansible_host or self.name

    @property
    def destination(self) -> str:
        """The board as ssh knows it, for messages: ``user@host:port``, without parts that are not set."""
        user = f"{self.keys.ansible_user}@" if self.keys.ansible_user else ""
        port = f":{self.keys.ansible_port}" if self.keys.ansible_port else ""
        return f"{user}{self.host}{port}"

    @property
    def models(self) -> Mapping[str, Mapping[int, ModelVersion]]:
        """The versions of each model that the board serves, on this machine; raises ModelFault."""
        return {name: model_versions(_path(self.home, folder)) for name, folder in self.keys.reef_models.items()}

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Inventory:
    """The boards of ``path``, in the order of the file."""

    path: Path
    boards: tuple[Board, ...]

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """The names of each group's boards; ``all`` and groups without boards included."""
        members: dict[str, tuple[str, ...]] = {"all": tuple(board.name for board in self.boards)}
        for board in self.boards:
            for group in board.groups:
                members[group] = (*members.get(group, ()), board.name)
        return members

    def select(self, boards: Sequence[str], groups: Sequence[str]) -> tuple[Board, ...]:
        """Return the boards called ``boards`` and those in ``groups``, by default all, in the order of the file.

        Raises InputError for a name that is not in the file.
        """
        if not boards and not groups:
            return self.boards
        names, members = {board.name for board in self.boards}, self.groups
        for kind, given, known in (("board", boards, names), ("group", groups, set(members))):
            for name in given:
                if name not in known:
                    fix = f"correct --{kind}, or {self.path.name}"
                    raise InputError(f"no {kind} {name!r} in {self.path}", nearest(name, known), fix)
        chosen = {*boards, *(name for group in groups for name in members[group])}
        return tuple(board for board in self.boards if board.name in chosen)


def load_inventory(folder: Path) -> Inventory:
    """Return the boards of ``folder/boards.yml``; raises InputError with the line of each fault."""
    path = folder / FILE
    if not path.exists():
        raise InputError("this project has no boards", f"no such file: {path}", NO_FILE)
    file = load_judged(path, InventoryFile, lambda found: _Graph(found.all, folder).faults())
    boards = _Graph(file.all, folder).boards()
    if not boards:
        raise InputError(f"{path} names no board", "no group has hosts:", NO_FILE)
    return Inventory(path, boards)


def require_models(path: Path) -> None:
    """Raise InputError with the line of each model in boards.yml whose folder cannot be put on boards.

    Only rollouts need that: the state of boards can be looked at where their models are missing.
    """
    load_judged(path, InventoryFile, lambda found: _Graph(found.all, path.parent).model_faults())


@dataclass
class _Graph:
    """All groups of a file, of which each may be written in several places."""

    top: Group
    home: Path
    places: dict[str, list[tuple[Place, Group]]] = field(init=False)
    """Each group by its name, with the places in the file that define it."""

    def __post_init__(self) -> None:
        self.places = defaultdict(list)
        for name, place, group in _walk("all", ("all",), self.top):
            self.places[name].append((place, group))

    def parents(self) -> dict[str, set[str]]:
        """Return the groups that each group is in."""
        found: dict[str, set[str]] = {name: set() for name in self.places}
        for name, occurrences in self.places.items():
            for _, group in occurrences:
                for child in group.children or ():
                    found[child].add(name)
        return found

    def hosts(self) -> dict[str, list[tuple[str, Place, BoardKeys | None]]]:
        """Return each board's entries: the group, the place in the file, and its own keys there."""
        found: dict[str, list[tuple[str, Place, BoardKeys | None]]] = defaultdict(list)
        for name, occurrences in self.places.items():
            for place, group in occurrences:
                for host, keys in (group.hosts or {}).items():
                    found[host].append((name, (*place, "hosts", host), keys))
        return found

    def boards(self) -> tuple[Board, ...]:
        """Return every board with its keys."""
        order = [host for _, _, group in _walk("all", ("all",), self.top) for host in group.hosts or ()]
        entries, depths, parents = self.hosts(), self._depths(), self.parents()
        result = []
        for host in dict.fromkeys(order):
            groups = _ancestors([name for name, _, _ in entries[host]], parents)
            ordered = sorted(groups, key=lambda name: (depths[name], name))
            own = [keys for _, _, keys in entries[host]]
            layers = [group.vars for name in ordered for _, group in self.places[name]]
            keys = BoardKeys(**{key: value for layer in (*layers, *own) if layer for key, value in _given(layer)})
            result.append(Board(host, tuple(name for name in ordered if name != "all"), keys, self.home))
        return tuple(result)

    def faults(self) -> Iterator[Fault]:
        """Yield the faults that no single group shows."""
        circle = self._circle()
        if circle:
            yield Fault(self.places[circle][0][0], f"group {circle} is inside itself")
            return
        hosts = self.hosts()
        for name in hosts.keys() & self.places.keys():
            yield Fault(self.places[name][0][0], f"{name} is also the name of a board; Ansible needs two names")
        for name, occurrences in self.places.items():
            sets = [((*place, "vars"), group.vars) for place, group in occurrences]
            yield from _contradictions(f"group {name}", sets)
        for host, entries in hosts.items():
            yield from _contradictions(f"board {host}", [(place, keys) for _, place, keys in entries])
        yield from self._same_addresses(hosts)

    def model_faults(self) -> Iterator[Fault]:
        """Yield the faults of the folders of models."""
        sets = [((*place, "vars"), group.vars) for name in self.places for place, group in self.places[name]]
        sets += [(place, keys) for entries in self.hosts().values() for _, place, keys in entries]
        for place, keys in sets:
            yield from _model_faults(self.home, place, keys)

    def _same_addresses(self, hosts: dict[str, list[tuple[str, Place, BoardKeys | None]]]) -> Iterator[Fault]:
        seen: dict[tuple[Any, ...], str] = {}
        for board in self.boards():
            address = (board.host, board.keys.ansible_port, board.keys.ansible_ssh_common_args)
            if other := seen.get(address):
                yield Fault(hosts[board.name][0][1], f"{board.name} has the address of {other}: {board.destination}")
            seen[address] = board.name

    def _circle(self) -> str | None:
        """Return a group that is inside itself."""
        parents = self.parents()
        return next((name for name in parents if name in _ancestors(sorted(parents[name]), parents)), None)

    def _depths(self) -> dict[str, int]:
        """Return the length of the longest way from ``all`` to each group: the innermost groups take precedence."""
        parents, depths = self.parents(), {"all": 0}

        def depth(name: str) -> int:
            if name not in depths:
                depths[name] = 1 + max(depth(parent) for parent in parents[name])
            return depths[name]

        return {name: depth(name) for name in parents}


def _walk(name: str, place: Place, group: Group) -> Iterator[tuple[str, Place, Group]]:
    """Yield a group and the groups in it, each with its place in the file."""
    yield name, place, group
    for child, inner in (group.children or {}).items():
        yield from _walk(child, (*place, "children", child), inner or Group())


def _ancestors(names: Sequence[str], parents: dict[str, set[str]]) -> set[str]:
    """Return groups and all groups that they are in."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += parents[name]
    return found


def _given(keys: BoardKeys) -> Iterator[tuple[str, Any]]:
    return ((key, getattr(keys, key)) for key in keys.model_fields_set)


def _contradictions(subject: str, sets: Sequence[tuple[Place, BoardKeys | None]]) -> Iterator[Fault]:
    """Yield a fault for each key that has two values, of which Ansible would take the last."""
    seen: dict[str, Any] = {}
    for place, keys in sets:
        for key, value in _given(keys) if keys else ():
            if seen.setdefault(key, value) != value:
                yield Fault((*place, key), f"{subject} has another value of {key} elsewhere in the file; keep one")


def _model_faults(home: Path, place: Place, keys: BoardKeys | None) -> Iterator[Fault]:
    for name, folder in keys.reef_models.items() if keys else ():
        try:
            model_versions(_path(home, folder))
        except ModelFault as fault:
            yield Fault((*place, "reef_models", name), fault.what)


def _path(home: Path, folder: str) -> Path:
    """Return the folder that a key of ``home``/boards.yml names."""
    return home / Path(folder).expanduser()
