"""Jinja2 as all of Reef's templates use it: an undefined variable is an error, and lines stay as they are written."""

import shlex
from pathlib import Path
from typing import Any

import jinja2


def environment(folder: Path, *, html: bool = False, **syntax: Any) -> jinja2.Environment:
    """Return the environment of the templates in ``folder``; the filter ``quoted`` quotes a word for a shell.

    ``html`` escapes every value; ``syntax`` holds delimiters of Jinja2 that differ from its own.
    """
    lines = {"trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True} | syntax
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), undefined=jinja2.StrictUndefined,
        autoescape=html,  # noqa: S701 - Debian's control files, shell and YAML are no HTML
        **lines,
    )  # fmt: skip
    made.filters["quoted"] = shlex.quote
    return made
