"""Pointers: small files that stand for files which Git LFS or git-annex keeps elsewhere."""

import re
from dataclasses import dataclass

LFS_SIZE = 1024
"""A pointer of Git LFS is smaller, in bytes (its docs/spec.md)."""
LFS_VERSION = re.compile(
    rb"version (?:https://git-lfs\.github\.com/spec/v\d+|https://hawser\.github\.com/spec/v1|http://git-media\.io/v/2)\r?\n"
)
"""The first line: of today's version, and of the two before the first release (lfs/pointer.go)."""
LFS_OID = re.compile(rb"^oid sha256:([0-9a-fA-F]{64})\r?$", re.MULTILINE)
LFS_BYTES = re.compile(rb"^size (\d+)\r?$", re.MULTILINE)
LFS_EXTENSION = re.compile(rb"^ext-\d", re.MULTILINE)
"""The line of an extension: what the server keeps is not the file, but what the extension made of it."""
ANNEX_FILE = b"/annex/objects/"
ANNEX_SIZE = 81920
"""The largest pointer of git-annex, in bytes (its Annex/Link.hs)."""
LARGEST = max(LFS_SIZE, ANNEX_SIZE)


@dataclass(frozen=True)
class Pointer:
    """A pointer, read: the program that made it, and the file's SHA-256 (hex, or empty if unknown) and size (bytes)."""

    program: str
    sha256: str = ""
    size: int = 0


def pointer_of(content: bytes) -> Pointer | None:
    """Return the pointer that ``content`` is, or None. Its first line decides, so that a damaged pointer is found."""
    if len(content) < LFS_SIZE and LFS_VERSION.match(content):
        oid, size = LFS_OID.search(content), LFS_BYTES.search(content)
        if oid is None or size is None or LFS_EXTENSION.search(content):
            return Pointer("Git LFS")
        return Pointer("Git LFS", oid[1].decode().lower(), int(size[1]))
    if len(content) <= ANNEX_SIZE and content.startswith(ANNEX_FILE):
        return Pointer("git-annex")
    return None


def is_annex_link(target: str) -> bool:
    """Return whether a symbolic link with this target stands for a file of git-annex."""
    return f".git{ANNEX_FILE.decode()}" in target
