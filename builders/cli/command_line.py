"""What one command line asked for so far: Invoke runs its tasks one after another, each with options of its own.

`./inv build-arm --target trixie/armhf publish-apt` means one target, though only the first task is told of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from builders.pipeline.planning.plan import BuildTarget
from builders.pipeline.planning.selection import select
from builders.pipeline.project import Project


@dataclass(frozen=True)
class Asked:
    """What one build-arm was asked for; empty and None where its command line did not say."""

    recipes: tuple[str, ...]
    targets: tuple[str, ...]
    engine: str | None

    def __str__(self) -> str:
        options = [("recipe", self.recipes), ("target", self.targets), ("engine", [self.engine] if self.engine else [])]
        return " ".join(f"--{option} {value}" for option, values in options for value in values)


_asked: list[Asked] = []
"""Lives as long as the process, which runs one command line."""


def remember(recipes: Sequence[str], targets: Sequence[str], engine: str | None) -> None:
    """Note what a build-arm of this command line was asked for."""
    _asked.append(Asked(tuple(recipes), tuple(targets), engine))


def to_publish(
    project: Project, recipes: list[str], targets: list[str], engine: str | None
) -> tuple[list[BuildTarget], str | None]:
    """Return what a publish-apt with these options publishes, and the engine that tries it.

    What the options leave open is what the builds before it on the command line were asked for. Raises InputError as
    `select` does.
    """
    chosen = [
        Asked(tuple(recipes) or one.recipes, tuple(targets) or one.targets, engine or one.engine)
        for one in _asked or [Asked((), (), None)]
    ]
    found: dict[tuple[str, str], BuildTarget] = {}
    for one in dict.fromkeys(chosen):
        if one != Asked(tuple(recipes), tuple(targets), engine):
            project.log.note(f"publish-apt goes by the options of build-arm: {one}")
        for each in select(project, one.recipes, one.targets, engine=one.engine):
            found.setdefault(each.key, each)
    return list(found.values()), chosen[-1].engine
