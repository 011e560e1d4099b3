"""Offline: not one socket."""

import shutil
from pathlib import Path

import pytest

from builders.errors import SourceError
from builders.maintenance import cache_archive
from tests.support.git import commit, git_source
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


def test_commit_with_a_sha256_name_travels_with_the_caches(bench: Bench, tmp_path: Path) -> None:
    upstream = tmp_path / "upstream"
    name = commit(upstream, {"f": "x"}, "--object-format=sha256")
    recipe = write_recipe(bench.folder, [{"name": "main", "git": {"url": f"file://{upstream}", "commit": name}}])
    bench.fetch(recipe)
    cache_archive.export_caches(bench.workspace, tmp_path / "caches", bench.context.log)
    other = Bench(tmp_path / "other")
    cache_archive.import_caches(other.workspace, tmp_path / "caches", bench.context.log)
    shutil.rmtree(upstream)
    assert (other.fetch(recipe, offline=True).path / "f").read_text() == "x"
