"""Faults that a recipe accepts, each with its reason."""

from typing import Annotated

import pydantic

from builders.errors import nearest
from builders.model.yaml_file import Model

RUN = "run:"
"""How the verdict on a check of the recipe begins; the check's name follows."""
VERDICTS = (
    "alignment", "alone", "archive", "depends", "elf-cpu", "file-conflicts", "file-policy", "install", "isa", "lintian",
    "multi-arch", "pointers", "portable", "purge", "symbol-floor", "systemd", "upgrade", "version",
)  # fmt: skip
"""The names of all other verdicts."""
Reason = Annotated[str, pydantic.StringConstraints(pattern=r"^\S[^\n]*$")]
"""One line of text."""


class Acceptance(Model):
    """Faults that fail no verdict. Reports name each of them with the reason."""

    check: str
    """The verdict that would fail, by its name in the report. ``run:NAME`` is a check of the recipe."""
    match: Annotated[str, pydantic.StringConstraints(pattern=r"\S")]
    """A part of the fault's text, such as a path. A fault without it still fails."""
    reason: Reason
    """Why the fault is accepted, on one line."""

    @pydantic.field_validator("check")
    @classmethod
    def _known_verdict(cls, value: str) -> str:
        if value not in VERDICTS and not value.startswith(RUN):
            raise ValueError(f"unknown verdict {value!r}; {nearest(value, VERDICTS)}")
        return value
