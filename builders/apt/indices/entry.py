"""Packages and Sources files: one entry per .deb or source package, read from one publication, written into the next.

The published index is the repository's own record: nothing else is needed to add to it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

from debian.debian_support import Version

from builders.apt.indices.deb822 import PHASE, description_md5
from builders.apt.indices.release import CHANGELOG, RESTORE
from builders.errors import PublishError
from builders.model.packages import SOURCE

PACKAGES, SOURCES = "/Packages", "/Sources"
"""How the paths of these indices end."""
NEEDED = ("Package", "Version", "Architecture", "Filename", "Size", "SHA256")
MAINTAINER = re.compile(rb"^Maintainer: (.*)$", re.MULTILINE)
SECTION = re.compile(rb"^Section: (\S+)$", re.MULTILINE)
PHASED = re.compile(rf"^{PHASE}: ([0-9]{{1,3}})\n".encode(), re.MULTILINE)
TRANSLATED = re.compile(rb"^Description-md5: ([0-9a-f]{32})\nDescription-en: (.+(?:\n .*)*)$", re.MULTILINE)
BUILT_FROM = re.compile(rb"^Source: (\S+)(?: \((\S+)\))?$", re.MULTILINE)
LISTED = re.compile(rb"^Checksums-Sha256:\n((?: .*\n)+)", re.MULTILINE)
LISTED_FILE = re.compile(r" ([0-9a-f]{64}) ([0-9]{1,15}) (\S+)")
SAFE_FILENAME = re.compile(r"pool(/[A-Za-z0-9][A-Za-z0-9+.~_-]*)+\.deb")
SAFE_CHANGELOG = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.~_-]{,230}")
SAFE_SOURCE = re.compile(r"pool(/[A-Za-z0-9][A-Za-z0-9+.~_-]*)+\.(dsc|tar\.(gz|bz2|xz|lzma)(\.asc)?|diff\.gz)")


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One .deb in the index: ``filename`` below the repository, ``size`` in bytes, ``stanza`` its text in Packages.

    ``description`` is the whole description where the stanza contains only its first line. Of a source package the
    architecture is SOURCE, the file is the .dsc, and the stanza is its text in Sources; ``parts`` are the files
    that the .dsc names: path, size and SHA-256. Versions may share a part, the upstream tarball.
    """

    package: str
    version: str
    architecture: str
    filename: str
    size: int
    sha256: str
    stanza: bytes
    description: bytes = b""
    parts: tuple[tuple[str, int, str], ...] = ()

    @property
    def is_source(self) -> bool:
        """Whether it is a source package."""
        return self.architecture == SOURCE

    @property
    def files(self) -> tuple[tuple[str, int, str], ...]:
        """Every file below the repository that belongs to it: path, size and SHA-256."""
        return ((self.filename, self.size, self.sha256), *self.parts)

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of its files."""
        return (self.filename, *(path for path, _, _ in self.parts))

    @property
    def maintainer(self) -> str:
        """The maintainer that the stanza names."""
        match = MAINTAINER.search(self.stanza)
        return match[1].decode() if match else ""

    @property
    def built_from(self) -> tuple[str, str]:
        """Name and version of the source package that a .deb was built from (Debian Policy 5.6.1)."""
        match = BUILT_FROM.search(self.stanza)
        if match is None:
            return self.package, self.version
        return match[1].decode(), match[2].decode() if match[2] else self.version

    @property
    def changelog(self) -> str:
        """The path below the repository of the changelog of a .deb's source package, whether it exists or not.

        apt asks for it by component, source and version (`release.CHANGELOG`). Empty for a source package, and where
        the .deb names a source that cannot be a path.
        """
        source, version = self.built_from
        name = f"{source}_{version.partition(':')[2] or version}"
        if self.is_source or not SAFE_CHANGELOG.fullmatch(name):
            return ""
        return f"{self.filename.rpartition('/')[0]}/{name}{CHANGELOG}"

    @property
    def description_md5(self) -> bytes:
        """The digest by which Packages and Translation-en name the description."""
        return description_md5(self.description)

    @property
    def section(self) -> str:
        """The section, ``misc`` where the stanza names none."""
        match = SECTION.search(self.stanza)
        return match[1].decode() if match else "misc"

    @property
    def phase(self) -> int:
        """Percentage of boards that may take it when they upgrade."""
        match = PHASED.search(self.stanza)
        return int(match[1]) if match else 100

    def phased(self, percentage: int) -> "IndexEntry":
        """Return the entry with another phase; a source package, which no board upgrades to, stays as it is."""
        if self.is_source:
            return self
        text = PHASED.sub(b"", self.stanza)
        if percentage < 100:
            text += f"{PHASE}: {percentage}\n".encode()
        return self if text == self.stanza else replace(self, stanza=text)

    @property
    def identity(self) -> tuple[str, str, str]:
        """Name, version and architecture: unique in the repository, always with the same bytes."""
        return self.package, self.version, self.architecture

    @property
    def component(self) -> str:
        """The component, from the pool path."""
        return self.filename.split("/", 2)[1]

    def __str__(self) -> str:
        return f"{self.package} {self.version} ({self.architecture})"


def parse(content: bytes, where: str, descriptions: Mapping[bytes, bytes] | None = None) -> Iterator[IndexEntry]:
    """Yield the entries of a Packages file, with their ``descriptions`` by digest.

    Raises PublishError naming ``where`` for an incomplete entry.
    """
    for text in content.split(b"\n\n"):
        if text.strip():
            yield _entry(text, where, descriptions or {})


def names_files(path: str) -> bool:
    """Return whether an index names files of the pool."""
    return path.endswith((PACKAGES, SOURCES))


def parse_index(
    path: str, content: bytes, where: str, descriptions: Mapping[bytes, bytes] | None = None
) -> Iterator[IndexEntry]:
    """Yield the entries of the Packages or Sources file called ``path``; raises PublishError as `parse` does."""
    return parse_sources(content, where) if path.endswith(SOURCES) else parse(content, where, descriptions)


def parse_sources(content: bytes, where: str) -> Iterator[IndexEntry]:
    """Yield the entries of a Sources file; raises PublishError naming ``where`` for an incomplete entry."""
    for text in content.split(b"\n\n"):
        if text.strip():
            yield _source(text, where)


def parse_translation(content: bytes) -> dict[bytes, bytes]:
    """Return the descriptions of a Translation-en file by their digest; ignores incomplete entries."""
    return {match[1]: match[2] for match in TRANSLATED.finditer(content)}


def ordered(entries: Iterable[IndexEntry]) -> list[IndexEntry]:
    """Return entries by name, then version as dpkg compares them, oldest first."""
    by_name = sorted(entries, key=lambda entry: (entry.package, entry.architecture, entry.version))
    result: list[IndexEntry] = []
    for _, group in groupby(by_name, key=lambda entry: entry.package):
        versions = list(group)
        # Comparing versions is slow, and most packages have one version.
        result += versions if len(versions) == 1 else sorted(versions, key=lambda entry: Version(entry.version))
    return result


def _entry(text: bytes, where: str, descriptions: Mapping[bytes, bytes]) -> IndexEntry:
    stanza = text.strip(b"\n") + b"\n"
    try:
        package, version, architecture, filename, size, sha256 = (_field(stanza, name) for name in NEEDED)
        entry = IndexEntry(
            package, version, architecture, filename, int(size), sha256, stanza,
            descriptions.get(_digest(stanza), b"") if descriptions else b"",
        )  # fmt: skip
    except (KeyError, ValueError) as error:
        raise _broken(where, text, error) from error
    if not SAFE_FILENAME.fullmatch(filename):
        raise PublishError(f"{where}: unsafe path: {filename!r}", fix=RESTORE)
    return entry


def _source(text: bytes, where: str) -> IndexEntry:
    stanza = text.strip(b"\n") + b"\n"
    try:
        package, version, folder = (_field(stanza, name) for name in ("Package", "Version", "Directory"))
        files = [(f"{folder}/{name}", size, sha256) for name, size, sha256 in _listed(stanza)]
        ((path, size, sha256),) = (file for file in files if file[0].endswith(".dsc"))
    except (KeyError, ValueError) as error:
        raise _broken(where, text, error) from error
    for name, _, _ in files:
        if not SAFE_SOURCE.fullmatch(name):
            raise PublishError(f"{where}: unsafe path: {name!r}", fix=RESTORE)
    parts = tuple(file for file in files if file[0] != path)
    return IndexEntry(package, version, SOURCE, path, size, sha256, stanza, parts=parts)


def _listed(stanza: bytes) -> list[tuple[str, int, str]]:
    field = LISTED.search(stanza)
    lines = field[1].decode().splitlines() if field else []
    found = [match for line in lines if (match := LISTED_FILE.fullmatch(line))]
    if not found or len(found) < len(lines):
        raise ValueError("Checksums-Sha256 is not a list of files")
    return [(match[3], int(match[2]), match[1]) for match in found]


def _broken(where: str, text: bytes, error: Exception) -> PublishError:
    return PublishError(f"{where}: broken entry", f"{error}\n{text[:200].decode(errors='replace')}", RESTORE)


def _field(stanza: bytes, name: str) -> str:
    """Return a field of one line. Searching for each field is three times as fast as one pattern for all."""
    start = f"{name}: ".encode()
    at = 0 if stanza.startswith(start) else stanza.find(b"\n" + start) + 1
    if not at and not stanza.startswith(start):
        raise KeyError(name)
    return stanza[at + len(start) : stanza.index(b"\n", at)].decode()


def _digest(stanza: bytes) -> bytes:
    at = stanza.find(b"\nDescription-md5: ")
    return stanza[at + 18 : at + 50] if at >= 0 else b""
