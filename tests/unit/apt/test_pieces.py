"""Splicing an index gives the bytes of one that is made anew, whatever was published before."""

import hashlib
import random
import shutil
from pathlib import Path

import pytest

from builders.apt import indices, packer
from builders.apt.pieces import Cut, Edit, Piece, cut, spliced
from builders.model.settings import Keep, Repository, Settings

from .support import DATE, Publisher


def split(text: bytes) -> list[tuple[bytes, bytes]]:
    return [(line.split(b"=")[0], line + b"\n") for line in text.split(b"\n")[:-1]]


def shown(pieces: list[Piece]) -> list[tuple[bytes, int, str, bytes]]:
    return [(piece.first, piece.size, piece.sha256, piece.load()) for piece in pieces]


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_splicing_is_cutting_anew(size: int) -> None:
    how, chance = Cut(size, split), random.Random(size)
    for _ in range(150):
        texts: dict[bytes, bytes] = {}
        pieces = list(cut([], how))
        for _ in range(6):
            names = [b"%d" % chance.randrange(40) for _ in range(chance.randrange(1, 9))]
            new = {name: b"" if chance.random() < 0.4 else name + b"=%d\n" % chance.randrange(99) for name in names}
            old = dict(texts)
            texts = {name: text for name, text in sorted((texts | new).items()) if text}

            def edit(name: bytes, old: dict[bytes, bytes] = old, new: dict[bytes, bytes] = new) -> Edit:
                def changed(before: bytes) -> bytes:
                    assert before == old.get(name, b"")
                    return new[name]

                return changed

            pieces = spliced(pieces, {name: edit(name) for name in new}, how)
            assert shown(pieces) == shown(list(cut(texts.items(), how)))


def test_pieces_that_do_not_change_are_not_read() -> None:
    def unread() -> bytes:
        raise AssertionError("a piece was read that does not change")

    how = Cut(4, split)
    names = [b"%03d" % number for number in range(60)]
    whole = list(cut([(name, name + b"=\n") for name in names], how))
    place = len(whole) // 2
    old = [
        piece if n == place else Piece(piece.first, piece.size, piece.sha256, unread) for n, piece in enumerate(whole)
    ]
    new = spliced(old, {whole[place].first: lambda _old: b"x=\n"}, how)
    assert sum(a.sha256 != b.sha256 for a, b in zip(whole, new, strict=True)) == 1


def test_the_same_content_has_the_same_indices_whatever_came_before(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions come and go over many publications; a repository made of what is left at once has the same bytes."""
    monkeypatch.setattr(indices, "PACKAGES_A_PIECE", 3)
    monkeypatch.setattr(indices, "PATHS_A_PIECE", 3)
    publisher.settings = Settings(repository=Repository(keep=Keep(versions=1), url="http://apt.lab"))
    chance, version, newest = random.Random(5), 0, {}
    names = [f"reef-{letter}" for letter in "abcdefgh"]
    for number in range(7):
        some = []
        for name in chance.sample(names, 2):
            version += 1
            architecture = chance.choice(["arm64", "armhf", "all"])
            files = [f"usr/share/{chance.choice('xyz')}", f"usr/bin/{name}"]
            fields = {"Section": chance.choice(["libs", "utils"])}
            deb = publisher.deb(name, str(version), architecture, files=files, fields=fields)
            some.append(deb)
            newest[name, architecture] = deb
        publisher.publish(*some, date=DATE + number)
        publisher.verify()
    at_once = Publisher(publisher.folder / "at-once", publisher.key, publisher.log, publisher.settings)
    at_once.publish(*newest.values(), date=DATE)
    for path in sorted(at_once.repository.glob("snapshots/*/*/dists/trixie/**/*")):
        name = str(path).partition("/dists/trixie/")[2]
        if path.is_file() and "by-hash" not in name and "Release" not in name:
            assert (publisher.repository / "dists/trixie" / name).read_bytes() == path.read_bytes(), name
    # Without its memory the next publication reads everything, and writes the same.
    shutil.rmtree(publisher.state)
    more = publisher.deb("reef-more", files=["usr/share/x"])
    publisher.publish(more, date=DATE + 99)
    at_once.publish(more, date=DATE + 99)
    for one in ("main/Contents-arm64.gz", "main/binary-armhf/Packages.xz", "main/i18n/Translation-en.zst"):
        assert (publisher.repository / "dists/trixie" / one).read_bytes() == (
            at_once.repository / "dists/trixie" / one
        ).read_bytes()


def test_much_that_was_packed_is_remembered_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it need not be in memory until the end; and what follows finds it."""
    content = b"much\n" * 100
    piece = Piece(b"a", len(content), hashlib.sha256(content).hexdigest(), lambda: content)
    monkeypatch.setattr(packer, "MOST_HELD", 0)
    one = packer.Packer(tmp_path)
    [(_, packed)] = one.pack([".gz"], [piece])
    assert packer.Packer(tmp_path).kept(".gz", [piece.sha256]) == {piece.sha256: packed[".gz"]}
    assert list(one.pack([".gz"], [piece])) == [(piece, packed)]
    one.save()
    assert packer.Packer(tmp_path).kept(".gz", [piece.sha256]) == {piece.sha256: packed[".gz"]}
