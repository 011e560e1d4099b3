"""Reading control data from .debs that nobody vouched for; dpkg-deb is the judge."""

import io
import lzma
import tarfile
from pathlib import Path

import pytest

from builders.apt.indices import deb822
from builders.apt.indices.deb822 import BadControl
from builders.apt.packages import ar_reader
from builders.apt.packages.ar_reader import BadArchive
from tests.support.repository import control_in

CONTROL = b"Package: aa\nVersion: 1\nArchitecture: all\nMaintainer: A <a@b>\nDescription: x\n"


def ar(*members: tuple[str, bytes]) -> bytes:
    parts = [b"!<arch>\n"]
    for name, content in members:
        parts.append(f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode())
        parts.append(content + b"\n" * (len(content) % 2))
    return b"".join(parts)


def tar(*files: tuple[str, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive_file:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive_file.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def deb(control_tar: bytes, name: str = "control.tar") -> bytes:
    return ar(("debian-binary", b"2.0\n"), (name, control_tar), ("data.tar", tar()))


def refused(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(BadArchive) as caught:
        control_in(path)
    return str(caught.value)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_control_behind_other_entries_is_found(tmp_path: Path, form: int) -> None:
    path = tmp_path / "a.deb"
    long_name = "d" * 120 + "/" + "x" * 90
    path.write_bytes(deb(tar((long_name, b"1" * 700), ("./control", CONTROL), form=form)))
    assert control_in(path) == CONTROL


def test_bombs_stop_at_the_bound(tmp_path: Path) -> None:
    zeros = lzma.compress(tar(("./md5sums", bytes(ar_reader.MOST_UNPACKED + 1)), ("./control", CONTROL)))
    assert "more than" in refused(tmp_path / "a.deb", deb(zeros, "control.tar.xz"))
    big = CONTROL + b" x" * ar_reader.MOST_CONTROL
    assert "control file is" in refused(tmp_path / "b.deb", deb(tar(("control", big))))
    many = ar(("debian-binary", b"2.0\n"), *(("_x", b""),) * 40)
    assert "members" in refused(tmp_path / "c.deb", many)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "begin as an ar"),
        (b"MZ not a package", "begin as an ar"),
        (ar(("debian-binary", b"3.0\n"), ("control.tar", b""), ("data.tar", b"")), "format version"),
        (ar(("debian-binary", b"2.0\n"), ("data.tar", b""), ("control.tar", b"")), "expected control.tar"),
        (ar(("debian-binary", b"2.0\n"), ("control.tar", b"")), "expected control.tar"),
        (deb(b"junk" * 9, "control.tar.xz"), "does not unpack"),
        (deb(b"junk" * 9, "control.tar.gz"), "does not unpack"),
        (deb(b"junk", "control.tar.bz2"), "unknown compression"),
        (deb(tar(("./other", b""))), "contains no file named control"),
        (deb(tar(("./control", CONTROL))[:550]), "truncated"),
        (deb(tar(("./control", CONTROL), ("control", CONTROL))), "contains two files named control"),
        (deb(tar(("./control", CONTROL), ("./md5sums", b"")).replace(b"./md5sums", b"./md5sumx")), "broken header"),
        (deb(b"x" * 1024), "broken header"),
        (deb(tar(("./control", CONTROL)).replace(b"0000644", b"0000645", 1)), "broken header"),
        (deb(tar()).replace(b"10240     `", b"99999999  `", 1), "truncated"),
        (deb(tar()).replace(b"10240     `", b"-1024     `", 1), "truncated"),
    ],
)
def test_says_what_is_wrong(tmp_path: Path, content: bytes, told: str) -> None:
    assert told in refused(tmp_path / "a.deb", content)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (CONTROL + b"\nPackage: bb\n", "neither a field"),
        (CONTROL + b"package: bb\n", "duplicate field"),
        (CONTROL + b"Filename: pool/x\n", "only the archive may set"),
        (CONTROL + b"Tag: \xff\n", "UTF-8"),
        (CONTROL + b"Tag: a\rb\n", "control character"),
        (b" leading\n" + CONTROL, "neither a field"),
        (CONTROL.replace(b"Maintainer: A <a@b>\n", b""), "the field Maintainer is missing"),
        (CONTROL + b"#comment: x\n", "neither a field"),
        (CONTROL + b"Section: a,b\n", "invalid section: 'a,b'"),
        (CONTROL + b"Section: a/b/c\n", "invalid section"),
        (CONTROL + b"Section: a\n b\n", "invalid section"),
        (b"", "neither a field"),
    ],
)
def test_control_is_one_sound_stanza(text: bytes, told: str) -> None:
    with pytest.raises(BadControl, match=told):
        deb822.fields_of(text)


@pytest.mark.parametrize("section", ["", "libs", "non-free-firmware/kernel", "c++", "x_y"])
def test_sections_that_others_use(section: str) -> None:
    assert deb822.fields_of(CONTROL + f"Section: {section}\n".encode())["Section"] == section
