"""Files that Git LFS keeps elsewhere, for every kind of source."""

import os
from pathlib import Path
from typing import Any

import pytest

from builders.errors import SourceError
from builders.host import process
from tests.support.git import LFS, commit, git, git_source, pointer, served, store
from tests.support.sources import Bench, archive, pack_tar, pack_zip, sha256, write_recipe

MODEL = os.urandom(5000)
FILES = {".gitattributes": LFS, "model.tflite": pointer(MODEL), "f": "x"}


def test_file_is_fetched_from_a_repository_of_this_machine(bench: Bench, tmp_path: Path) -> None:
    source = git_source(tmp_path / "upstream", FILES)
    store(tmp_path / "upstream/.git", MODEL)
    tree = bench.fetch(write_recipe(bench.folder, [source]))
    assert (tree.path / "model.tflite").read_bytes() == MODEL
    assert (bench.cache / sha256(MODEL)).read_bytes() == MODEL
    # Offline, from the cache, when the repository is gone.
    (tmp_path / "upstream").rename(tmp_path / "gone")
    again = bench.fetch(write_recipe(bench.folder, [{**source, "unpack": "d"}]), offline=True)
    assert (again.path / "d/model.tflite").read_bytes() == MODEL


@pytest.mark.parametrize("own_server", [False, True])
def test_file_is_fetched_over_http(bench: Bench, tmp_path: Path, own_server: bool) -> None:
    """Fetch from a server beside the repository, and from one that .lfsconfig names; odd names and modes stay."""
    odd, tool = os.urandom(10), os.urandom(11)
    files = {**FILES, "d,e/[1] ü.tflite": pointer(odd), "tool.sh": pointer(tool)}
    (tmp_path / "www").mkdir()
    with served(tmp_path / "www", MODEL, odd, tool) as url:
        if own_server:
            files[".lfsconfig"] = f"[lfs]\n\turl = {url}/lfs\n"
        source = git_source(tmp_path / "up", files)
        git(tmp_path, "clone", "--quiet", "--bare", "up", "www/up.git")
        git(tmp_path / "www/up.git", "update-server-info")
        source["git"]["url"] = f"{url}/up.git"
        tree = bench.fetch(write_recipe(bench.folder, [source])).path
    assert (tree / "model.tflite").read_bytes() == MODEL
    assert (tree / "d,e/[1] ü.tflite").read_bytes() == odd
    assert (tree / "tool.sh").read_bytes() == tool
    assert (tree / "tool.sh").stat().st_mode & 0o777 == 0o755


def refused(bench: Bench, source: dict[str, Any]) -> SourceError:
    with pytest.raises(SourceError) as caught:
        bench.fetch(write_recipe(bench.folder, [source]))
    assert bench.nothing_made()
    assert f"model.tflite: {len(MODEL)} bytes, sha256 {sha256(MODEL)}" in caught.value.detail
    assert "only pointers of Git LFS" in caught.value.what
    return caught.value


def test_file_that_the_server_does_not_have_is_named(bench: Bench, tmp_path: Path) -> None:
    error = refused(bench, git_source(tmp_path / "upstream", FILES))
    assert f"file://{tmp_path}/upstream: " in error.detail
    assert "upstream: the server does not have what the pointers name: error: failed to fetch" in error.detail
    assert error.fix.startswith("ask upstream to push them")
    assert "install git-lfs" not in error.fix


def test_damaged_file_is_not_taken(bench: Bench, tmp_path: Path) -> None:
    source = git_source(tmp_path / "upstream", FILES)
    store(tmp_path / "upstream/.git", MODEL).write_bytes(MODEL[:-1] + b"x")
    refused(bench, source)
    assert not (bench.cache / sha256(MODEL)).exists()


def test_without_git_lfs_the_error_names_it(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = git_source(tmp_path / "upstream", FILES)
    store(tmp_path / "upstream/.git", MODEL)
    find = process.find
    monkeypatch.setattr(process, "find", lambda program: None if program == "git-lfs" else find(program))
    error = refused(bench, source)
    assert "Debian's package: git-lfs" in error.detail
    assert error.fix.startswith("fetch them: install git-lfs")


def test_offline_nothing_is_downloaded(bench: Bench, tmp_path: Path) -> None:
    source = git_source(tmp_path / "upstream", FILES)
    bench.fetch(write_recipe(bench.folder, [{**source, "exclude": [{"path": "*.tflite", "reason": "later"}]}]))
    source["git"]["url"] = "http://far.invalid/x"
    with pytest.raises(SourceError, match="only pointers") as caught:
        bench.fetch(write_recipe(bench.folder, [source]), offline=True)
    assert "http://far.invalid/x: not in the cache, and --offline downloads nothing" in caught.value.detail
    assert caught.value.fix.startswith("run once without --offline; or give each")


def other_kinds(folder: Path) -> dict[str, dict[str, Any]]:
    packed = {"main/model.tflite": pointer(MODEL).encode(), "main/f": b"x"}
    contents = {"tar": pack_tar(packed), "zip": pack_zip(packed), "file": packed["main/model.tflite"]}
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    (folder / "work").mkdir()
    (folder / "work/model.tflite").write_bytes(packed["main/model.tflite"])
    (folder / "work/f").write_bytes(b"x")
    urls = {name: [f"file://{folder / name}"] for name in contents}
    digests = {name: sha256(data) for name, data in contents.items()}
    gone = archive("file:///none", sha256="1" * 64)
    return {
        "archive": archive(*urls["tar"], sha256=digests["tar"], strip=1),
        "zip": archive(*urls["zip"], sha256=digests["zip"], strip=1),
        "file": {"name": "main", "file": {"urls": urls["file"], "sha256": digests["file"], "name": "model.tflite"}},
        "local": {"name": "main", "local": {"path": "../work"}},
        "alternative": {**gone, "alternatives": [{"archive": archive(*urls["zip"], sha256=digests["zip"])["archive"]}]},
    }


KINDS = ("archive", "zip", "file", "local", "alternative")


@pytest.mark.parametrize("kind", KINDS)
def test_pointer_in_another_kind_of_source_is_refused(bench: Bench, tmp_path: Path, kind: str) -> None:
    fix = refused(bench, other_kinds(tmp_path)[kind]).fix
    assert fix.startswith("fetch them: use git: for a source that is an archive")
    assert "name it under exclude:" in fix


def test_pointer_in_a_folder_named_on_the_command_line_is_refused(bench: Bench, tmp_path: Path) -> None:
    kinds = other_kinds(tmp_path)
    recipe = write_recipe(bench.folder, [kinds["archive"]]).with_source("main", tmp_path / "work")
    with pytest.raises(SourceError, match="only pointers of Git LFS"):
        bench.fetch(recipe)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "file"])
def test_pointer_can_be_left_out(bench: Bench, tmp_path: Path, kind: str) -> None:
    source = {**other_kinds(tmp_path)[kind], "exclude": [{"path": "**/*.tflite", "reason": "only for tests"}]}
    tree = bench.fetch(write_recipe(bench.folder, [source])).path
    assert [path.name for path in tree.rglob("*") if path.is_file()] == ["f"]


def test_another_source_can_give_the_file(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(MODEL)
    file = {"urls": [f"file://{tmp_path}/model"], "sha256": sha256(MODEL), "name": "model.tflite"}
    sources = [other_kinds(tmp_path)["archive"], {"name": "model", "file": file}]
    assert (bench.fetch(write_recipe(bench.folder, sources)).path / "model.tflite").read_bytes() == MODEL


def test_cached_file_replaces_the_pointer_of_any_source(bench: Bench, tmp_path: Path) -> None:
    bench.cache.mkdir(parents=True)
    (bench.cache / sha256(MODEL)).write_bytes(MODEL)
    tree = bench.fetch(write_recipe(bench.folder, [other_kinds(tmp_path)["zip"]]), offline=True)
    assert (tree.path / "model.tflite").read_bytes() == MODEL


def test_pointer_in_a_submodule(bench: Bench, tmp_path: Path) -> None:
    commit(tmp_path / "models", FILES)
    commit(tmp_path / "upstream", {"f": "x"})
    git(tmp_path / "upstream", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../models", "m")
    source = git_source(tmp_path / "upstream", {}, submodules=True)
    with pytest.raises(SourceError) as caught:
        bench.fetch(write_recipe(bench.folder, [source]))
    assert caught.value.detail.startswith("m/model.tflite: ")
    store(tmp_path / "models/.git", MODEL)
    assert (bench.fetch(write_recipe(bench.folder, [source])).path / "m/model.tflite").read_bytes() == MODEL


def test_tree_of_an_earlier_reef_is_judged(bench: Bench, tmp_path: Path) -> None:
    """Refuse pointers also where an earlier Reef left a finished tree with them."""
    source = git_source(tmp_path / "upstream", {"f": "x"})
    recipe = write_recipe(bench.folder, [source])
    tree = bench.fetch(recipe).path
    manifest = Path(f"{tree}.json")
    manifest.write_text(manifest.read_text().replace('"judged": 1', '"judged": 0'))
    before = (tree / "f").stat().st_ino
    assert bench.fetch(recipe, offline=True).path == tree
    assert (tree / "f").stat().st_ino != before


def test_settings_of_the_user_leave_no_file_out(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = git_source(tmp_path / "upstream", FILES)
    store(tmp_path / "shared", MODEL)
    (tmp_path / ".gitconfig").write_text(f"[lfs]\n\tfetchexclude = *\n\tstorage = {tmp_path}/shared/lfs\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert (bench.fetch(write_recipe(bench.folder, [source])).path / "model.tflite").read_bytes() == MODEL
