"""The imports of builders/ keep to builders/layers.toml: one way, through faces, without a circle."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "builders"
LAYERS = tomllib.loads((PACKAGE / "layers.toml").read_text())
MAY_IMPORT: dict[str, list[str]] = LAYERS["may_import"]
FACES: dict[str, list[str]] = LAYERS["faces"]
INSIDE_ROOTS: dict[str, set[str]] = {"bazel_driver.py": set(), "handover.py": set(), "portable_driver.py": {"elftools"}}
"""Programs that are copied to where nothing else of Reef is: they import Python's own modules, and those of packages
in their roots."""


def module_name(path: Path) -> str:
    """Return ``builders.apt.api`` for a file of the package."""
    parts = ("builders", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    return {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(path: Path) -> Iterator[str]:
    """Yield what a file imports, inside of functions too: modules by their full names, or else the dotted names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in modules() else str(node.module)


@cache
def graph() -> dict[str, set[str]]:
    """Return the modules of the package that each module imports."""
    return {
        name: {other for other in imported(path) if other in modules() and other not in (name, "builders")}
        for name, path in modules().items()
    }


def room(name: str) -> str:
    """Return the entry of builders/ that a module belongs to."""
    return name.split(".")[1] if "." in name else ""


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of nodes that import each other, directly or not."""
    reached = {node: reachable(node, edges) for node in edges}
    groups = {tuple(sorted({node, *(n for n in reached[node] if node in reached[n])})) for node in edges}
    return [list(group) for group in groups if len(group) > 1]


def reachable(start: str, edges: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for node in edges[waiting.pop()] - found:
            found.add(node)
            waiting.append(node)
    return found


def rooms() -> dict[str, set[str]]:
    """Return the entries of builders/ that each entry imports."""
    edges: dict[str, set[str]] = {room(name): set() for name in modules() if room(name)}
    for name, others in graph().items():
        edges.setdefault(room(name), set()).update(room(other) for other in others if room(other) != room(name))
    edges.pop("", None)
    return edges


def rooms_of(stage: str) -> dict[str, set[str]]:
    """Return the entries of a stage's folder that each entry imports."""
    inside = f"builders.{stage}."
    edges: dict[str, set[str]] = {}
    for name, others in graph().items():
        if name.startswith(inside):
            entry = name.split(".")[2]
            found = {other.split(".")[2] for other in others if other.startswith(inside)}
            edges.setdefault(entry, set()).update(found - {entry})
    return edges


def floors(edges: dict[str, set[str]]) -> dict[str, int]:
    """Return the length of the longest chain of imports below each entry, itself included."""
    found: dict[str, int] = {}

    def floor(name: str) -> int:
        if name not in found:
            found[name] = 1 + max((floor(other) for other in edges[name]), default=0)
        return found[name]

    return {name: floor(name) for name in edges}


def test_the_table_names_what_stands_in_the_package() -> None:
    assert sorted(MAY_IMPORT) == sorted({room(name) for name in modules() if room(name)})


@pytest.mark.parametrize("name", modules())
def test_imports_keep_to_the_table(name: str) -> None:
    for other in graph()[name]:
        allowed = room(other) == room(name) or room(other) in MAY_IMPORT[room(name)]
        assert allowed, f"{name} imports {other}, which layers.toml does not allow"


def test_the_table_allows_no_more_than_is_used() -> None:
    found = rooms()
    assert {name: sorted(allowed) for name, allowed in MAY_IMPORT.items()} == {n: sorted(found[n]) for n in MAY_IMPORT}
    faces = {face for face_list in FACES.values() for face in face_list}
    assert faces - {other for others in graph().values() for other in others} == set()


@pytest.mark.parametrize("name", modules())
def test_nothing_reaches_past_a_face(name: str) -> None:
    for other in graph()[name]:
        for place, face in FACES.items():
            inner = f"builders.{place}"
            if f"{other}.".startswith(f"{inner}.") and not f"{name}.".startswith(f"{inner}."):
                assert other in face, f"{name} imports {other} past the face of {place}"


def test_no_import_circles() -> None:
    assert circles(graph()) == []


def test_rooms_import_each_other_one_way() -> None:
    assert circles(rooms()) == []


@pytest.mark.parametrize("stage", LAYERS["rooms"])
def test_rooms_of_a_stage_import_what_the_table_says(stage: str) -> None:
    found = rooms_of(stage)
    assert {name: sorted(others) for name, others in found.items()} == LAYERS["rooms"][stage]
    assert circles(found) == []


def test_the_house_has_few_floors() -> None:
    found = floors(rooms())
    assert max(found.values()) <= LAYERS["limits"]["floors"], found


@pytest.mark.parametrize("name", modules())
def test_doors_are_the_only_ones(name: str) -> None:
    outside = {other.split(".")[0] for other in imported(modules()[name])}
    file = modules()[name].name
    if file in INSIDE_ROOTS:
        assert outside <= sys.stdlib_module_names | INSIDE_ROOTS[file]
        return
    for door, keeper in LAYERS["doors"].items():
        assert door not in outside or name == keeper, f"{name} imports {door}, which is for {keeper}"


def test_the_checks_see_what_they_forbid() -> None:
    """The graph really holds edges inside of functions, and a circle of three is found."""
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert floors({"a": {"b"}, "b": {"c"}, "c": set(), "d": {"c"}}) == {"a": 3, "b": 2, "c": 1, "d": 2}
    assert "builders.host.process" in graph()["builders.host.files"]
