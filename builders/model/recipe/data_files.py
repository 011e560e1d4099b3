"""Files of packages that look like programs and are data: for another core, or for the kernel's virtual machine."""

import re
from collections.abc import Sequence

FIRMWARE = ("usr/lib/firmware", "lib/firmware")
"""Folders whose content is data in every package: the kernel hands it to devices (request_firmware)."""
BPF = (b"\xf7\0", b"\0\xf7")
"""e_machine of programs for the kernel's BPF virtual machine (EM_BPF, 247), in both byte orders."""
SPECIAL = {"*": "[^/]*", "?": "[^/]", "**": ".*", "**/": "(?:.*/)?", "{": "(?:", "}": ")", ",": "|"}
TOKENS = re.compile(r"\*\*/|\*\*|\*|\?|\{|\}|,|\[!?\]?[^]/]*\]|.", re.DOTALL)


def data_regex(patterns: Sequence[str]) -> str:
    """Return the regular expression, for Python and Perl, of the paths that are data by `FIRMWARE` or ``patterns``.

    ``*`` matches within a folder, ``**`` also across folders. A folder stands for all files in it.
    """
    paths = "|".join(_regex(pattern.strip("/")) for pattern in (*FIRMWARE, *patterns))
    # Perl takes an at sign for an array.
    return rf"^(?:{paths})(?:/.*)?\Z".replace("@", r"\@")


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
            parts.append(re.sub(r"[\\$]", r"\\\g<0>", part.replace("[!", "[^", 1)))
        else:
            parts.append(re.escape(part))
    return "".join(parts)
