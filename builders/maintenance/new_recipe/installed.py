"""The files that a first build installed, and the names by which programs ask for its libraries."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from debian.debfile import DebFile
from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

UNREADABLE = (ELFError, struct.error, ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError)
"""The errors of pyelftools on damaged files."""


@dataclass(frozen=True)
class Installed:
    """Files by their paths without a leading slash, each link with its target; ``sonames`` are those of libraries."""

    files: Mapping[str, str]
    sonames: Mapping[str, str] = field(default_factory=dict)


def installed_files(debs: Sequence[Path]) -> Installed:
    """Return the files of packages; of a shared library without DT_SONAME, the file's own name is its SONAME."""
    files: dict[str, str] = {}
    sonames: dict[str, str] = {}
    for deb in debs:
        tar = DebFile(filename=str(deb)).data.tgz()
        for member in tar.getmembers():
            path = member.name.removeprefix("./")
            if not member.isdir():
                files[path] = member.linkname if member.issym() else ""
            name = path.rpartition("/")[2]
            if member.isfile() and name.startswith("lib") and ".so" in name:
                content = tar.extractfile(member)
                soname = soname_of(content.read()) if content else None
                if soname is not None:
                    sonames[path] = soname or name
    return Installed(files, sonames)


def soname_of(content: bytes) -> str | None:
    """Return the DT_SONAME of a shared library, empty if it has none, and None for what is no shared library."""
    if not content.startswith(b"\x7fELF"):
        return None
    try:
        dynamic = ELFFile(BytesIO(content)).get_section_by_name(".dynamic")
        if not isinstance(dynamic, DynamicSection):
            return None
        return next((str(vars(tag)["soname"]) for tag in dynamic.iter_tags("DT_SONAME")), "")
    except UNREADABLE:
        return None
