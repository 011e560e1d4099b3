"""Checked edits."""

import os

import pytest

from builders.errors import SourceError
from tests.support.sources import Bench, Members, archive, link, pack_tar, sha256, write_recipe

MEMBERS: Members = {
    "build.sh": b"one\r\nset(A 1)\nset(A 2)\nlatin \xe9\n",
    "cmake/here": link("cmake/here", "../build.sh"),
    "plain.txt": b"text",
}


def edited(bench: Bench, *edits: dict[str, object]) -> os.PathLike[str]:
    data = pack_tar(MEMBERS)
    (bench.folder / "a").write_bytes(data)
    source = archive(f"file://{bench.folder / 'a'}", sha256=sha256(data))
    return bench.fetch(write_recipe(bench.folder, [source], [{"reason": "tests", **edit} for edit in edits])).path


def test_edit_replaces_each_match_and_nothing_else(bench: Bench) -> None:
    edit = {"file": "build.sh", "find": r"^set\((\w) (\d)\)$", "replace": r"set(\1 1\2)", "count": 2}
    tree = edited(bench, edit, {"file": "build.sh", "find": "11", "replace": "12"})
    path = os.path.join(tree, "build.sh")
    with open(path, "rb") as file:
        assert file.read() == b"one\r\nset(A 12)\nset(A 12)\nlatin \xe9\n"
    assert os.stat(path).st_mode & 0o777 == 0o755
    assert sorted(os.listdir(tree)) == ["build.sh", "cmake", "plain.txt"]


def test_a_recipe_that_keeps_its_source_has_upstreams_tree_too(bench: Bench) -> None:
    data = pack_tar(MEMBERS)
    (bench.folder / "a").write_bytes(data)
    source = archive(f"file://{bench.folder / 'a'}", sha256=sha256(data))
    edit = {"file": "plain.txt", "find": "text", "replace": "other", "reason": "tests"}
    recipe = write_recipe(bench.folder, [source], [edit])
    assert bench.fetch(recipe).original is None
    tree = bench.fetch(recipe.model_copy(update={"keep_source": True}))
    assert (tree.path / "plain.txt").read_text() == "other"
    assert tree.original is not None
    assert (tree.original / "plain.txt").read_text() == "text"
    plain = write_recipe(bench.folder, [source]).model_copy(update={"keep_source": True})
    assert bench.fetch(plain).original == bench.fetch(plain).path


def test_edit_follows_a_link_and_leaves_it_one(bench: Bench) -> None:
    tree = edited(bench, {"file": "cmake/here", "find": "one", "replace": "two"})
    assert os.path.islink(os.path.join(tree, "cmake/here"))
    with open(os.path.join(tree, "build.sh"), "rb") as file:
        assert file.read().startswith(b"two\r\n")


@pytest.mark.parametrize(("count", "found"), [(1, 2), (3, 2), (0, 2)])
def test_edit_that_matches_otherwise_is_reported(bench: Bench, count: int, found: int) -> None:
    with pytest.raises(SourceError) as caught:
        edited(bench, {"file": "build.sh", "find": r"^set", "replace": "x", "count": count, "reason": "no sets here"})
    error = caught.value
    assert error.what == "1 of 1 edits of demo do not fit its sources"
    assert f"build.sh: matches: found {found}, expected {count}" in error.detail
    assert "find: '^set'" in error.detail
    assert "reason: no sets here" in error.detail
    assert "change find: or count: in the recipe" in error.fix
    assert bench.nothing_made()


def test_all_edits_that_fail_are_reported_at_once(bench: Bench) -> None:
    with pytest.raises(SourceError, match="2 of 3 edits") as caught:
        edited(
            bench,
            {"file": "gone.txt", "find": "x", "replace": "y"},
            {"file": "plain.txt", "find": "text", "replace": "y"},
            {"file": "plain.txt", "find": "y", "replace": r"\7"},
        )
    assert "gone.txt: no such file in the tree" in caught.value.detail
    assert r"replace: '\\7' is not a replacement: invalid group reference" in caught.value.detail
