"""Planning, without side effects: recipes, targets and what is recorded become steps, each with its reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from builders.model.recipe import Recipe, StrategyName
from builders.model.target import Target
from builders.state import Fingerprint, Record

REASONS = {
    "sources": "source digest changed",
    "substituted": "folders given with --source changed",
    "edits": "edits of the sources changed",
    "debian": "packaging changed",
    "files": "files of the recipe changed",
    "root": "build root changed",
    "against": "a recipe that it builds against changed",
    "strategy": "strategy changed",
    "version": "version changed",
    "script": "build job changed",
}
NAMED = ("sources", "debian", "files", "against")
"""Parts of a fingerprint whose inner names mean something to a reader."""


@dataclass(frozen=True)
class Wanted:
    """One build that was asked for, with the fingerprint that it would have."""

    recipe: Recipe
    target: Target
    strategy: StrategyName
    fingerprint: Fingerprint

    @property
    def key(self) -> tuple[str, str]:
        """What names the build's folder: recipe and target slug."""
        return self.recipe.name, self.target.slug


@dataclass(frozen=True)
class Step:
    """What to do about one wanted build, and why."""

    action: Literal["build", "keep"]
    wanted: Wanted
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """One difference between two fingerprints: ``path`` in dots; None stands for an absent value."""

    path: str
    before: object
    after: object


def plan(wanted: Sequence[Wanted], records: Mapping[tuple[str, str], Record], *, force: bool = False) -> list[Step]:
    """Return one step for each wanted build, in their order (a build comes after what it builds against)."""
    return [_step(one, records.get(one.key), force=force) for one in wanted]


def _step(wanted: Wanted, record: Record | None, *, force: bool) -> Step:
    if record is None:
        return Step("build", wanted, ("never built",))
    changes = differences(record.fingerprint, wanted.fingerprint)
    if changes:
        return Step("build", wanted, reasons(changes))
    if force:
        return Step("build", wanted, ("asked for with --force",))
    return Step("keep", wanted, ("up to date",))


def reasons(changes: Sequence[Change]) -> tuple[str, ...]:
    """Return a short reason for each part of a fingerprint that changed, naming what in it where that helps."""
    parts: dict[str, list[str]] = {}
    for change in changes:
        top, _, rest = change.path.partition(".")
        parts.setdefault(top, []).extend([rest] if rest and top in NAMED else [])
    return tuple(
        REASONS.get(top, f"{top} changed") + (f" ({', '.join(names)})" if names else "") for top, names in parts.items()
    )


def differences(before: Any, after: Any, path: str = "") -> list[Change]:
    """Return every value that differs between two documents of plain values, in the order of their paths."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        changes = []
        for name in sorted({*before, *after}):
            inner = f"{path}.{name}" if path else str(name)
            changes += differences(before.get(name), after.get(name), inner)
        return changes
    if isinstance(before, list | tuple) and isinstance(after, list | tuple):
        return [] if list(before) == list(after) else [Change(path, list(before), list(after))]
    return [] if before == after else [Change(path, before, after)]
