"""The plan: an action for each build target, with its reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from builders.deb import PlannedJob
from builders.model.recipe import Recipe
from builders.model.target import Target
from builders.pipeline.planning.records import Fingerprint, Record

REASONS = {
    "sources": "source digest changed",
    "by": "who built the packages changed",
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
"""Parts of a fingerprint whose inner names a reason repeats."""
FORCED = ("asked for with --force",)


@dataclass(frozen=True)
class BuildTarget:
    """A recipe to build for a target: its job, the fingerprint that the build would have, and the record of the last.

    ``record`` is of the finished build, if there is any.
    """

    job: PlannedJob
    fingerprint: Fingerprint
    record: Record | None = None

    @property
    def recipe(self) -> Recipe:
        return self.job.recipe

    @property
    def target(self) -> Target:
        return self.job.target

    @property
    def key(self) -> tuple[str, str]:
        """The name of the build's folder: recipe and target slug."""
        return self.recipe.name, self.target.slug

    def __str__(self) -> str:
        return f"{self.recipe.name} for {self.target}"


@dataclass(frozen=True)
class PlannedAction:
    """The decision to build a build target or to keep its build, with the reasons."""

    action: Literal["build", "keep"]
    build_target: BuildTarget
    reasons: tuple[str, ...]

    @property
    def forced(self) -> bool:
        """Whether an up-to-date build is built again."""
        return self.reasons == FORCED


@dataclass(frozen=True)
class Difference:
    """A value that differs between two fingerprints; ``path`` is dotted, None is an absent value."""

    path: str
    before: object
    after: object


def plan(build_targets: Sequence[BuildTarget], *, force: bool = False) -> list[PlannedAction]:
    """Return the action for each build target, in their order (a build comes after those that it builds against)."""
    return [decide(build_target, force=force) for build_target in build_targets]


def decide(build_target: BuildTarget, *, force: bool = False) -> PlannedAction:
    """Return the action for one build target."""
    if build_target.record is None:
        return PlannedAction("build", build_target, ("never built",))
    changes = differences(build_target.record.fingerprint, build_target.fingerprint)
    if changes:
        return PlannedAction("build", build_target, reasons(changes))
    if force:
        return PlannedAction("build", build_target, FORCED)
    return PlannedAction("keep", build_target, ("up to date",))


def reasons(changes: Sequence[Difference]) -> tuple[str, ...]:
    """Return a short reason for each part of a fingerprint that changed, with the inner names of parts in `NAMED`."""
    parts: dict[str, list[str]] = {}
    for change in changes:
        top, _, rest = change.path.partition(".")
        parts.setdefault(top, []).extend([rest] if rest and top in NAMED else [])
    return tuple(
        REASONS.get(top, f"{top} changed") + (f" ({', '.join(names)})" if names else "") for top, names in parts.items()
    )


def differences(before: Any, after: Any, path: str = "") -> list[Difference]:
    """Return every value that differs between two documents of plain values, in the order of their paths."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        changes = []
        for name in sorted({*before, *after}):
            inner = f"{path}.{name}" if path else str(name)
            changes += differences(before.get(name), after.get(name), inner)
        return changes
    if isinstance(before, list | tuple) and isinstance(after, list | tuple):
        return [] if list(before) == list(after) else [Difference(path, list(before), list(after))]
    return [] if before == after else [Difference(path, before, after)]
