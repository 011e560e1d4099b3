"""Adds a board to ``boards.yml``: a new file with an explanation, or one line in an existing file."""

from pathlib import Path

import pydantic
import yaml

from builders.boards.inventory.keys import BOARD, BoardKeys
from builders.boards.inventory.load import FILE, load_inventory
from builders.errors import InputError
from builders.host.files import disk_errors, write_whole

NEW = """\
# The boards of this project, and an inventory of Ansible: all keys are in Reef's docs/reference/boards.md.
all:
  vars:
    # Packages for every board; without a version, the newest published.
    reef_packages: [{packages}]
  hosts:
{line}
  # Boards that rollouts try first:
  # children:
  #   canary:
  #     hosts:
  #       {name}:
"""


def add_board(folder: Path, name: str, keys: dict[str, str | int], packages: tuple[str, ...]) -> Path:
    """Add a board with its ``keys`` and return the file; ``packages`` are those of a new file.

    Comments stay. Raises InputError for a wrong name or key, a board that exists, and a file whose hosts are not
    written line by line.
    """
    path = folder / FILE
    require_name(name)
    flow = yaml.safe_dump(keys, default_flow_style=True, width=10_000, sort_keys=False).strip()
    entry = f"{name}: {flow}" if keys else f"{name}:"
    try:
        BoardKeys.model_validate(keys)
        BoardKeys.model_validate({"reef_packages": packages})
    except pydantic.ValidationError as error:
        faults = [f"{fault['loc'][0]}: {fault['msg'].removeprefix('Value error, ')}" for fault in error.errors()]
        raise InputError(f"{name} is not added", "\n".join(faults), "correct the options") from None
    if not path.exists():
        write_whole(path, NEW.format(packages=", ".join(packages), line=f"    {entry}", name=name))
        load_inventory(folder)
        return path
    inventory = load_inventory(folder)
    if name in {board.name for board in inventory.boards}:
        raise InputError(f"{name} is in {path} already", fix="edit it there, or choose another name")
    with disk_errors(path):
        text = path.read_text()
    lines = text.splitlines(keepends=True)
    hosts = _hosts(yaml.compose(text))
    if hosts is None or hosts.flow_style or not hosts.value:
        raise InputError(
            f"{path} has no lines of boards below all: hosts:", "Reef adds lines only", f"add by hand: {entry}"
        )
    place, column = max(map(_last_line, hosts.value[-1])) + 1, hosts.value[0][0].start_mark.column
    if not lines[place - 1].endswith("\n"):
        lines[place - 1] += "\n"
    lines.insert(place, f"{' ' * column}{entry}\n")
    write_whole(path, "".join(lines))
    try:
        load_inventory(folder)
    except InputError:
        write_whole(path, text)
        raise
    return path


def require_name(name: str) -> None:
    """Raise InputError for what is no name of a board."""
    if not BOARD.fullmatch(name):
        raise InputError(f"not a board's name: {name!r}", fix="use letters, digits, '.', '_' and '-'")


def _hosts(node: yaml.Node | None) -> yaml.MappingNode | None:
    """Return the mapping ``all: hosts:`` of a file."""
    for key in ("all", "hosts"):
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for name, value in pairs if name.value == key), None)
    return node if isinstance(node, yaml.MappingNode) else None


def _last_line(node: yaml.Node) -> int:
    """Return the last line of a node, counted from 0. A collection in block style ends with its last part."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        parts = [part for pair in node.value for part in (pair if isinstance(pair, tuple) else (pair,))]
        return max(map(_last_line, parts))
    return int(node.end_mark.line)
