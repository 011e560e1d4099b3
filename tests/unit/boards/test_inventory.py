"""boards.yml: groups and keys as Ansible merges them, and each fault with its line."""

from pathlib import Path

import pytest

from builders.boards.inventory import Inventory, load_inventory
from builders.errors import InputError

EXAMPLE = """\
all:
  vars: {reef_packages: [tflite-tools], reef_service: "", reef_gate: digits}
  hosts:
    {coral-1: {}, coral-2: {}, pi5-lab: {ansible_host: 192.168.7.21, ansible_user: pi}, mill-3: {reef_offline: true}}
  children:
    canary: {hosts: {coral-1: {}}}
    field: {hosts: {coral-2: {}, pi5-lab: {}, mill-3: {}}, vars: {reef_batch: 3}}
"""


def read(folder: Path, text: str) -> Inventory:
    (folder / "boards.yml").write_text(text)
    return load_inventory(folder)


def fault(folder: Path, text: str) -> str:
    with pytest.raises(InputError) as caught:
        read(folder, text)
    assert caught.value.fix
    return str(caught.value)


def test_boards_have_the_keys_of_their_groups(tmp_path: Path) -> None:
    boards = {board.name: board for board in read(tmp_path, EXAMPLE).boards}
    assert list(boards) == ["coral-1", "coral-2", "pi5-lab", "mill-3"]
    assert boards["coral-1"].groups == ("canary",)
    assert boards["coral-1"].keys.reef_batch == 5
    assert boards["coral-2"].keys.reef_batch == 3
    assert boards["mill-3"].keys.reef_offline
    assert boards["pi5-lab"].destination == "pi@192.168.7.21"
    assert boards["coral-1"].destination == "coral-1"
    assert {board.keys.reef_gate for board in boards.values()} == {("digits",)}
    assert {board.keys.reef_service for board in boards.values()} == {""}


def test_the_innermost_group_takes_precedence_and_the_board_over_it(tmp_path: Path) -> None:
    text = """\
all:
  vars: {reef_batch: 1, reef_settle_s: 1, reef_gate_timeout_s: 1}
  children:
    outer:
      vars: {reef_batch: 2, reef_settle_s: 2, reef_gate_timeout_s: 2}
      children:
        inner: {vars: {reef_batch: 3, reef_settle_s: 3}, hosts: {board: {reef_batch: 4}}}
"""
    (board,) = read(tmp_path, text).boards
    assert board.groups == ("outer", "inner")
    assert (board.keys.reef_batch, board.keys.reef_settle_s, board.keys.reef_gate_timeout_s) == (4, 3, 2)


def test_groups_beside_each_other_merge_by_their_names(tmp_path: Path) -> None:
    text = """\
all:
  children:
    b: {vars: {reef_batch: 2}, hosts: {board: }}
    a: {vars: {reef_batch: 1, reef_settle_s: 1}, hosts: {board: }}
"""
    (board,) = read(tmp_path, text).boards
    assert (board.keys.reef_batch, board.keys.reef_settle_s) == (2, 1)


def test_a_group_may_be_written_in_several_places(tmp_path: Path) -> None:
    text = """\
all:
  children:
    rack: {children: {edge: {hosts: {one: }}}}
    edge: {vars: {reef_batch: 2}, hosts: {two: }}
"""
    found = read(tmp_path, text)
    assert {board.name: board.keys.reef_batch for board in found.boards} == {"one": 2, "two": 2}
    assert set(found.groups["rack"]) == {"one", "two"}


@pytest.mark.parametrize(
    ("boards", "groups", "expected"),
    [
        ([], [], ["coral-1", "coral-2", "pi5-lab", "mill-3"]),
        (["mill-3", "coral-1"], [], ["coral-1", "mill-3"]),
        ([], ["canary"], ["coral-1"]),
        (["coral-2"], ["canary"], ["coral-1", "coral-2"]),
        ([], ["all"], ["coral-1", "coral-2", "pi5-lab", "mill-3"]),
    ],
)
def test_selection(tmp_path: Path, boards: list[str], groups: list[str], expected: list[str]) -> None:
    assert [board.name for board in read(tmp_path, EXAMPLE).select(boards, groups)] == expected


@pytest.mark.parametrize(("option", "word"), [("board", "coral-3"), ("group", "canari")])
def test_an_unknown_selection_names_the_nearest(tmp_path: Path, option: str, word: str) -> None:
    found = read(tmp_path, EXAMPLE)
    with pytest.raises(InputError, match=f"no {option} '{word}'") as caught:
        found.select([word] if option == "board" else [], [word] if option == "group" else [])
    assert "did you mean" in caught.value.detail
    assert f"--{option}" in caught.value.fix


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("all:\n  hosts: {a: {reef_pakages: [x]}}", 2,
         "unknown key 'all.hosts.a.reef_pakages'; did you mean 'reef_packages'?"),
        ("all:\n  hosts:\n    'pi[1:3]': {}", 3, "one entry for a board"),
        ("all:\n  hosts:\n    a: {ansible_host: x}\n    b: {ansible_host: x}", 4, "b has the address of a: x"),
        ("all:\n  hosts:\n    a: {}\n    b: {ansible_host: a}", 4, "b has the address of a: a"),
        ("all:\n  children:\n    g: {children: {h: {children: {g: }}}}", 3, "group g is inside itself"),
        ("all:\n  hosts: {a: }\n  children:\n    a: {}", 4, "a is also the name of a board"),
        ("all:\n  hosts: {a: {reef_batch: 2}}\n  children: {g: {hosts: {a: {reef_batch: 3}}}}", 3,
         "board a has another value of reef_batch elsewhere"),
        ("all:\n  children:\n    g: {vars: {reef_batch: 1}}\n    h: {children: {g: {vars: {reef_batch: 2}}}}", 4,
         "group g has another value of reef_batch elsewhere"),
        ("all:\n  hosts: {a: {ansible_password: x}}", 2, "Reef reads no passwords"),
        ("all:\n  vars: {ansible_become_pass: x}\n  hosts: {a: }", 2, "Reef reads no passwords"),
        ("all:\n  hosts: {a: {ansible_host: '{{ x }}'}}", 2, "Reef reads no templates"),
        ("all:\n  hosts: {a: {ansible_host: '-oProxyCommand=x'}}", 2, "should match pattern"),
        ("all:\n  hosts: {a: {ansible_user: '-x'}}", 2, "should match pattern"),
        ("all:\n  hosts: {a: {ansible_port: 0}}", 2, "greater than or equal to 1"),
        ("all:\n  hosts: {a: {ansible_ssh_common_args: \"-o 'x\"}}", 2, "expected words as for a shell"),
        ("all:\n  hosts: {a: {ansible_ssh_private_key_file: keys/x}}", 2, "expected an absolute path"),
        ("all:\n  hosts: {a: {reef_packages: [UPPER]}}", 2, "expected the name of a package, or NAME=VERSION"),
        ("all:\n  hosts: {a: {reef_packages: [demo, demo=1]}}", 2, "demo is named twice"),
        ("all:\n  children: {ungrouped: {hosts: {a: }}}", 2, "Ansible makes this group by itself"),
        ("all:\n  children: {my-group: {hosts: {a: }}}", 2, "letters, digits and '_'"),
        ("web: {hosts: {a: }}\nall: {}", 1, "unknown key 'web'"),
        ("all:\n  hosts: [a]", 2, "expected a mapping"),
    ],
)  # fmt: skip
def test_a_fault_has_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    found = fault(tmp_path, text)
    assert f"boards.yml:{line}: " in found
    assert words in found


def test_no_file_and_no_board_say_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no boards") as caught:
        load_inventory(tmp_path)
    assert "new-board" in caught.value.fix
    assert "new-board" in fault(tmp_path, "all: {}")
