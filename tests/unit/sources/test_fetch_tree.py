"""Whole runs: trees that were damaged, runs that are killed, two at once, an interrupt."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from builders.model.recipe import Recipe
from builders.sources import manifest_path
from builders.sources.tree import TREE_TIME_S
from tests.support.sources import Bench, Site, archive, pack_tar, relink, sha256, write_recipe

DATA = pack_tar({"f.txt": b"one two", "big": os.urandom(400_000)})
MORE = pack_tar({"more.txt": b"more"})


def recipe_of(bench: Bench, site: Site) -> Recipe:
    sources = [
        archive(site.put("/a", DATA), sha256=sha256(DATA)),
        archive(site.put("/b", MORE), sha256=sha256(MORE), name="more", unpack="more"),
    ]
    return write_recipe(bench.folder, sources, [{"file": "f.txt", "find": "one", "replace": "1", "reason": "r"}])


def whole_tree(path: Path) -> bool:
    names = sorted(str(p.relative_to(path)) for p in path.rglob("*"))
    return names == ["big", "f.txt", "more", "more/more.txt"] and (path / "f.txt").read_text() == "1 two"


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a file written to": lambda tree: (tree / "f.txt").write_text("9 two"),
    "a file removed": lambda tree: (tree / "more/more.txt").unlink(),
    "a file added": lambda tree: (tree / "new").write_text(""),
    "a mode changed": lambda tree: (tree / "big").chmod(0o600),
    "a link in its place": lambda tree: relink(tree / "big", "f.txt"),
    "the tree removed": shutil.rmtree,
    "the manifest removed": lambda tree: manifest_path(tree).unlink(),
    "the manifest broken": lambda tree: manifest_path(tree).write_text("{"),
    "the manifest of another kind": lambda tree: manifest_path(tree).write_text('{"sources": [{"x": 1}]}'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_tree_is_made_again(bench: Bench, site: Site, damage: str) -> None:
    recipe = recipe_of(bench, site)
    tree = bench.fetch(recipe)
    DAMAGES[damage](tree.path)
    assert bench.fetch(recipe, offline=True) == tree
    assert whole_tree(tree.path)
    assert (tree.path / "f.txt").stat().st_mtime == TREE_TIME_S
    assert list(bench.workspace.cache.scratch.iterdir()) == []


def test_finished_tree_is_reused_as_it_is(bench: Bench, site: Site) -> None:
    recipe = recipe_of(bench, site)
    tree = bench.fetch(recipe)
    inode = tree.path.stat().st_ino
    shutil.rmtree(bench.cache)
    site.requests.clear()
    bench.said.truncate(0)
    assert bench.fetch(recipe) == tree
    assert tree.path.stat().st_ino == inode
    assert site.requests == []
    assert bench.said.getvalue().strip("\0") == ""
    assert tree.path.name == f"demo-{tree.digest[:12]}"
