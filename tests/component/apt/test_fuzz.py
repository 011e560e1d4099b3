"""Hostile .debs at the door: whatever they are, nothing is written outside, nothing hangs, and the refusal is told.

A bounded loop over a seeded chance, so that a failure repeats. What is taken must be what dpkg-deb takes too.
"""

import functools
import gzip
import io
import lzma
import random
import resource
import signal
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from builders.errors import PublishError
from builders.model.settings import RepositorySettings, Settings
from tests.support.killing import killed
from tests.support.repository import DATE, Publisher, tree_of
from tests.unit.apt.test_ar_reader import ar, tar

ROUNDS = 300
LONGEST_S = 10.0
"""One .deb may take so long on a busy machine."""
NASTY = (
    "", " ", ".", "..", "../../x", "/etc/passwd", "a/b", "a\\b", "a%2fb", "-rf", "$(touch x)", "`id`", "a;b", "a b",
    "a\tb",
    "a\u202eb", "\u00e9", "x" * 5000, "1:1:1", "1:", ":1", "-1", "1-", "1-1-1", "0" * 400, "1~~", "con", "all", "arm64",
    "lib", "libx", "lib/../../x", "a (1)", "a (../../x)", "|", "\\n", "<x>", "&amp;", "%s", "{0}", "\x7f",
)  # fmt: skip
FIELDS = {
    "Package": "reef-demo", "Version": "1.0-1", "Architecture": "arm64", "Maintainer": "A <a@b.c>", "Description": "x",
}  # fmt: skip
MORE = (
    "Source",
    "Section",
    "Priority",
    "Depends",
    "Installed-Size",
    "Multi-Arch",
    "Auto-Built-Package",
    "Tag",
    "Filename",
)
PATHS = (
    "./usr/bin/x", "../../../../tmp/reef-escaped", "/etc/reef-escaped", "./a/../../reef-escaped", "x" * 3000, ".", "",
    "./usr/share/doc/reef-demo/changelog.Debian.gz", "./new\nline", "./tab\tbed", "./\u00e9",
)  # fmt: skip
KINDS = (
    tarfile.REGTYPE,
    tarfile.DIRTYPE,
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.CHRTYPE,
    tarfile.FIFOTYPE,
    b"X",
    b"g",
)


def control_of(chance: random.Random) -> bytes:
    fields = dict(FIELDS)
    for _ in range(chance.randrange(3)):
        fields[chance.choice((*FIELDS, *MORE))] = chance.choice(NASTY)
    if not chance.randrange(8):
        fields.pop(chance.choice(list(fields)))
    lines = [f"{name}: {value}" for name, value in fields.items()]
    if not chance.randrange(8):
        lines.insert(chance.randrange(len(lines)), chance.choice(("", "broken", " continued", "Package: other", "#x")))
    return "\n".join([*lines, ""]).encode(errors="surrogatepass")


def data_of(chance: random.Random) -> bytes:
    buffer = io.BytesIO()
    form = chance.choice((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT))
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for _ in range(chance.randrange(5)):
            entry = tarfile.TarInfo(chance.choice(PATHS)[: 90 if form == tarfile.USTAR_FORMAT else None])
            entry.type, entry.linkname = chance.choice(KINDS), chance.choice(PATHS)[:90]
            content = chance.randbytes(chance.randrange(600)) if entry.type == tarfile.REGTYPE else b""
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def packed(chance: random.Random, content: bytes) -> tuple[str, bytes]:
    form = chance.choice(("", ".gz", ".xz", ".xz", ".zst", ".bz2"))
    pack: dict[str, Callable[[bytes], bytes]] = {".gz": functools.partial(gzip.compress, mtime=0), ".xz": lzma.compress}
    return form, pack.get(form, bytes)(content)


def hostile(chance: random.Random) -> bytes:
    """Return one .deb that is odd in its fields, its paths, its form, or broken in some bytes."""
    parts = [(f"{name}.tar{form}", body) for name, (form, body) in (
        ("control", packed(chance, tar(("./control", control_of(chance))))), ("data", packed(chance, data_of(chance))),
    )]  # fmt: skip
    members = [("debian-binary", b"2.0\n"), *parts]
    if not chance.randrange(10):
        chance.shuffle(members)
    content = bytearray(ar(*members))
    for _ in range(chance.choice((0, 0, 0, 1, 4))):
        content[chance.randrange(len(content))] = chance.randrange(256)
    if not chance.randrange(10):
        at = content.find(b"`\n", chance.randrange(200))
        content[max(at - 10, 0) : max(at, 0)] = chance.choice(
            (b"9999999999", b"-1        ", b"0x10      ", b"1e9       ")
        )
    if not chance.randrange(10):
        del content[chance.randrange(len(content)) :]
    return bytes(content)


def test_hostile_debs(publisher: Publisher, tmp_path: Path) -> None:
    """Taken in by a child, which the kernel ends where one of them holds it up, whatever its threads do."""
    publisher.settings = Settings(repository=RepositorySettings(url="https://apt.lab"))
    publisher.publish(publisher.deb("reef-good"))
    before, outside = tree_of(publisher.repository), sorted(Path("/tmp").glob("reef-escaped*"))
    place = tmp_path.parent / f"{tmp_path.name}-hostile"
    place.mkdir()
    hung = killed(lambda: take_all(publisher, place), by=signal.SIGALRM)
    assert not hung, f"number {(place / 'number').read_text()} holds it up"
    assert tree_of(publisher.repository) == before
    assert sorted(Path("/tmp").glob("reef-escaped*")) == outside
    assert not Path("/etc/reef-escaped").exists()


def take_all(publisher: Publisher, place: Path) -> None:
    chance, taken, refused = random.Random(20260101), 0, 0
    deb = place / "hostile.deb"
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for number in range(ROUNDS):
        deb.write_bytes(hostile(chance))
        (place / "number").write_text(str(number))
        signal.alarm(int(LONGEST_S))
        try:
            staged = publisher.stage({"trixie": [deb]}, DATE + 60)
        except PublishError:
            refused += 1
        else:
            taken += 1
            judge = subprocess.run(["dpkg-deb", "--info", str(deb)], capture_output=True, check=False)
            assert judge.returncode == 0, (number, judge.stderr)
            for path in staged.path.rglob("*"):
                assert ".." not in path.relative_to(staged.path).parts
        there = sorted(path.name for path in publisher.folder.iterdir() if not path.name.startswith("staging"))
        assert there == ["apt", "debs", "state"], number
        assert sorted(path.name for path in place.iterdir()) == ["hostile.deb", "number"]
    assert min(taken, refused) > ROUNDS / 10, "some odd ones are sound, others are not"


@functools.cache
def bomb(size: int) -> bytes:
    """Return ``size`` zero bytes as xz, made of few."""
    packer = lzma.LZMACompressor(preset=0)
    return b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)), packer.flush()])


@pytest.mark.parametrize("where", ["control", "data", "name", "changelog"])
def test_bombs_are_bounded_in_time_and_memory(publisher: Publisher, tmp_path: Path, where: str) -> None:
    """A quarter of a gigabyte behind a few kilobytes, wherever it hides, fills no memory and holds nobody up."""
    sound = tar(("./control", "".join(f"{name}: {value}\n" for name, value in FIELDS.items()).encode()))
    control, data = lzma.compress(sound), lzma.compress(tar())
    size = 1 << 28
    header = tarfile.TarInfo("./" + "x" * 50)
    if where == "control":
        control = bomb(size)
    if where == "data":
        header.size = size - 1024
        data = lzma.compress(header.tobuf()) + bomb(size)
    if where == "name":
        header.name, header.type, header.size = "././@LongLink", tarfile.GNUTYPE_LONGNAME, size - 1024
        data = lzma.compress(header.tobuf(tarfile.GNU_FORMAT)) + bomb(size)
    if where == "changelog":
        data = lzma.compress(tar(("./usr/share/doc/reef-demo/changelog.Debian.gz", gzip.compress(bytes(size)))))
    deb = tmp_path / "bomb.deb"
    deb.write_bytes(ar(("debian-binary", b"2.0\n"), ("control.tar.xz", control), ("data.tar.xz", data)))
    assert deb.stat().st_size < 1 << 20

    def take() -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(3 * LONGEST_S))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # a child's own: it begins with what is there
        if where == "changelog":
            publisher.publish(deb)
        else:
            with pytest.raises(PublishError, match=r"invalid (\.deb|source package)"):
                publisher.publish(deb)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000, "kilobytes"

    assert not killed(take, by=signal.SIGALRM), "it holds up"
    if where == "changelog":
        assert publisher.verify().debs == 1
    else:
        assert not publisher.repository.exists()
