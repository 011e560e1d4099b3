"""The Jinja2 environment of all templates: an undefined variable is an error, and line ends are preserved."""

import shlex
from pathlib import Path
from typing import Any

import jinja2


def environment(folder: Path, *, html: bool = False, **syntax: Any) -> jinja2.Environment:
    """Return the environment of the templates in ``folder``; the filter ``quoted`` quotes a word for a shell.

    ``html`` escapes every value; ``syntax`` has Jinja2's delimiters that differ from the default.
    """
    lines = {"trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True} | syntax
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), undefined=jinja2.StrictUndefined,
        autoescape=html,  # noqa: S701 - control files, shell and YAML need no HTML escapes
        **lines,
    )  # fmt: skip
    made.filters["quoted"] = shlex.quote
    return made
