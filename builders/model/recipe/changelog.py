"""Entries of a recipe's changelog, which give each revision its version and date."""

from datetime import datetime
from typing import Annotated

import pydantic

from builders.model.yaml_file import Model

UpstreamVersion = Annotated[str, pydantic.StringConstraints(pattern=r"^[0-9][A-Za-z0-9.+~]*$")]
"""Debian Policy 5.6.12 without epoch and hyphen, so that the revision after the last hyphen is unambiguous."""


class ChangelogEntry(Model):
    """An entry of debian/changelog. The newest is first; its date is the build's SOURCE_DATE_EPOCH."""

    revision: Annotated[int, pydantic.Field(ge=1)]
    """Debian revision of the packages."""
    version: UpstreamVersion | None = None
    """Upstream version, if it differs from the recipe's."""
    date: datetime
    """Date and time with a time zone, as in ``2026-01-31T12:00:00Z``."""
    changes: Annotated[list[str], pydantic.Field(min_length=1)]
    """The changes, each a line of the changelog."""

    @pydantic.field_validator("date")
    @classmethod
    def _has_zone(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            raise ValueError("expected a time zone, as in 2026-01-31T12:00:00Z")
        if value.timestamp() < 0:
            raise ValueError("expected a date from 1970 on, where SOURCE_DATE_EPOCH begins")
        return value
