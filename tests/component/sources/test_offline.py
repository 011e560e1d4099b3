"""Offline: not one socket."""

import shutil
from pathlib import Path

import pytest

from builders.errors import SourceError
from tests.component.sources.kinds.test_git import git_source
from tests.support.sources import Bench, Site, archive, pack_tar, refuse_sockets, sha256, write_recipe

DATA = pack_tar({"f": b"x"})
DIGEST = sha256(DATA)


@pytest.fixture(autouse=True)
def sockets(monkeypatch: pytest.MonkeyPatch, site: Site) -> list[object]:  # the site listens before
    return refuse_sockets(monkeypatch)


def test_everything_missing_is_named_at_once(bench: Bench, site: Site, sockets: list[object]) -> None:
    sources = [
        archive(site.put("/a", DATA), f"{site.url}/b", sha256=DIGEST, name="first"),
        {"name": "second", "debian": {"path": "pool/s.tar.gz", "sha256": DIGEST}},
        {"name": "third", "git": {"url": f"{site.url}/g.git", "commit": "1" * 40}},
        {"name": "fourth", "local": {"path": "nowhere"}},
    ]
    with pytest.raises(SourceError, match="cannot fetch 4 sources of demo: first, second, third, fourth") as caught:
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


def test_cached_commit_is_enough(bench: Bench, tmp_path: Path, sockets: list[object]) -> None:
    recipe = write_recipe(bench.folder, [git_source(tmp_path / "upstream", {"f": "x"})])
    first = bench.fetch(recipe)
    shutil.rmtree(tmp_path / "upstream")
    shutil.rmtree(bench.workspace.cache.trees)
    assert bench.fetch(recipe, offline=True) == first
    assert not sockets
