"""Reef's templates: Jinja2, where an undefined variable is an error."""

import difflib
import functools
import re
from collections.abc import Mapping
from pathlib import Path

import jinja2
import jinja2.meta

from builders.errors import PackageError
from builders.host import templates

BLOCK = re.compile(r"(?<!\$)\{%[-+]? *(if|for|set|raw|macro|filter|with)\b")
"""The start of a block of Jinja2; ``${variable%...}`` is the shell's."""
EXPRESSION = re.compile(r"""\{\{(?:"[^"\n]*"|'[^'\n]*'|[^{}"'\n])*\}\}""")
UNCLOSED = re.compile(r"\{\{[-+]? *(architecture|suite|tensorflow|triplet|upstream_version|version)\b")
VARIABLES = ("architecture", "suite", "tensorflow", "triplet", "upstream_version", "version")
"""The names of all variables, some of which a recipe with ``keep_source`` lacks."""
NAMED = re.compile(rf"\{{[{{%](?:[^}}%]|%(?!\}}))*(?<![.\w])(?:{'|'.join(VARIABLES)})\b")
"""A variable in a block or an expression."""


@functools.cache
def _templates() -> jinja2.Environment:
    # Shell writes ${#variable}, which holds Jinja2's usual comment mark.
    folder = Path(__file__).parent
    return templates.environment(folder, comment_start_string="{%#", comment_end_string="#%}")


def render(template: str, **values: object) -> str:
    """Render one of Reef's templates; raises PackageError naming a variable that is not defined."""
    try:
        return _templates().get_template(template).render(extended=extended, literal=literal, **values)
    except jinja2.TemplateError as error:
        raise PackageError(
            f"cannot render {template}", str(error), "correct the recipe; if it is right, report a bug in the template"
        ) from error


def expand(text: str, where: str, values: Mapping[str, object], hint: str = "") -> str:
    """Expand ``{{ variable }}`` in a recipe's text, and leave all other braces as they are.

    A text with a block of Jinja2, such as ``{% if %}``, is a template as a whole: ours, or another program's if it
    names anything but our variables. A text that is no Jinja2 and names none of them is another program's too, such as
    Django's or Liquid's. Raises PackageError with the place ``where`` for a mistake in a template, and for a name that
    resembles a variable; ``hint`` ends the error's advice.
    """
    known = ", ".join(sorted(values))
    try:
        if BLOCK.search(text):
            return _whole(text, values)
        if unclosed := UNCLOSED.search(EXPRESSION.sub("", text)):
            raise jinja2.TemplateSyntaxError(f"{unclosed[0]!r} has no end", 1)
        return EXPRESSION.sub(lambda found: _expanded(found[0], values), text)
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        # Python's own errors come from texts that compute, as in {{ version + 1 }}.
        raise PackageError(f"cannot render {where}", str(error), f"use these variables: {known}{hint}") from error


def _whole(text: str, values: Mapping[str, object]) -> str:
    """Return a text with blocks as a template of Jinja2, unchanged if it is another program's."""
    try:
        return text if _foreign(text, values) else _templates().from_string(text).render(**values)
    except jinja2.TemplateSyntaxError:
        if NAMED.search(text):
            raise
        return text


def _expanded(expression: str, values: Mapping[str, object]) -> str:
    """Return the value of ``{{ ... }}``; other programs' templates, such as Go's or Ansible's, stay as they are."""
    try:
        foreign = _foreign(expression, values)
    except jinja2.TemplateSyntaxError:
        return expression
    return expression if foreign else _templates().from_string(expression).render(**values)


def _foreign(template: str, values: Mapping[str, object]) -> bool:
    """Return whether a template names what no recipe knows; raises UndefinedError for what resembles a variable."""
    environment = _templates()
    names = jinja2.meta.find_undeclared_variables(environment.parse(template))
    unknown = names.difference(values, environment.globals)
    for name in sorted(unknown):
        if name in VARIABLES or difflib.get_close_matches(name, values, n=1, cutoff=0.8):
            raise jinja2.UndefinedError(f"{name!r} is undefined")
    return bool(unknown)


def extended(text: str) -> str:
    """Return ``text`` as continuation lines of a control field: indented, a dot for an empty line (Policy 5.6.13).

    A line that begins with a dot becomes a verbatim line, because Policy reserves such lines; a dot alone is an empty
    line. Tabs become spaces.
    """
    lines = [
        re.sub(r"^\s*\.?\s*$", "", line.expandtabs()).rstrip()
        for line in re.sub(r"\A(\s*\n)+", "", text).rstrip().split("\n")
    ]
    return "\n".join(f" {' ' * line.startswith('.')}{line}" if line else " ." for line in lines)


def literal(text: str) -> str:
    """Return ``text`` for debian/control, where dpkg replaces ``${name}`` by the variable, and ``${}`` by a dollar.

    (deb-substvars(5); dpkg's apply_substvars names this escape.)
    """
    return text.replace("${", "${}{")
