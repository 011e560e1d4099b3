"""Words of debhelper's files (debhelper(7), "Substitutions in debhelper config files"), which whitespace separates."""

import re
from collections.abc import Callable

SPECIAL = {" ": "${Space}", "\t": "${Tab}"}
UNKNOWN_VARIABLE = re.compile(r"\$(?=\{(?!(?:DEB_(?:BUILD|HOST|TARGET)_|env:)\w+\}|(?:Space|Tab|Newline|Dollar)\}))")
"""The start of ``${...}`` that is no variable of debhelper, which would end the build."""
TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}")
"""A variable of the recipe, which is expanded later."""
SHELL = re.compile(r"[^\w\0./*?\[\]-]", re.ASCII)
"""The characters that mean something to a shell, but are no patterns."""
TOP = "bin|boot|dev|etc|home|lib|lib32|lib64|media|mnt|opt|proc|root|run|sbin|srv|sys|tmp|usr|var"
NEXT_PATH = re.compile(rf"(?<!\\)\s+(?=/?(?:{TOP})(?:/|\s|$))")
"""The whitespace before a folder of the root: it separates two paths."""
MAGIC = re.compile(r"[][*?{}\\]")
"""The special characters of dh_install's patterns (File::Glob)."""


def install_line(entry: str) -> str:
    """Return an entry of ``files`` as a line for dh_install: a pattern, or patterns and the folder for their files.

    Paths may contain spaces: only a space before ``usr/``, ``etc/`` and so on begins another path, unless a backslash
    precedes it.
    """
    return _around_templates(
        lambda text: " ".join(_word(path.replace("\\ ", " ")) for path in NEXT_PATH.split(text)), entry.strip()
    )


def pattern_line(pattern: str) -> str:
    """Return a pattern of paths as a line of debian/not-installed."""
    return _around_templates(_word, pattern)


def shell_pattern(pattern: str) -> str:
    """Return a pattern of paths as a word of a shell script."""
    return _around_templates(lambda text: SHELL.sub(r"\\\g<0>", text), pattern)


def link_line(target: str, link: str) -> str:
    """Return a line for dh_link."""
    return " ".join(_around_templates(_word, path) for path in (target, link))


def own_file(path: str) -> str:
    """Return a path below ``debian/``, in which nothing is a variable, as a word."""
    word = _word(path.replace("$", "${Dollar}"))
    return re.sub(r"\{[{%]", lambda found: f'{{{{ "{found[0]}" }}}}', word)


def own_pattern(path: str) -> str:
    """Return a path as `own_file` does, as a pattern that fits this path alone."""
    return own_file(MAGIC.sub(r"\\\g<0>", path))


def _around_templates(change: Callable[[str], str], text: str) -> str:
    """Return ``text`` after ``change``, which sees a single character without meaning for each template in it."""
    templates = TEMPLATE.findall(text)
    parts = change(TEMPLATE.sub("\0", text)).split("\0")
    return "".join(part + template for part, template in zip(parts, [*templates, ""], strict=True))


def _word(text: str) -> str:
    text = UNKNOWN_VARIABLE.sub("${Dollar}", text)
    # A hash at the start of a line makes it a comment.
    return "".join(SPECIAL.get(character, character) for character in ("./" if text[:1] == "#" else "") + text)
