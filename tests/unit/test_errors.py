"""Every failure that Reef reports says what to do, and each stage has an exit code of its own."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

from builders import errors
from builders.errors import ReefError, nearest

PACKAGE = Path(errors.__file__).parent
KINDS = {name: kind for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, ReefError)}


def failures() -> Iterator[tuple[str, ast.Call]]:
    """Yield every construction of an error in the package, with its place."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node


def test_every_error_says_what_to_do() -> None:
    found = list(failures())
    silent = [
        place
        for place, call in found
        if len(call.args) < 3 and all(keyword.arg != "fix" for keyword in call.keywords)
    ]  # fmt: skip
    assert silent == []
    assert len(found) > 200, "the errors were not found"


def test_exit_codes_differ() -> None:
    codes = [kind.exit_code for name, kind in KINDS.items() if name != "ReefError"]
    assert len(codes) == len(set(codes))
    assert not set(codes) & {0, 1, 2, 130}, "taken by success, Invoke and Ctrl-C"


def test_the_nearest_name() -> None:
    assert nearest("trixi", ["bookworm", "trixie"]) == "did you mean 'trixie'?"
    assert nearest("sid", ["trixie", "bookworm"]) == "known: bookworm, trixie"
