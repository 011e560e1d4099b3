"""Reef's templates: Jinja2, where an undefined variable is an error."""

import functools
from collections.abc import Mapping
from pathlib import Path

import jinja2

from builders.errors import PackageError
from builders.host import templates


@functools.cache
def _templates() -> jinja2.Environment:
    # Shell writes ${#variable}, which holds Jinja2's usual comment mark.
    folder = Path(__file__).parent
    return templates.environment(folder, comment_start_string="{%#", comment_end_string="#%}")


def render(template: str, **values: object) -> str:
    """Render one of Reef's templates; raises PackageError naming a variable that is not defined."""
    try:
        return _templates().get_template(template).render(extended=extended, **values)
    except jinja2.TemplateError as error:
        raise PackageError(
            f"cannot render {template}", str(error), "correct the recipe; if it is right, report a bug in the template"
        ) from error


def expand(text: str, where: str, values: Mapping[str, object], hint: str = "") -> str:
    """Expand ``{{ variable }}`` in a recipe's text; raises PackageError with the place ``where`` and the mistake.

    ``hint`` ends the error's advice.
    """
    if "{" not in text and "\r" not in text:  # as most texts are; Jinja2 would compile each of them
        return text
    try:
        return _templates().from_string(text).render(**values)
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        # Python's own errors come from texts that compute, as in {{ version + 1 }}.
        known = ", ".join(sorted(values))
        raise PackageError(f"cannot render {where}", str(error), f"use these variables: {known}{hint}") from error


def extended(text: str) -> str:
    """Return ``text`` as continuation lines of a control field: indented, a dot for an empty line (Policy 5.6.13)."""
    return "\n".join(f" {line}" if line.strip() else " ." for line in text.strip().split("\n"))
