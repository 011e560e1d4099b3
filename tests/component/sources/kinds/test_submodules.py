"""Submodules of git sources: fetched at their commits, or named."""

from pathlib import Path
from typing import Any

import pytest

from builders.errors import SourceError
from builders.sources.kinds.submodules import absolute
from tests.support.git import commit, git, git_source
from tests.support.sources import Bench, archive, pack_tar, sha256, write_recipe


def add(repository: Path, url: str, place: str) -> None:
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", url, place)


@pytest.fixture
def source(tmp_path: Path) -> dict[str, Any]:
    """Return a git source whose submodule has a submodule, both with relative URLs."""
    commit(tmp_path / "inner", {"deep": "3"})
    commit(tmp_path / "middle", {"f": "2"})
    add(tmp_path / "middle", "../inner", "inner")
    commit(tmp_path / "middle", {})
    commit(tmp_path / "upstream", {"f": "1"})
    add(tmp_path / "upstream", "../middle", "third_party/middle")
    source = git_source(tmp_path / "upstream", {})
    commit(tmp_path / "middle", {"f": "later"})
    return source


def test_submodules_are_fetched_at_their_commits(bench: Bench, source: dict[str, Any]) -> None:
    source["git"]["submodules"] = True
    tree = bench.fetch(write_recipe(bench.folder, [source]))
    place = tree.path / "third_party/middle"
    assert ((place / "f").read_text(), (place / "inner/deep").read_text()) == ("2", "3")
    assert [(each.name, each.kind) for each in tree.sources] == [
        ("main", "git"), ("main/third_party/middle", "git"), ("main/third_party/middle/inner", "git"),
    ]  # fmt: skip
    # Offline, for a tree that has to be made again.
    assert bench.fetch(write_recipe(bench.folder, [{**source, "unpack": "d"}]), offline=True).path.is_dir()


def test_submodule_that_the_recipe_does_not_mention_is_an_error(bench: Bench, source: dict[str, Any]) -> None:
    with pytest.raises(SourceError, match="1 submodules, whose folders are empty") as caught:
        bench.fetch(write_recipe(bench.folder, [source]))
    assert "third_party/middle: commit " in caught.value.detail
    assert f"of file://{bench.folder}/middle" in caught.value.detail
    assert "submodules: true" in caught.value.fix
    assert bench.nothing_made()


def test_another_source_may_fill_the_folder(bench: Bench, source: dict[str, Any]) -> None:
    data = pack_tar({"f": b"other"})
    (bench.folder / "a").write_bytes(data)
    filling = archive(f"file://{bench.folder}/a", sha256=sha256(data), name="filling", unpack="third_party/middle")
    tree = bench.fetch(write_recipe(bench.folder, [source, filling]))
    assert (tree.path / "third_party/middle/f").read_text() == "other"


@pytest.mark.parametrize(("submodules", "path"), [(False, "third_party"), (True, "third_party/middle/inner")])
def test_submodule_can_be_left_out(bench: Bench, source: dict[str, Any], submodules: bool, path: str) -> None:
    source["git"]["submodules"] = submodules
    source["exclude"] = [{"path": path, "reason": "only for tests"}]
    tree = bench.fetch(write_recipe(bench.folder, [source]))
    assert not (tree.path / path).exists()
    assert (tree.path / "third_party/middle/f").exists() == submodules
    assert "matches nothing" not in bench.said.getvalue()


def test_submodule_out_of_reach_is_named(bench: Bench, tmp_path: Path, source: dict[str, Any]) -> None:
    source["git"]["submodules"] = True
    (tmp_path / "inner").rename(tmp_path / "gone")
    with pytest.raises(SourceError) as caught:
        bench.fetch(write_recipe(bench.folder, [source]))
    assert caught.value.what == "cannot fetch the submodule third_party/middle/inner of source 'main'"
    assert f"file://{tmp_path}/inner: fatal: " in caught.value.detail


def test_archive_with_empty_folders_of_submodules_is_warned_of(bench: Bench) -> None:
    declared = b'[submodule "a"]\n\tpath = ext/a\n\turl = u\n[submodule "b"]\n\tpath = ext/b\n\turl = u\n'
    folder = pack_tar({"top/.gitmodules": declared, "top/ext/b/f": b"", "top/ext/a/gone": b""})
    tree = bench.fetch_archive(folder, strip=1, exclude=[{"path": "ext/a/gone", "reason": "makes an empty folder"}])
    assert not (tree.path / "ext/a").exists()
    (bench.folder / "work/ext/a").mkdir(parents=True)
    (bench.folder / "work/.gitmodules").write_bytes(declared)
    bench.fetch(write_recipe(bench.folder, [{"name": "mine", "local": {"path": "../work"}}]))
    assert "source 'mine': the folder ext/a of a submodule is empty" in bench.said.getvalue()
    assert "ext/b" not in bench.said.getvalue()


@pytest.mark.parametrize(
    ("url", "parent", "expected"),
    [
        ("https://h/x", "https://g/a/b", "https://h/x"),
        ("../x.git", "https://g/a/b.git", "https://g/a/x.git"),
        ("../../c/x", "https://g/a/b/", "https://g/c/x"),
        ("./x", "https://g/a", "https://g/a/x"),
        ("../x", "git@g:a/b", "git@g:a/x"),
        ("../x", "git@g:b", "git@g:x"),
    ],
)
def test_relative_urls_begin_at_the_parents(url: str, parent: str, expected: str) -> None:
    assert absolute(url, parent) == expected
