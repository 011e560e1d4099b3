"""The parts of a source that a recipe leaves out."""

import re
from collections.abc import Sequence

Parts = tuple[str, ...]


class Exclusion:
    """The paths that match a pattern, with everything below them.

    ``*`` and ``?`` match within a name, ``**/`` any folders.
    """

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self._expressions = {pattern: re.compile(_expression(pattern), re.DOTALL) for pattern in patterns}
        self._matched: set[str] = set()

    def covers(self, parts: Parts) -> bool:
        """Return whether this path, below the source's top folder, is left out."""
        path = "/".join(parts)
        found = {pattern for pattern, expression in self._expressions.items() if expression.match(path)}
        self._matched |= found
        return bool(found)

    def unmatched(self) -> list[str]:
        """Return the patterns that have matched no path."""
        return [pattern for pattern in self._expressions if pattern not in self._matched]


def _expression(pattern: str) -> str:
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    names = [_name(part) + ("/" if number < len(parts) else "") for number, part in enumerate(parts, 1)]
    return "".join(names).replace(_name("**") + "/", "(?:[^/]+/)*") + "(?:/|$)"


def _name(part: str) -> str:
    return re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
