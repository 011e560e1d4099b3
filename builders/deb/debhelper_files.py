"""Words of debhelper's files (debhelper(7), "Substitutions in debhelper config files"), which whitespace separates."""

import re
from collections.abc import Callable, Sequence

SPECIAL = {" ": "${Space}", "\t": "${Tab}"}
UNKNOWN_VARIABLE = re.compile(r"\$(?=\{(?!(?:DEB_(?:BUILD|HOST|TARGET)_|env:)\w+\}|(?:Space|Tab|Newline|Dollar)\}))")
"""The start of ``${...}`` that is no variable of debhelper, which would end the build."""
TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}")
"""A variable of the recipe, which is expanded later."""
SHELL = re.compile(r"[^\w./*?\[\]-]", re.ASCII)
"""The characters that mean something to a shell, but are no patterns."""
SET = re.compile(r"(?<!\\)\[(?P<not>[!^])?(?P<of>\]?[^]/]*)\]")
"""A set of characters in a pattern."""
TOKENS = re.compile(rf"{TEMPLATE.pattern}|\[[!^]?\]?[^]/]*\]|.", re.DOTALL)
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
        lambda text: " ".join(
            _word(SET.sub(_with_exclamation, path.replace("\\ ", " "))) for path in NEXT_PATH.split(text)
        ),
        entry.strip(),
    )


def pattern_line(pattern: str) -> str:
    """Return a pattern of paths as a line of debian/not-installed."""
    return _around_templates(lambda text: _word(SET.sub(_with_exclamation, text)), pattern)


def shell_patterns(pattern: str) -> str:
    """Return a pattern of paths as words of a shell script, for a shell that does not expand braces."""
    return " ".join("".join(map(_shell_token, tokens)) for tokens in _without_braces(TOKENS.findall(pattern)))


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


def _with_exclamation(found: re.Match[str]) -> str:
    """Return a set of characters with ``!`` for its negation: File::Glob takes ``^`` for a character of the set."""
    return f"[!{found['of']}]" if found["not"] else found[0]


def _shell_token(token: str) -> str:
    if TEMPLATE.fullmatch(token):
        return token
    if len(token) > 1 and (found := SET.fullmatch(token)):
        return ("[!" if found["not"] else "[") + SHELL.sub(r"\\\g<0>", found["of"]) + "]"
    return SHELL.sub(r"\\\g<0>", token)


def _without_braces(tokens: Sequence[str]) -> list[Sequence[str]]:
    """Return the patterns that a pattern with ``{a,b}`` stands for; ``{}`` and a brace alone mean themselves, as in
    File::Glob, by which debhelper expands patterns."""
    for start in range(len(tokens)):
        if tokens[start] != "{" or tokens[start + 1 : start + 2] == ["}"]:
            continue
        depth = 0
        parts: list[list[str]] = [[]]
        for end in range(start, len(tokens)):
            depth += (tokens[end] == "{") - (tokens[end] == "}")
            if depth == 0:
                wholes = [[*tokens[:start], *part, *tokens[end + 1 :]] for part in parts]
                return [pattern for whole in wholes for pattern in _without_braces(whole)]
            if depth == 1 and tokens[end] == ",":
                parts.append([])
            elif end > start:
                parts[-1].append(tokens[end])
    return [tokens]


def _around_templates(change: Callable[[str], str], text: str) -> str:
    """Return ``text`` after ``change``, which sees a single character without meaning for each template in it."""
    templates = TEMPLATE.findall(text)
    parts = change(TEMPLATE.sub("\0", text)).split("\0")
    return "".join(part + template for part, template in zip(parts, [*templates, ""], strict=True))


def _word(text: str) -> str:
    text = UNKNOWN_VARIABLE.sub("${Dollar}", text)
    # A hash at the start of a line makes it a comment.
    return "".join(SPECIAL.get(character, character) for character in ("./" if text[:1] == "#" else "") + text)
