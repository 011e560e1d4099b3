"""Packages files: one entry per .deb, read from a publication and written into the next one.

The published index is the repository's own record: nothing else is needed to add to it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

from debian.debian_support import Version

from builders.apt.control import PHASE, description_md5
from builders.errors import PublishError

WANTED = ("Package", "Version", "Architecture", "Filename", "Size", "SHA256")
SECTION = re.compile(rb"^Section: (\S+)$", re.MULTILINE)
PHASED = re.compile(rf"^{PHASE}: ([0-9]{{1,3}})\n".encode(), re.MULTILINE)
TRANSLATED = re.compile(rb"^Description-md5: ([0-9a-f]{32})\nDescription-en: (.+(?:\n .*)*)$", re.MULTILINE)
SAFE_FILENAME = re.compile(r"pool(/[A-Za-z0-9][A-Za-z0-9+.~_-]*)+\.deb")


@dataclass(frozen=True, slots=True)
class Entry:
    """One .deb in the index: ``filename`` below the repository, ``size`` in bytes, ``stanza`` its text in Packages.

    ``description`` is the whole description where the stanza holds only its first line.
    """

    package: str
    version: str
    architecture: str
    filename: str
    size: int
    sha256: str
    stanza: bytes
    description: bytes = b""

    @property
    def description_md5(self) -> bytes:
        """The digest by which Packages and Translation-en name the description."""
        return description_md5(self.description)

    @property
    def section(self) -> str:
        """The section, ``misc`` where none is named."""
        match = SECTION.search(self.stanza)
        return match[1].decode() if match else "misc"

    @property
    def phase(self) -> int:
        """How many of a hundred boards may take it when they upgrade."""
        match = PHASED.search(self.stanza)
        return int(match[1]) if match else 100

    def phased(self, percentage: int) -> "Entry":
        """Return the entry with another phase."""
        text = PHASED.sub(b"", self.stanza)
        if percentage < 100:
            text += f"{PHASE}: {percentage}\n".encode()
        return self if text == self.stanza else replace(self, stanza=text)

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


def parse(content: bytes, where: str, descriptions: Mapping[bytes, bytes] | None = None) -> Iterator[Entry]:
    """Yield the entries of a Packages file, with their ``descriptions`` by digest.

    Raises PublishError naming ``where`` for an entry that is not whole.
    """
    for text in content.split(b"\n\n"):
        if text.strip():
            yield _entry(text, where, descriptions or {})


def parse_translation(content: bytes) -> dict[bytes, bytes]:
    """Return the descriptions of a Translation-en file by their digest; what is not whole is passed over."""
    return {match[1]: match[2] for match in TRANSLATED.finditer(content)}


def ordered(entries: Iterable[Entry]) -> list[Entry]:
    """Return entries by name, then version as dpkg compares them, oldest first."""
    by_name = sorted(entries, key=lambda entry: (entry.package, entry.architecture, entry.version))
    result: list[Entry] = []
    for _, group in groupby(by_name, key=lambda entry: entry.package):
        versions = list(group)
        # Versions are costly to compare, and most packages have one.
        result += versions if len(versions) == 1 else sorted(versions, key=lambda entry: Version(entry.version))
    return result


def _entry(text: bytes, where: str, descriptions: Mapping[bytes, bytes]) -> Entry:
    stanza = text.strip(b"\n") + b"\n"
    try:
        package, version, architecture, filename, size, sha256 = (_field(stanza, name) for name in WANTED)
        entry = Entry(
            package, version, architecture, filename, int(size), sha256, stanza,
            descriptions.get(_digest(stanza), b"") if descriptions else b"",
        )  # fmt: skip
    except (KeyError, ValueError) as error:
        raise PublishError(f"{where}: broken entry", f"{error}\n{text[:200].decode(errors='replace')}") from error
    if not SAFE_FILENAME.fullmatch(filename):
        raise PublishError(f"{where}: not a safe path: {filename!r}")
    return entry


def _field(stanza: bytes, name: str) -> str:
    """Return a field of one line. Searching for each is three times as fast as one pattern for all."""
    start = f"{name}: ".encode()
    at = 0 if stanza.startswith(start) else stanza.find(b"\n" + start) + 1
    if not at and not stanza.startswith(start):
        raise KeyError(name)
    return stanza[at + len(start) : stanza.index(b"\n", at)].decode()


def _digest(stanza: bytes) -> bytes:
    at = stanza.find(b"\nDescription-md5: ")
    return stanza[at + 18 : at + 50] if at >= 0 else b""
