"""boards.yml damaged by chance: it is read, or refused with the line of each fault; never a traceback."""

import re
from pathlib import Path
from random import Random

import pytest

from builders.boards.inventory import load_inventory
from builders.errors import InputError
from tests.support.inventories import damaged_inventory, random_inventory

ROUNDS = 60
BYTES = [b"\t", b"\n", b":", b"- ", b"{", b"]", b"&a ", b"*a", b"!!python/object:x ", b"'", b"\xff", b"\0", b"? ", b"%",
         b"#", b"<<: ", b"2026-99-99", b"---\n", b"  "]  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_values_by_chance(seed: int, tmp_path: Path) -> None:
    for number in range(ROUNDS):
        read(tmp_path, damaged_inventory(1000 * seed + number).encode())


@pytest.mark.parametrize("seed", range(8))
def test_bytes_by_chance(seed: int, tmp_path: Path) -> None:
    chance = Random(seed)
    for number in range(ROUNDS):
        content = random_inventory(1000 * seed + number).encode()
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(content))
            content = content[:place] + chance.choice(BYTES) + content[place + chance.randint(0, 3) :]
        read(tmp_path, content)


def read(folder: Path, content: bytes) -> None:
    path = folder / "boards.yml"
    path.write_bytes(content)
    error = refused(folder)
    lines = len(content.decode(errors="replace").splitlines())
    assert error is None or has_lines(error, path, lines), f"{error}\n{content!r}"


def refused(folder: Path) -> InputError | None:
    try:
        load_inventory(folder)
    except InputError as error:
        return error
    return None


def has_lines(error: InputError, path: Path, lines: int) -> bool:
    """Return whether each fault has a line of the file; some are of the whole file."""
    if any(text in error.what for text in ("cannot read", "names no board", "is not valid YAML")):
        return True
    faults = [line for line in (error.what, *error.detail.splitlines()) if line.startswith(f"{path}:")]
    numbers = [re.match(r":(\d+): ", fault.removeprefix(str(path))) for fault in faults]
    return bool(numbers) and all(number and 1 <= int(number[1]) <= lines + 1 for number in numbers)
