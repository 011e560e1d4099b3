"""The content of one .deb for the static checks, read once."""

import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from debian.debfile import DebFile as DebianDebFile

from builders.checks.static.elf import Elf, read_elves
from builders.errors import PackageError
from builders.host.files import sha256_of
from builders.model.deb_file import READ_ERRORS, control_of, members
from builders.model.packages import DebFile

DEBUG_SUFFIX = "-dbgsym"
Kind = Literal["file", "folder", "symlink", "hardlink", "special"]


@dataclass(frozen=True)
class Entry:
    """One entry of the data archive; ``path`` is relative to the root, without ``./`` and a slash at its end.

    ``mode`` holds the permission bits, ``link`` where a symbolic or hard link leads.
    """

    path: str
    kind: Kind
    mode: int
    owner: str
    uid: int
    gid: int
    link: str = ""


@dataclass(frozen=True)
class Contents:
    """A .deb as the checks see it: control fields, conffiles (absolute paths), entries and ELF files."""

    deb: DebFile
    control: Mapping[str, str]
    conffiles: tuple[str, ...]
    entries: tuple[Entry, ...]
    elves: tuple[Elf, ...]

    @property
    def debug(self) -> bool:
        """Whether this is an automatic package of debugging symbols."""
        return self.deb.package.endswith(DEBUG_SUFFIX)


def read_contents(deb: DebFile) -> Contents:
    """Read a .deb; raises PackageError if it is malformed, or is no longer the file that ``deb`` records."""
    if sha256_of(deb.path) != deb.sha256:
        raise PackageError(
            f"{deb.path} has changed since it was recorded",
            f"recorded sha256: {deb.sha256}",
            "build it again with --force; nothing may write into a finished build's folder",
        )
    entries: list[Entry] = []
    elves: list[Elf] = []
    for member, content in members(deb.path):
        entry = _entry(member)
        entries.append(entry)
        elves += read_elves(entry.path, content or b"")
    return Contents(deb, control_of(deb.path), _conffiles(deb), tuple(entries), tuple(elves))


def _entry(member: tarfile.TarInfo) -> Entry:
    path = member.name.removeprefix("./").strip("/") if member.name not in (".", "./") else ""
    owner = f"{member.uname or member.uid}:{member.gname or member.gid}"
    return Entry(path, _kind(member), member.mode & 0o7777, owner, member.uid, member.gid, member.linkname)


def _kind(member: tarfile.TarInfo) -> Kind:
    if member.isfile():
        return "file"
    if member.isdir():
        return "folder"
    if member.issym():
        return "symlink"
    return "hardlink" if member.islnk() else "special"


def _conffiles(deb: DebFile) -> tuple[str, ...]:
    """Return the paths in DEBIAN/conffiles (deb-conffiles(5)), without those that an upgrade removes."""
    try:
        with DebianDebFile(str(deb.path)) as archive:
            if not archive.control.has_file("conffiles"):
                return ()
            content = archive.control.get_content("conffiles") or b""
    except READ_ERRORS as error:
        raise PackageError(f"cannot read {deb.path} as a .deb", str(error), "build it again with --force") from error
    text = content.decode(errors="replace") if isinstance(content, bytes) else content
    return tuple(_kept_conffiles(text))


def _kept_conffiles(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if line and not line.startswith("remove-on-upgrade "):
            yield line.strip()
