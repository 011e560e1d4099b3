"""Files of packages that look like programs and are data: for another core, or for the kernel's virtual machine."""

import re
from collections.abc import Collection, Sequence
from typing import Annotated

import pydantic

from builders.model.yaml_file import Line

FIRMWARE = ("usr/lib/firmware", "lib/firmware")
"""Folders whose content is data in every package: the kernel hands it to devices (request_firmware)."""
BPF = (b"\xf7\0", b"\0\xf7")
"""e_machine of programs for the kernel's BPF virtual machine (EM_BPF, 247), in both byte orders."""
SPECIAL = {"*": "[^/]*", "?": "[^/]", "**": ".*", "**/": "(?:.*/)?", "{": "(?:", "}": ")", ",": "|"}
TOKENS = re.compile(r"\*\*/|\*\*|\*|\?|\{|\}|,|\[[!^]?\]?[^]/]*\]|.", re.DOTALL)
VARIABLE = re.compile(r"\{\{[-+]? *\w+ *[-+]?\}\}|\{%")


def _is_pattern(pattern: str) -> str:
    if not pattern.strip("/"):
        raise ValueError(f"{pattern!r}: expected a path or a pattern of paths")
    if VARIABLE.search(pattern):
        raise ValueError(f"{pattern!r}: data: has no variables, as one pattern serves all targets; write * instead")
    if "[:" in pattern:
        raise ValueError(f"{pattern!r}: classes such as [:alpha:] are not known here; write the letters, as in [a-z]")
    try:
        re.compile(data_regex([pattern]))
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a pattern: a brace or a set of characters is not complete") from error
    return pattern


DataPattern = Annotated[Line, pydantic.AfterValidator(_is_pattern)]
"""A pattern of paths, as `data_regex` takes it."""


def data_regex(patterns: Sequence[str]) -> str:
    """Return the regular expression, for Python and Perl, of the paths that are data by `FIRMWARE` or ``patterns``.

    ``*`` matches within a folder, ``**`` also across folders. A folder stands for all files in it.
    """
    paths = "|".join(_regex(pattern.strip("/")) for pattern in (*FIRMWARE, *patterns))
    # Perl takes an at sign for an array.
    return rf"^(?:{paths})(?:/.*)?\Z".replace("@", r"\@")


def without_files(patterns: Sequence[str], paths: Collection[str]) -> list[str]:
    """Return the ``patterns`` that match none of the files ``paths``."""
    expressions = {pattern: re.compile(rf"(?:{_regex(pattern.strip('/'))})(?:/.*)?", re.DOTALL) for pattern in patterns}
    return [pattern for pattern, regex in expressions.items() if not any(map(regex.fullmatch, paths))]


def is_bpf(content: bytes) -> bool:
    """Return whether a file is an object for BPF: libbpf hands it to the kernel, and no CPU runs it."""
    return content.startswith(b"\x7fELF") and content[18:20] in BPF


def _regex(pattern: str) -> str:
    braces, parts = 0, []
    for part in TOKENS.findall(pattern):
        braces += (part == "{") - (part == "}")
        if part in SPECIAL and not (part == "," and not braces):
            parts.append(SPECIAL[part])
        elif len(part) > 1:  # a set of characters
            negated = part[1] in "!^"
            # Braces end Perl's qr{}; no set matches across folders.
            inner = re.sub(r"[][\\${}&~|^]", r"\\\g<0>", part[2 if negated else 1 : -1])
            parts.append(f"[^/{inner}]" if negated and inner else f"[{inner}]")
        else:
            parts.append(re.escape(part))
    return "".join(parts)
