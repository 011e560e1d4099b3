"""Checks of a recipe: scripts that run where its packages are installed."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

import pydantic

from builders.errors import nearest
from builders.model.recipe.acceptance import RUN, Acceptance
from builders.model.recipe.source import SourceName
from builders.model.yaml_file import FaultyPart, Model


class Check(Model):
    """A script that must succeed where the packages are installed."""

    name: SourceName
    """Name of the check in reports."""
    on: Literal["target"] = "target"
    """Where the script runs. ``target`` is a clean root of the target's suite and CPU."""
    packages: Annotated[list[str], pydantic.Field(min_length=1)]
    """Packages that are installed from the staged repository."""
    script: str
    """The script, a file of the recipe's folder."""
    expect: list[str] = []
    """Lines that the script must print."""


class Gate(Model):
    """A test on a real board after an installation: it decides whether the board keeps what was installed."""

    name: SourceName
    """Name of the gate in reports, and for ``reef_gate`` in boards.yml."""
    packages: Annotated[list[str], pydantic.Field(min_length=1)]
    """Packages that the test needs: it runs on boards that have all of them."""
    script: str
    """The test, a file of the recipe's folder: a shell script that runs as root and must end with status 0. It must not
    disturb the board's services, and leaves nothing behind."""


def require_known_checks(
    accepted: Iterable[tuple[tuple[int | str, ...], Sequence[Acceptance]]], checks: Sequence[Check]
) -> None:
    """Raise FaultyPart if a fault of a check is accepted that is not in ``checks``.

    ``accepted`` yields each list of acceptances with its place in the recipe.
    """
    known = [RUN + check.name for check in checks]
    for place, acceptances in accepted:
        for number, each in enumerate(acceptances):
            if each.check.startswith(RUN) and each.check not in known:
                hint = nearest(each.check, known) if known else "the recipe has no checks"
                raise FaultyPart((*place, number, "check"), f"no check {each.check!r}; {hint}")
