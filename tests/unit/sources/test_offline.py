"""Offline: not one socket."""

import shutil
import socket
from pathlib import Path

import pytest

from builders.errors import SourceError

from .conftest import Bench, Site, archive, pack_tar, sha256, write_recipe
from .test_git import git_source

DATA = pack_tar({"f": b"x"})
DIGEST = sha256(DATA)


@pytest.fixture(autouse=True)
def sockets(monkeypatch: pytest.MonkeyPatch, site: Site) -> list[object]:
    """Turn every socket that is opened into a failure, and note it."""
    opened: list[object] = []

    def refuse(self: socket.socket, address: object) -> None:
        opened.append(address)
        raise AssertionError(f"a socket was opened to {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *address: refuse(socket.socket(), address))
    return opened


def test_the_guard_works(bench: Bench, site: Site, sockets: list[object]) -> None:
    with pytest.raises(AssertionError):
        bench.fetch(write_recipe(bench.folder, [archive(site.put("/a", DATA), sha256=DIGEST)]))
    assert sockets


def test_everything_missing_is_named_at_once(bench: Bench, site: Site, sockets: list[object]) -> None:
    sources = [
        archive(site.put("/a", DATA), f"{site.url}/b", sha256=DIGEST, name="first"),
        {"name": "second", "debian": {"path": "pool/s.tar.gz", "sha256": DIGEST}},
        {"name": "third", "git": {"url": f"{site.url}/g.git", "commit": "1" * 40}},
        {"name": "fourth", "local": {"path": "nowhere"}},
    ]
    with pytest.raises(SourceError, match="4 sources of demo cannot be had: first, second, third, fourth") as caught:
        bench.fetch(write_recipe(bench.folder, sources), offline=True)
    detail = caught.value.detail
    assert f"{site.url}/a: not in the cache as {bench.cache / DIGEST}" in detail
    assert f"{site.url}/b: not in the cache" in detail
    assert "/pool/s.tar.gz: not in the cache" in detail
    assert f"{site.url}/g.git: not in the cache as {bench.workspace.cache.downloads / 'git' / ('1' * 40)}.git" in detail
    assert "nowhere: no such folder" in detail
    assert "run once without --offline, or copy each file to" in caught.value.fix
    assert not sockets
    assert site.requests == []


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


def test_corrupted_cache_is_told_with_what_to_do(bench: Bench, site: Site, sockets: list[object]) -> None:
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


def test_cached_commit_is_enough(bench: Bench, tmp_path: Path, sockets: list[object]) -> None:
    recipe = write_recipe(bench.folder, [git_source(tmp_path / "upstream", {"f": "x"})])
    first = bench.fetch(recipe)
    shutil.rmtree(tmp_path / "upstream")
    shutil.rmtree(bench.workspace.cache.trees)
    assert bench.fetch(recipe, offline=True) == first
    assert not sockets
