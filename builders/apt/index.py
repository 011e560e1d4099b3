"""Packages files: one entry per .deb, read from a publication and written into the next one.

The published index is the repository's own record: nothing else is needed to add to it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from debian.debian_support import Version

from builders.errors import PublishError

WANTED = re.compile(rb"^(Package|Version|Architecture|Filename|Size|SHA256): (.+)$", re.MULTILINE)
SAFE_FILENAME = re.compile(r"pool(/[A-Za-z0-9][A-Za-z0-9+.~_-]*)+\.deb")


@dataclass(frozen=True)
class Entry:
    """One .deb in the index: ``filename`` below the repository, ``size`` in bytes, ``stanza`` its full text."""

    package: str
    version: str
    architecture: str
    filename: str
    size: int
    sha256: str
    stanza: bytes

    @property
    def identity(self) -> tuple[str, str, str]:
        """Name, version and architecture: what may exist only once, with one content."""
        return self.package, self.version, self.architecture

    @property
    def component(self) -> str:
        """The component, which the pool path names."""
        return self.filename.split("/", 2)[1]

    def __str__(self) -> str:
        return f"{self.package} {self.version} ({self.architecture})"


def parse(content: bytes, where: str) -> Iterator[Entry]:
    """Yield the entries of a Packages file; raises PublishError naming ``where`` for one that is not whole."""
    for text in content.split(b"\n\n"):
        if text.strip():
            yield _entry(text, where)


def render(entries: Iterable[Entry], architecture: str) -> bytes:
    """Return the Packages file of one architecture, with the packages for ``all`` (Debian RepositoryFormat)."""
    wanted = (entry.stanza for entry in entries if entry.architecture in (architecture, "all"))
    return b"".join(part for stanza in wanted for part in (stanza, b"\n"))


def ordered(entries: Iterable[Entry]) -> list[Entry]:
    """Return entries by name, then version as dpkg compares them, oldest first."""
    by_name = sorted(entries, key=lambda entry: (entry.package, entry.architecture, entry.version))
    result: list[Entry] = []
    for _, group in groupby(by_name, key=lambda entry: entry.package):
        versions = list(group)
        # Versions are costly to compare, and most packages have one.
        result += versions if len(versions) == 1 else sorted(versions, key=lambda entry: Version(entry.version))
    return result


def _entry(text: bytes, where: str) -> Entry:
    found = {name.decode(): value.decode() for name, value in WANTED.findall(text)}
    try:
        filename = found["Filename"]
        entry = Entry(
            found["Package"], found["Version"], found["Architecture"],
            filename, int(found["Size"]), found["SHA256"], text.strip(b"\n") + b"\n",
        )  # fmt: skip
    except (KeyError, ValueError) as error:
        raise PublishError(f"{where}: broken entry", f"{error}\n{text[:200].decode(errors='replace')}") from error
    if not SAFE_FILENAME.fullmatch(filename):
        raise PublishError(f"{where}: not a safe path: {filename!r}")
    return entry
