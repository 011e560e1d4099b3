"""The format of a file by its first bytes."""

from pathlib import Path

from builders.model.pointer import LARGEST, pointer_of

ZIP = (b"PK\x03\x04", b"PK\x05\x06")
ZST = b"\x28\xb5\x2f\xfd"
SKIPPABLE = b"\x2a\x4d\x18"
"""The end of the magic number of a skippable frame (RFC 8878, 3.1.2), with which pzstd begins a file."""
OTHERS = {
    b"!<arch>\n": "an ar archive, such as a .deb or a static library",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"LZIP": "an lzip archive",
    b"\x04\x22\x4d\x18": "an lz4 archive",
    b"\x1f\x9d": "an archive of compress (.Z)",
    b"\xed\xab\xee\xdb": "an RPM package",
    b"070701": "a cpio archive",
    b"# v2 git bundle": "a git bundle: use git: with its path as url:",
    b"# v3 git bundle": "a git bundle: use git: with its path as url:",
    b"\x7fELF": "a program or library",
    b"<": "a web page or XML: the server sent a page in place of the file",
}
TEXT_START = 512
"""The bytes that are searched for a page's first tag."""


def is_zip(archive: Path) -> bool:
    """Return whether the first bytes are a zip's: zipfile.is_zipfile also accepts a tar that ends in a zip."""
    return _head(archive, 4) in ZIP


def is_zst(archive: Path) -> bool:
    """Return whether the first bytes are zstd's."""
    head = _head(archive, 4)
    return head == ZST or (head[1:] == SKIPPABLE and 0x50 <= head[0] <= 0x5F)


def format_of(file: Path) -> str:
    """Return what a file is that is no tar or zip archive; empty if unknown."""
    head = _head(file, TEXT_START).lstrip(b"\xef\xbb\xbf \t\r\n")
    if file.stat().st_size <= LARGEST and (pointer := pointer_of(file.read_bytes())):
        return f"a {pointer.program} pointer: the place has not the archive itself"
    return next((name for magic, name in OTHERS.items() if head.startswith(magic)), "")


def _head(file: Path, size: int) -> bytes:
    with file.open("rb") as opened:
        return opened.read(size)
