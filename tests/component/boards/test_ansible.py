"""boards.yml is an inventory of Ansible: Ansible itself must read the same boards, groups and keys from it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders.boards.inventory import Inventory, load_inventory
from builders.boards.inventory.keys import BoardKeys
from builders.errors import InputError
from tests.support.checkout import CHECKOUT
from tests.support.inventories import damaged_inventory, random_inventory
from tests.support.venvs import environment

pytestmark = pytest.mark.nightly
SEEDS, DAMAGED = 40, 800
STRICT = {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1", "ANSIBLE_INVENTORY_ENABLED": "yaml"}


@pytest.fixture(scope="module")
def ansible_inventory() -> Path:
    python = environment("ansible", CHECKOUT / "tests" / "support" / "ansible" / "requirements.txt")
    return python.with_name("ansible-inventory")


@pytest.mark.parametrize("seed", range(SEEDS))
def test_ansible_reads_the_same_from_inventories_by_chance(seed: int, ansible_inventory: Path, tmp_path: Path) -> None:
    (tmp_path / "boards.yml").write_text(random_inventory(seed))
    assert agrees(ansible_inventory, load_inventory(tmp_path))


def test_ansible_accepts_damaged_inventories_that_reef_accepts(ansible_inventory: Path, tmp_path: Path) -> None:
    for seed in range(DAMAGED):
        (tmp_path / str(seed)).mkdir()
        (tmp_path / str(seed) / "boards.yml").write_text(damaged_inventory(seed))
    accepted = list(valid(tmp_path))
    assert len(accepted) > 10
    for inventory in accepted:
        assert agrees(ansible_inventory, inventory), inventory.path.read_text()


def test_ansible_reads_the_same_from_every_file_of_the_unit_tests(ansible_inventory: Path, tmp_path: Path) -> None:
    words = ["-q", "-p", "no:cacheprovider", "--basetemp", str(tmp_path / "tests")]
    kept = ["-o", "tmp_path_retention_policy=all", "-o", "addopts="]
    subprocess.run(
        [sys.executable, "-m", "pytest", *words, *kept, "tests/unit/boards"], cwd=CHECKOUT, check=True,
        capture_output=True,
    )  # fmt: skip
    accepted = list(valid(tmp_path / "tests"))
    assert len(accepted) > 10
    for inventory in accepted:
        assert agrees(ansible_inventory, inventory)


def valid(folder: Path) -> Iterator[Inventory]:
    for path in sorted(folder.rglob("boards.yml")):
        try:
            yield load_inventory(path.parent)
        except InputError:
            continue


def agrees(program: Path, inventory: Inventory) -> bool:
    found = listed(program, inventory.path)
    variables = found["_meta"]["hostvars"]
    members = {name: frozenset(_members(found, name)) for name in found if name != "_meta"}
    ours = {name: frozenset(boards) for name, boards in inventory.groups.items()}
    assert members["all"] == ours["all"]
    # A group without boards is in Ansible's answer only sometimes, and Reef never needs one.
    assert {name: boards for name, boards in members.items() if boards and name != "ungrouped"} == ours
    for board in inventory.boards:
        theirs = variables.get(board.name, {})
        assert theirs.keys() == board.keys.model_fields_set, board.name
        assert BoardKeys.model_validate(theirs) == board.keys, board.name
    return True


def listed(program: Path, path: Path) -> dict[str, Any]:
    """Return what ``ansible-inventory --list`` prints; it must warn of nothing."""
    home = path.parent
    done = subprocess.run(
        [str(program), "-i", str(path), "--list"], capture_output=True, text=True, check=False, cwd=home,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8", **STRICT},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return] # the form is Ansible's


def _members(found: dict[str, Any], name: str) -> Iterator[str]:
    group = found.get(name, {})
    yield from group.get("hosts", ())
    for child in group.get("children", ()):
        yield from _members(found, child)
