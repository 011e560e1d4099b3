"""The content of one .deb for the static checks, read once."""

import posixpath
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from debian.debfile import DebFile as DebianDebFile

from builders.checks.static.elf import Elf, read_elves
from builders.errors import PackageError
from builders.host.files import sha256_of
from builders.model.deb_file import READ_ERRORS, conffiles_of, control_of, members
from builders.model.packages import DEBUG_SUFFIX, DebFile
from builders.model.pointer import Pointer, pointer_of
from builders.model.recipe import is_bpf

REMOVED = "remove-on-upgrade "
"""How the line of a conffile begins that an upgrade removes."""
UNIT_FOLDERS = tuple(f"{place}/systemd/{kind}/" for place in ("usr/lib", "lib", "etc") for kind in ("system", "user"))
"""The folders of systemd's units (systemd.unit(5)); D-Bus has files with the same endings elsewhere."""
Kind = Literal["file", "folder", "symlink", "hardlink", "special"]


@dataclass(frozen=True)
class Entry:
    """One entry of the data archive; ``path`` is relative to the root, without ``./`` and a slash at its end.

    ``mode`` holds the permission bits, ``link`` where a symbolic or hard link leads; ``pax``: a POSIX (pax) header
    describes it.
    """

    path: str
    kind: Kind
    mode: int
    owner: str
    uid: int
    gid: int
    link: str = ""
    pax: bool = False


@dataclass(frozen=True)
class Contents:
    """A .deb as the checks see it: control fields, conffiles (absolute paths), entries and ELF files.

    ``archive`` are the members of the outer ar archive in their order, ``remove_on_upgrade`` the conffiles that an
    upgrade removes. ``units`` are the files of systemd that `is_unit` names: path -> text. ``leaks`` are the text files
    with the path of the build, documentation aside. ``pointers`` are the files that stand for others.
    ``data`` are the files that the recipe marks as data, and BPF objects: none of them is among the ELF files.
    """

    deb: DebFile
    control: Mapping[str, str]
    conffiles: tuple[str, ...]
    entries: tuple[Entry, ...]
    elves: tuple[Elf, ...]
    archive: tuple[str, ...] = ()
    remove_on_upgrade: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    leaks: tuple[str, ...] = ()
    pointers: Mapping[str, Pointer] = field(default_factory=dict)
    data: tuple[str, ...] = ()

    @property
    def build_path(self) -> str:
        """The folder in which the package was built."""
        return build_path(self.control)

    @property
    def debug(self) -> bool:
        """Whether this is an automatic package of debugging symbols."""
        return self.deb.package.endswith(DEBUG_SUFFIX)


def read_contents(deb: DebFile, data_paths: str = "") -> Contents:
    """Read a .deb, in which a file is data if its path matches the expression ``data_paths``.

    Raises PackageError if it is malformed, or is no longer the file that ``deb`` records."""
    if sha256_of(deb.path) != deb.sha256:
        raise PackageError(
            f"{deb.path} has changed since it was recorded",
            f"recorded sha256: {deb.sha256}",
            "build it again with --force; nothing may write into a finished build's folder",
        )
    entries: list[Entry] = []
    elves: list[Elf] = []
    units: dict[str, str] = {}
    leaks: list[str] = []
    data: list[str] = []
    control = control_of(deb.path)
    leak = build_path(control).encode()
    pointers: dict[str, Pointer] = {}
    for member, content in members(deb.path):
        entry = _entry(member)
        entries.append(entry)
        if content and ((data_paths and re.search(data_paths, entry.path)) or is_bpf(content)):
            data.append(entry.path)
        else:
            elves += read_elves(entry.path, content or b"")
        if content and is_unit(entry.path):
            units[entry.path] = content.decode(errors="replace")
        if content and (pointer := pointer_of(content)):
            pointers[entry.path] = pointer
        if content and leak in content and b"\0" not in content and not entry.path.startswith("usr/share/doc/"):
            leaks.append(entry.path)
    names, conffiles = _outer(deb), conffiles_of(deb.path)
    removed = tuple(line.removeprefix(REMOVED) for line in conffiles if line.startswith(REMOVED))
    kept = tuple(line for line in conffiles if not line.startswith(REMOVED))
    return Contents(
        deb, control, kept, tuple(entries), tuple(elves), names, removed, units, tuple(leaks), pointers, tuple(data)
    )


def build_path(control: Mapping[str, str]) -> str:
    """Return the folder in which Reef builds a package, from its control fields."""
    source = control.get("Source", control["Package"]).split()[0]
    version = control["Version"].rpartition(":")[2]
    return f"/build/{source}-{version.rpartition('-')[0] or version}"


def is_unit(path: str) -> bool:
    """Return whether ``path`` is a service, socket or timer of systemd, or a drop-in for such a unit."""
    name = posixpath.dirname(path).removesuffix(".d") if path.endswith(".conf") else path
    return path.startswith(UNIT_FOLDERS) and name.endswith((".service", ".socket", ".timer"))


def _entry(member: tarfile.TarInfo) -> Entry:
    path = member.name.removeprefix("./").strip("/") if member.name not in (".", "./") else ""
    owner = f"{member.uname or member.uid}:{member.gname or member.gid}"
    pax = bool(member.pax_headers)
    return Entry(path, _kind(member), member.mode & 0o7777, owner, member.uid, member.gid, member.linkname, pax)


def _kind(member: tarfile.TarInfo) -> Kind:
    if member.isfile():
        return "file"
    if member.isdir():
        return "folder"
    if member.issym():
        return "symlink"
    return "hardlink" if member.islnk() else "special"


def _outer(deb: DebFile) -> tuple[str, ...]:
    """Return the names of the members of the ar archive."""
    try:
        with DebianDebFile(str(deb.path)) as archive:
            return tuple(str(name) for name in archive.getnames())
    except READ_ERRORS as error:
        raise PackageError(f"cannot read {deb.path} as a .deb", str(error), "build it again with --force") from error
