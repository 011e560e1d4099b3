"""Local folders, and the document that decides a tree."""

import json
import os
from pathlib import Path

import pytest

from builders.errors import SourceError
from builders.model.recipe import Recipe
from builders.sources import acquire, describe, digest_of
from tests.support.sources import Bench, archive, relink, write_recipe

LOCAL = {"name": "mine", "local": {"path": "../work"}}


@pytest.fixture
def work(bench: Bench) -> Path:
    """Return a folder with everything that a source may hold, and a `.git` that it may not bring along."""
    folder = bench.folder / "work"
    (folder / "src/.git").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".git/config").write_text("x")
    (folder / "src/main.c").write_text("int main;")
    (folder / "run.sh").write_text("true")
    (folder / "run.sh").chmod(0o700)
    (folder / "link").symlink_to("src/main.c")
    (folder / "empty").mkdir()
    return folder


def digest(recipe: Recipe) -> str:
    return digest_of(describe(recipe))


def test_folder_is_copied_without_git(bench: Bench, work: Path) -> None:
    tree = bench.fetch(write_recipe(bench.folder, [LOCAL]), offline=True)
    names = sorted(str(p.relative_to(tree.path)) for p in tree.path.rglob("*"))
    assert names == ["empty", "link", "run.sh", "src", "src/main.c"]
    assert os.readlink(tree.path / "link") == "src/main.c"
    assert (tree.path / "run.sh").stat().st_mode & 0o777 == 0o755
    assert tree.sources[0].kind == "local"
    assert tree.sources[0].digest in json.dumps(describe(write_recipe(bench.folder, [LOCAL])))


def test_excluded_paths_are_neither_copied_nor_part_of_the_digest(bench: Bench, work: Path) -> None:
    source = {"name": "mine", "local": {"path": "../work", "exclude": ["src/.cache", "empty/", "main.c"]}}
    recipe = write_recipe(bench.folder, [source])
    before = digest(recipe)
    (work / "src/.cache").mkdir()
    (work / "src/.cache/main.o").write_text("x")
    assert digest(recipe) == before
    tree = bench.fetch(recipe, offline=True)
    # A path is excluded, not a name: src/main.c stays.
    names = sorted(str(p.relative_to(tree.path)) for p in tree.path.rglob("*"))
    assert names == ["link", "run.sh", "src", "src/main.c"]
    assert tree.sources[0].digest in json.dumps(describe(recipe))


def test_digest_follows_names_modes_and_contents_only(bench: Bench, work: Path) -> None:
    recipe = write_recipe(bench.folder, [LOCAL])
    seen = [digest(recipe)]
    os.utime(work / "run.sh", (1, 1))
    (work / ".git/config").write_text("y")
    (work / "run.sh").chmod(0o755)
    assert digest(recipe) == seen[0]
    (work / "src/main.c").write_text("int mein;")
    seen.append(digest(recipe))
    (work / "src/main.c").chmod(0o755)
    seen.append(digest(recipe))
    (work / "src/main.c").rename(work / "src/mein.c")
    seen.append(digest(recipe))
    (work / "empty").rmdir()
    seen.append(digest(recipe))
    relink(work / "link", "run.sh")
    seen.append(digest(recipe))
    assert len(set(seen)) == len(seen)


def test_missing_folder_is_reported_when_it_is_needed(bench: Bench) -> None:
    recipe = write_recipe(bench.folder, [LOCAL])
    assert '"absent"' in json.dumps(describe(recipe))
    with pytest.raises(SourceError, match="cannot fetch source 'mine' of demo") as caught:
        bench.fetch(recipe)
    assert f"no such folder: {recipe.folder / '../work'}" in caught.value.detail
    assert caught.value.fix.startswith("correct the path")


def test_local_folder_goes_before_a_cached_alternative(bench: Bench, work: Path) -> None:
    bench.cache.mkdir(parents=True)
    source = {**LOCAL, "alternatives": [{"archive": archive("http://a.invalid/", sha256="0" * 64)["archive"]}]}
    (bench.cache / ("0" * 64)).write_bytes(b"rot")
    assert bench.fetch(write_recipe(bench.folder, [source])).sources[0].kind == "local"


def test_folder_that_holds_the_artifacts_is_refused(bench: Bench) -> None:
    recipe = write_recipe(bench.folder, [{"name": "mine", "local": {"path": ".."}}])
    with pytest.raises(SourceError) as caught:
        bench.fetch(recipe)
    assert "into which it would be copied" in caught.value.detail


def test_pipe_is_refused(bench: Bench, work: Path) -> None:
    os.mkfifo(work / "pipe")
    with pytest.raises(SourceError, match="contains a device, pipe or socket"):
        describe(write_recipe(bench.folder, [LOCAL]))


def test_links_out_of_the_folder_are_left_out(bench: Bench, work: Path) -> None:
    """Leave them out with a warning; an absolute target, which differs between machines, is not part of the digest."""
    recipe = write_recipe(bench.folder, [LOCAL])
    before = digest(recipe)
    (work / "bazel-out").symlink_to("/root/.cache/bazel/x")
    assert digest(recipe) == before
    (work / "src/out").symlink_to("../../../etc")
    (work / "src/dangling").symlink_to("../none")
    tree = bench.fetch(recipe).path
    assert not os.path.lexists(tree / "bazel-out")
    assert not os.path.lexists(tree / "src/out")
    assert os.readlink(tree / "src/dangling") == "../none"
    said = bench.said.getvalue()
    assert "left out the link 'bazel-out' -> '/root/.cache/bazel/x', which leads out of the tree" in said
    assert "left out the link 'src/out' -> '../../../etc'" in said


def test_excluded_parts_are_neither_read_nor_part_of_the_digest(bench: Bench, work: Path) -> None:
    recipe = write_recipe(bench.folder, [{**LOCAL, "exclude": [{"path": "bazel-*", "reason": "of Bazel"}]}])
    before = digest(recipe)
    (work / "bazel-out").symlink_to("/root/.cache/bazel/x")
    os.mkfifo(work / "bazel-pipe")
    assert digest(recipe) == before
    assert not os.path.lexists(bench.fetch(recipe).path / "bazel-out")
    assert "left out" not in bench.said.getvalue()
    assert "matches nothing" not in bench.said.getvalue()


def test_link_into_another_source_is_kept(bench: Bench, work: Path) -> None:
    (work / "other").symlink_to("../beside/f")
    (bench.folder / "beside").mkdir()
    (bench.folder / "beside/f").write_text("x")
    sources = [
        {**LOCAL, "unpack": "mine"},
        {"name": "other", "local": {"path": "../beside"}, "unpack": "beside"},
    ]
    assert (bench.fetch(write_recipe(bench.folder, sources)).path / "mine/other").read_text() == "x"


@pytest.mark.parametrize(("name", "depth"), [("n" * 200, 25), ("n", 300)])
def test_path_that_is_too_long_is_reported(bench: Bench, work: Path, name: str, depth: int) -> None:
    here = os.open(work, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=here)
        here, before = os.open(name, os.O_RDONLY, dir_fd=here), here
        os.close(before)
    os.close(here)
    with pytest.raises(SourceError, match="a local source cannot be read") as caught:
        describe(write_recipe(bench.folder, [LOCAL]))
    assert "exclude:" in caught.value.fix


def test_folder_that_changes_while_it_is_copied_is_refused(
    bench: Bench, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = acquire.acquire_all

    def slow(*arguments: object) -> object:
        (work / "src/main.c").write_text("other")
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(acquire, "acquire_all", slow)
    with pytest.raises(SourceError, match="source 'mine' was changed while it was copied"):
        bench.fetch(write_recipe(bench.folder, [LOCAL]))
    assert bench.nothing_made()


EDIT: dict[str, object] = {"file": "a", "find": "b", "replace": "c", "reason": "because"}
BASE = archive("http://a/1", sha256="1" * 64, strip=1)


def test_document_reads_well(bench: Bench) -> None:
    source = {**BASE, "unpack": "x", "alternatives": [{"git": {"url": "http://g", "commit": "2" * 40}}]}
    assert describe(write_recipe(bench.folder, [source], [EDIT])) == {
        "layout": 1,
        "sources": [
            {
                "name": "main", "kind": "archive", "digest": f"sha256:{'1' * 64}", "strip": 1, "unpack": "x",
                "alternatives": [{"kind": "git", "digest": f"git:{'2' * 40}"}],
            }
        ],
        "edits": [{"file": "a", "find": "b", "replace": "c", "count": 1}],
    }  # fmt: skip


def test_digest_follows_content_not_place(bench: Bench) -> None:
    def of(source: dict[str, object], *edits: dict[str, object]) -> str:
        return digest(write_recipe(bench.folder, [source], list(edits)))

    same = [
        of(BASE, EDIT),
        of(archive("http://b/2", sha256="1" * 64, strip=1), EDIT),
        of(BASE, {**EDIT, "reason": "other"}),
    ]
    assert len(set(same)) == 1
    others = [of(BASE), of({**BASE, "unpack": "x"}, EDIT), of(archive("http://a/1", sha256="1" * 64, strip=2), EDIT)]
    others += [of(BASE, {**EDIT, key: value}) for key, value in (("find", "x"), ("replace", "x"), ("count", 2))]
    others.append(of({**BASE, "alternatives": [{"git": {"url": "http://g", "commit": "2" * 40}}]}, EDIT))
    assert len({*same, *others}) == 1 + len(others)
