"""The house's rule: imports go one way, and stages never import each other."""

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "builders"
LAYERS = [
    {"errors"},
    {"host"},
    {"model"},
    {"sources", "engines", "deb", "checks", "apt"},
    {"pipeline"},
    {"maintenance"},
    {"cli"},
]  # fmt: skip
STAGES = LAYERS[3]
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
ONLY_DOORS = {"subprocess": {"host"}, "invoke": {"cli"}, "rich": {"host"}}
"""Modules of others that only some of ours may import."""
INSIDE_ROOTS = {"bazel_driver.py"}
"""Programs that are copied into build roots, where nothing else of ours is: they import nothing but Python's own."""


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def home(path: Path) -> str:
    """The module of the table that a file belongs to: a stage's files belong to the stage."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def edges(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imported(path) if name.startswith("builders.")}


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    own = home(path)
    assert own in LAYER, f"{own} has no place in the table of layers"
    for other in edges(path) - {own}:
        assert LAYER[other] <= LAYER[own], f"{path.name} imports {other} from above"
        assert not (own in STAGES and other in STAGES), f"the stage {own} imports the stage {other}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_doors_are_the_only_ones(path: Path) -> None:
    outside = {name.split(".")[0] for name in imported(path)}
    if path.name in INSIDE_ROOTS:
        assert outside <= sys.stdlib_module_names
        return
    for door, keepers in ONLY_DOORS.items():
        assert door not in outside or home(path) in keepers, f"{path.name} imports {door}"


def test_modules_stay_short() -> None:
    long = {path.name: count for path in modules() if (count := len(path.read_text().splitlines())) > 400}
    assert long == {}
