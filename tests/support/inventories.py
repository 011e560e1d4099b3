"""Inventories by chance, the same for the same seed."""

from copy import deepcopy
from random import Random
from typing import Any

import yaml

VALUES: dict[str, list[Any]] = {
    "ansible_port": [22, 2222],
    "ansible_user": ["pi", "mendel", "root"],
    "ansible_ssh_private_key_file": ["~/.ssh/boards", "/etc/keys/one"],
    "ansible_ssh_common_args": ["-J gateway", "-o 'ProxyCommand=nc %h %p'"],
    "reef_packages": [["demo"], ["demo=1.0-1", "tflite-tools"], []],
    "reef_suite": ["trixie", "bookworm"],
    "reef_service": ["", "edge-model-server"],
    "reef_gate": ["digits", ["answers", "./gates/mine.sh"], []],
    "reef_gate_timeout_s": [1, 90],
    "reef_settle_s": [0, 30],
    "reef_models": [{"digits": "models/digits"}, {"a": "x", "b": "y"}],
    "reef_offline": [True, False],
    "reef_batch": [1, 2, 7],
}
"""Legal values of keys."""

ODD: list[Any] = [
    None, "", " ", "x" * 5000, "{{ x }}", "a\nb", "\0", "ü", "-oProxyCommand=x", "'", 0, -1, 2**70, 1.5, True, [], {},
    [[]], {"hosts": None}, {1: 2}, ["demo", "demo"], "all", "g0", "board-0",
]  # fmt: skip
"""Values for any place."""


def random_inventory(seed: int) -> str:
    """Return a valid boards.yml: groups in groups, also several times, and boards in some of them."""
    chance = Random(seed)
    names = [f"g{number}" for number in range(chance.randint(0, 7))]
    chance.shuffle(names)
    groups: dict[str, dict[str, Any]] = {"all": {"vars": _keys(chance)}}
    groups |= {name: {"vars": _keys(chance)} for name in names}
    for number in range(chance.randint(1, 8)):
        keys: dict[str, Any] | None = _keys(chance)
        for name in chance.sample(list(groups), k=min(len(groups), chance.randint(1, 3))):
            groups[name].setdefault("hosts", {})[f"board-{number}"] = keys
            keys = None
    for place, name in enumerate(names):
        earlier = ["all", *names[:place]]
        for parent in chance.sample(earlier, k=min(len(earlier), chance.randint(1, 2))):
            groups[parent].setdefault("children", {})[name] = None
    for name in reversed(names):  # a group's content is written in one of its places
        places = [group["children"] for group in groups.values() if name in group.get("children", {})]
        chance.choice(places)[name] = groups[name]
    return yaml.safe_dump({"all": groups["all"]}, sort_keys=chance.random() < 0.5)


def _keys(chance: Random) -> dict[str, Any]:
    chosen = chance.sample(sorted(VALUES), k=chance.randint(0, 4))
    return {key: chance.choice(VALUES[key]) for key in chosen}


def damaged_inventory(seed: int) -> str:
    """Return an inventory with some values and keys that may be wrong."""
    chance, data = Random(seed), yaml.safe_load(random_inventory(seed))
    for _ in range(chance.randint(1, 3)):
        _damage(data, chance)
    return yaml.safe_dump(data, allow_unicode=True)


def _damage(data: Any, chance: Random) -> None:
    """Change a value, a key or an entry somewhere below ``data``."""
    parts = [part for part in _below(data) if part]
    part = chance.choice(parts) if parts else data
    if isinstance(part, list):
        part[chance.randrange(len(part))] = deepcopy(chance.choice(ODD))
        return
    key = chance.choice(list(part))
    match chance.randrange(3):
        case 0:
            part[key] = deepcopy(chance.choice(ODD))
        case 1:
            odd = chance.choice([odd for odd in ODD if isinstance(odd, str | int | None)])
            part[odd] = part.pop(key)
        case _:
            part[key] = deepcopy(chance.choice(parts))


def _below(data: Any) -> list[Any]:
    """Return all mappings and lists of ``data``."""
    if isinstance(data, dict):
        return [data, *(part for value in data.values() for part in _below(value))]
    if isinstance(data, list):
        return [data, *(part for value in data for part in _below(value))]
    return []
