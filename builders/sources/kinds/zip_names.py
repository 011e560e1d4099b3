"""The names of a zip archive's members, as the program that packed them meant them."""

import re
import zipfile
from collections.abc import Iterator

UTF8 = 0x800
"""The flag of a name in UTF-8 (APPNOTE.TXT, 4.4.4, bit 11)."""
UNIX = 3
WINDOWS = (0, 10, 14)
"""The systems FAT, NTFS and VFAT (4.4.2): no file name there has a backslash."""
DRIVE = re.compile(r"[A-Za-z]:/")


def names_of(packed: zipfile.ZipFile, subject: str, warnings: list[str]) -> Iterator[tuple[zipfile.ZipInfo, str]]:
    r"""Yield each member with its name, as the format has it. Names against it are a warning on ``subject``.

    APPNOTE.TXT 4.4.17.1 asks for ``/``, yet old tools of Windows write ``\``. Each ``\`` of theirs separates folders;
    so it does where no name has a ``/``, whatever system the archive names.
    """
    members = [(member, _name(member)) for member in packed.infolist()]
    no_slash = not any("/" in name for _, name in members)
    wrong = 0
    for member, packed_name in members:
        backslashes = "\\" in packed_name and (no_slash or member.create_system in WINDOWS)
        name = packed_name.replace("\\", "/") if backslashes else packed_name
        wrong += backslashes
        # The path of another machine's disk is refused as an absolute path.
        yield member, "/" + name if DRIVE.match(name) else name
    if wrong:
        warnings.append(
            rf"{subject}: {wrong} names in the zip archive have \ between folders, against the format; read as /"
        )


def _name(member: zipfile.ZipInfo) -> str:
    """Return the name: without the flag, the bytes of a Unix program's are the file name's, not code page 437."""
    if member.create_system != UNIX or member.flag_bits & UTF8 or member.filename.isascii():
        return member.filename
    return member.orig_filename.partition("\0")[0].encode("cp437").decode("utf-8", "surrogateescape")
