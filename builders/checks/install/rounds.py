"""The rounds in which packages are installed together, in order: packages that conflict take turns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from builders.checks.static.relations import conflict, relations
from builders.model.recipe import Check, Recipe

Controls = Mapping[str, Mapping[str, str]]
"""Control fields by package name."""


@dataclass(frozen=True)
class Stage:
    """``packages`` to install on top of the stages before, then ``checks`` to run."""

    packages: tuple[str, ...]
    checks: tuple[Check, ...] = ()


@dataclass
class Round:
    """Stages whose packages can all be installed at once; ``members`` are those of the recipe among them."""

    stages: list[Stage] = field(default_factory=list)
    members: list[str] = field(default_factory=list)


def arrange(recipe: Recipe, ours: Controls) -> list[Round]:
    """Return rounds in which every check runs and every package is installed, as few as found.

    Each check's packages come before packages that no check names. A check thus runs as on a board that installed only
    its packages.
    """
    rounds: list[Round] = []
    for check in recipe.checks:
        _place(Stage(tuple(check.packages), (check,)), rounds, ours)
    for name in ours:
        if all(name not in each.members for each in rounds):
            _place(Stage((name,)), rounds, ours)
    return [Round(_merged(each.stages), each.members) for each in rounds]


def closure(names: Iterable[str], ours: Controls) -> set[str]:
    """Return those of ``names`` that are ours, and those of ours that they depend on, directly or not."""
    found: set[str] = set()
    waiting = [name for name in names if name in ours]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            needed = relations(ours[name], "Depends", "Pre-Depends")
            waiting += [relation.name for relation in needed if relation.name in ours]
    return found


def _place(stage: Stage, rounds: list[Round], ours: Controls) -> None:
    """Put ``stage`` into the first round that it does not conflict with, or a new one."""
    members = closure(stage.packages, ours)
    for each in rounds:
        if not any(conflict(ours[a], ours[b]) for a in members for b in each.members if a != b):
            break
    else:
        each = Round()
        rounds.append(each)
    each.stages.append(stage)
    each.members += sorted(members - set(each.members))


def _merged(stages: list[Stage]) -> list[Stage]:
    """Join stages that install nothing new, and packages without checks: each installation takes seconds."""
    result: list[Stage] = []
    installed: set[str] = set()
    for stage in stages:
        last = result[-1] if result else None
        if last and installed.issuperset(stage.packages):
            result[-1] = Stage(last.packages, (*last.checks, *stage.checks))
        elif last and not last.checks and not stage.checks:
            result[-1] = Stage((*last.packages, *stage.packages))
        else:
            result.append(stage)
        installed.update(stage.packages)
    return result
