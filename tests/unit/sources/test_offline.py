"""Offline: not one socket."""

from pathlib import Path

import pytest

from builders.errors import SourceError
from tests.support.sources import Bench, Site, archive, pack_tar, refuse_sockets, sha256, write_recipe

DATA = pack_tar({"f": b"x"})
DIGEST = sha256(DATA)


@pytest.fixture(autouse=True)
def sockets(monkeypatch: pytest.MonkeyPatch, site: Site) -> list[object]:  # the site listens before
    return refuse_sockets(monkeypatch)


def test_the_guard_works(bench: Bench, site: Site, sockets: list[object]) -> None:
    with pytest.raises(AssertionError):
        bench.fetch(write_recipe(bench.folder, [archive(site.put("/a", DATA), sha256=DIGEST)]))
    assert sockets


def test_cache_filled_by_hand_is_enough(bench: Bench, site: Site, sockets: list[object]) -> None:
    bench.cache.mkdir(parents=True)
    (bench.cache / DIGEST).write_bytes(DATA)
    url = f"{site.url}/a"
    tree = bench.fetch(write_recipe(bench.folder, [archive(url, sha256=DIGEST)]), offline=True)
    assert tree.sources[0].location == url
    assert not sockets


def test_cached_alternative_goes_before_a_primary_that_must_be_fetched(bench: Bench, site: Site) -> None:
    bench.cache.mkdir(parents=True)
    (bench.cache / DIGEST).write_bytes(DATA)
    source = archive(f"{site.url}/a", sha256="0" * 64)
    source["alternatives"] = [{"archive": {"urls": ["http://b.invalid/b"], "sha256": DIGEST, "strip": 0}}]
    assert bench.fetch(write_recipe(bench.folder, [source])).sources[0].location == "http://b.invalid/b"


def test_corrupted_cache_is_reported_with_what_to_do(bench: Bench, site: Site, sockets: list[object]) -> None:
    bench.cache.mkdir(parents=True)
    (bench.cache / DIGEST).write_bytes(b"rot")
    with pytest.raises(SourceError) as caught:
        bench.fetch(write_recipe(bench.folder, [archive(f"{site.url}/a", sha256=DIGEST)]), offline=True)
    assert "is corrupted" in bench.said.getvalue()
    assert "run once without --offline" in caught.value.fix
    assert not sockets


def test_files_of_this_machine_are_taken(bench: Bench, tmp_path: Path, sockets: list[object]) -> None:
    (tmp_path / "a").write_bytes(DATA)
    bench.fetch(write_recipe(bench.folder, [archive((tmp_path / "a").as_uri(), sha256=DIGEST)]), offline=True)
    assert not sockets
