"""Splicing an index gives the bytes of one that is made anew, whatever was published before."""

import random
import shutil

import pytest

from builders.apt.indices import kinds
from builders.model.settings import Keep, RepositorySettings, Settings
from tests.support.repository import DATE, Publisher


def test_the_same_content_has_the_same_indices_whatever_came_before(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions come and go over many publications; a repository made of what is left at once has the same bytes."""
    monkeypatch.setattr(kinds, "PACKAGES_PER_CHUNK", 3)
    monkeypatch.setattr(kinds, "PATHS_PER_CHUNK", 3)
    publisher.settings = Settings(repository=RepositorySettings(keep=Keep(versions=1), url="http://apt.lab"))
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
