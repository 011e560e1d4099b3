"""Reading .deb and .dsc files: their fields, and the files inside."""

import tarfile
from collections.abc import Iterator
from pathlib import Path

from debian.arfile import ArError
from debian.deb822 import Dsc
from debian.debfile import DebError
from debian.debfile import DebFile as DebianDebFile

from builders.errors import PackageError
from builders.host.files import sha256_of
from builders.model.packages import SOURCE, DebFile, SourcePackage

READ_ERRORS = (DebError, ArError, tarfile.TarError, EOFError, OSError, ValueError, KeyError)

LATEST = 253402300799
"""The end of the year 9999, as seconds since 1970: the last time that ISO 8601 has a form for."""


def control_of(path: Path) -> dict[str, str]:
    """Return the control fields of a .deb (Debian Policy 5.3), in their order; raises PackageError."""
    try:
        with DebianDebFile(str(path)) as deb:
            fields = {str(name): str(value) for name, value in deb.debcontrol().items()}
    except READ_ERRORS as error:
        raise PackageError(f"not a readable .deb: {path}", str(error), "build it again") from error
    for name in ("Package", "Version", "Architecture"):
        if name not in fields:
            raise PackageError(f"{path}: the control file has no field {name}", fix="build it again")
    return fields


def packed_at(path: Path) -> int:
    """Return when a .deb was packed, in seconds since 1970, as its archive says; raises PackageError.

    The header has 12 digits; a time after the year 9999, which dpkg accepts too, counts as its end.
    """
    try:
        with DebianDebFile(str(path)) as deb:
            return min(max(int(deb.getmember("debian-binary").mtime), 0), LATEST)
    except READ_ERRORS as error:
        raise PackageError(f"not a readable .deb: {path}", str(error), "build it again") from error


def read_deb(path: Path) -> DebFile:
    """Return the facts of a .deb, with the digest of its bytes on disk; raises PackageError."""
    fields = control_of(path)
    return DebFile(
        fields["Package"], fields["Version"], fields["Architecture"], path.stat().st_size, sha256_of(path), path
    )


def read_dsc(path: Path) -> SourcePackage:
    """Return the facts of a source package, with the digests of its bytes on disk; raises PackageError.

    They are not compared with the .dsc's own list; publishing does that.
    """
    try:
        fields = Dsc(path.read_bytes())
        name, version = str(fields["Source"]), str(fields["Version"])
        parts = [path.parent / Path(str(line["name"])).name for line in fields["Files"]]
        dsc, *others = (
            DebFile(name, version, SOURCE, file.stat().st_size, sha256_of(file), file) for file in (path, *parts)
        )
    except READ_ERRORS as error:
        raise PackageError(f"not a readable source package: {path}", str(error), "build it again") from error
    return SourcePackage(dsc, tuple(others))


def conffiles_of(path: Path) -> list[str]:
    """Return the lines of a .deb's list of conffiles (deb-conffiles(5)); raises PackageError."""
    try:
        with DebianDebFile(str(path)) as deb:
            content = deb.control.get_content("conffiles") if deb.control.has_file("conffiles") else b""
    except READ_ERRORS as error:
        raise PackageError(f"not a readable .deb: {path}", str(error), "build it again") from error
    text = content.decode(errors="replace") if isinstance(content, bytes) else content or ""
    return [line.strip() for line in text.splitlines() if line.strip()]


def members(path: Path) -> Iterator[tuple[tarfile.TarInfo, bytes | None]]:
    """Yield every entry of a .deb's data archive in order, with the bytes of regular files; raises PackageError."""
    try:
        with DebianDebFile(str(path)) as deb:
            archive = deb.data.tgz()
            for entry in archive:
                content = archive.extractfile(entry) if entry.isfile() else None
                yield entry, content.read() if content else None
    except READ_ERRORS as error:
        raise PackageError(f"not a readable .deb: {path}", str(error), "build it again") from error
