"""Reef's templates: Jinja2, where an undefined variable is an error."""

import functools
from collections.abc import Mapping
from pathlib import Path

import jinja2

from builders.errors import PackageError
from builders.host import templates


@functools.cache
def _templates() -> jinja2.Environment:
    # The usual comment marks stand in shell's ${#variable}.
    folder = Path(__file__).parent
    return templates.environment(folder, comment_start_string="{%#", comment_end_string="#%}")


def render(template: str, **values: object) -> str:
    """Render one of Reef's templates; raises PackageError naming a variable that is not defined."""
    try:
        return _templates().get_template(template).render(extended=extended, **values)
    except jinja2.TemplateError as error:
        raise PackageError(f"cannot render {template}", str(error), "mend the recipe or the template") from error


def expand(text: str, where: str, values: Mapping[str, object], hint: str = "") -> str:
    """Expand ``{{ variable }}`` in a recipe's own text; raises PackageError naming ``where`` and what is wrong in it.

    ``hint`` goes to the error's remedy.
    """
    if "{" not in text and "\r" not in text:  # as most texts are; Jinja2 would compile each of them
        return text
    try:
        return _templates().from_string(text).render(**values)
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        # Beside Jinja2's own: what Python raises where a text computes, as in {{ version + 1 }}.
        known = ", ".join(sorted(values))
        raise PackageError(f"cannot render {where}", str(error), f"variables there are: {known}{hint}") from error


def extended(text: str) -> str:
    """Return ``text`` as continuation lines of a control field: indented, a dot for an empty line (Policy 5.6.13)."""
    return "\n".join(f" {line}" if line.strip() else " ." for line in text.strip().split("\n"))
