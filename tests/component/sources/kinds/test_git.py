"""Git sources, from real repositories."""

from pathlib import Path
from typing import Any

import pytest

from builders.errors import ReefError, SourceError
from builders.model.settings import Settings
from tests.support.git import commit, git, git_source, served
from tests.support.sources import Bench, archive, pack_tar, sha256, write_recipe


def cached(bench: Bench, source: dict[str, Any]) -> Path:
    return bench.workspace.cache.downloads / "git" / f"{source['git']['commit']}.git"


def test_commit_is_fetched_alone_and_given_out_as_committed(bench: Bench, tmp_path: Path) -> None:
    upstream = tmp_path / "upstream"
    attributes = "export-ignored export-ignore\nsubst export-subst\n*.txt text eol=crlf\n"
    source = git_source(
        upstream,
        {
            ".gitattributes": attributes,
            "export-ignored": "x",
            "subst": "$Format:%H$",
            "a.txt": "1\n2\n",
            "d/run.sh": "",
        },
    )
    commit(upstream, {"later": "x"})
    tree = bench.fetch(write_recipe(bench.folder, [source]))
    assert (tree.sources[0].kind, tree.sources[0].digest) == ("git", f"git:{source['git']['commit']}")
    assert tree.sources[0].location == f"file://{upstream}"
    files = sorted(str(p.relative_to(tree.path)) for p in tree.path.rglob("*") if p.is_file())
    assert files == [".gitattributes", "a.txt", "d/run.sh", "export-ignored", "subst"]
    assert (tree.path / "subst").read_text() == "$Format:%H$"
    assert (tree.path / "a.txt").read_bytes() == b"1\n2\n"
    assert (tree.path / "d/run.sh").stat().st_mode & 0o777 == 0o755
    assert git(cached(bench, source), "rev-list", "--all", "--count") == "1"


def test_old_commit_of_a_server_without_single_commits(bench: Bench, tmp_path: Path) -> None:
    source = git_source(tmp_path / "www" / "up", {"f": "old"})
    commit(tmp_path / "www" / "up", {"f": "new"})
    git(tmp_path / "www", "clone", "--quiet", "--bare", "up", "up.git")
    git(tmp_path / "www" / "up.git", "update-server-info")
    with served(tmp_path / "www") as url:
        source["git"]["url"] = "http://far.invalid/up.git"
        bench.settings = Settings(mirrors={"http://far.invalid": url})
        tree = bench.fetch(write_recipe(bench.folder, [source]))
    assert (tree.path / "f").read_text() == "old"
    assert git(cached(bench, source), "rev-list", "--all", "--count") == "1"


def test_missing_commit_and_missing_repository_are_reported(bench: Bench, tmp_path: Path) -> None:
    source = git_source(tmp_path / "upstream", {"f": "x"})
    source["git"]["commit"] = "1" * 40
    gone = {"name": "gone", "git": {"url": f"file://user:secret@{tmp_path}/none", "commit": "2" * 40}}
    with pytest.raises(SourceError, match="cannot fetch 2 sources of demo: main, gone") as caught:
        bench.fetch(write_recipe(bench.folder, [source, gone]))
    assert f"file://{tmp_path}/upstream: " in caught.value.detail
    assert "not our ref " + "1" * 40 in caught.value.detail
    assert f"file://{tmp_path}/none: fatal: " in caught.value.detail
    assert "secret" not in str(caught.value) + bench.said.getvalue()
    assert bench.nothing_made()


def test_archive_stands_in_for_a_repository_out_of_reach(bench: Bench, tmp_path: Path) -> None:
    data = pack_tar({"f": b"packed"})
    (tmp_path / "a").write_bytes(data)
    source: dict[str, Any] = {"name": "main", "git": {"url": f"file://{tmp_path}/none", "commit": "2" * 40}}
    source["alternatives"] = [{"archive": archive(f"file://{tmp_path}/a", sha256=sha256(data))["archive"]}]
    assert (bench.fetch(write_recipe(bench.folder, [source])).path / "f").read_text() == "packed"


def test_corrupted_repository_is_fetched_again(bench: Bench, tmp_path: Path) -> None:
    source = git_source(tmp_path / "upstream", {"f": "x" * 5000})
    bench.fetch(write_recipe(bench.folder, [source]))
    for path in (p for p in (cached(bench, source) / "objects").rglob("*") if p.is_file()):
        path.chmod(0o644)
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    tree = bench.fetch(
        write_recipe(bench.folder, [source], [{"file": "f", "find": "^x", "replace": "y", "reason": "r"}])
    )
    assert "is corrupted; it is removed" in bench.said.getvalue()
    assert (tree.path / "f").read_text().startswith("yx")


@pytest.mark.parametrize("scheme", ["file://", ""])
def test_commit_of_a_bundle(bench: Bench, tmp_path: Path, scheme: str) -> None:
    source = git_source(tmp_path / "upstream", {"f": "old"})
    commit(tmp_path / "upstream", {"f": "new"})
    git(tmp_path / "upstream", "bundle", "create", "--quiet", "../all.bundle", "--all")
    source["git"]["url"] = f"{scheme}{tmp_path}/all.bundle"
    assert (bench.fetch(write_recipe(bench.folder, [source])).path / "f").read_text() == "old"


def test_commit_of_a_repository_with_sha256_names(bench: Bench, tmp_path: Path) -> None:
    upstream = tmp_path / "upstream"
    source = {
        "name": "main",
        "git": {"url": f"file://{upstream}", "commit": commit(upstream, {"f": "x"}, "--object-format=sha256")},
    }
    assert len(source["git"]["commit"]) == 64  # type: ignore[index]
    assert (bench.fetch(write_recipe(bench.folder, [source])).path / "f").read_text() == "x"
    # From the cache, for another tree.
    assert bench.fetch(write_recipe(bench.folder, [{**source, "unpack": "d"}]), offline=True).path.is_dir()


def test_object_of_a_tag_is_told_from_a_commit(bench: Bench, tmp_path: Path) -> None:
    source = git_source(tmp_path / "upstream", {"f": "x"})
    git(tmp_path / "upstream", "tag", "--annotate", "--message=v1", "v1")
    source["git"]["commit"] = git(tmp_path / "upstream", "rev-parse", "v1")
    with pytest.raises(SourceError) as caught:
        bench.fetch(write_recipe(bench.folder, [source]))
    assert "is a tag's own object, not a commit" in caught.value.detail


def test_other_object_format_than_the_repositorys_is_explained(bench: Bench, tmp_path: Path) -> None:
    source = git_source(tmp_path / "upstream", {"f": "x"})
    source["git"]["commit"] = "1" * 64
    with pytest.raises(SourceError) as caught:
        bench.fetch(write_recipe(bench.folder, [source]))
    assert "commits have another number of digits than 64" in caught.value.detail


def test_settings_of_the_user_change_no_file(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = git_source(tmp_path / "upstream", {".gitattributes": "* filter=shout text\n", "f": "x\n"})
    settings = '[filter "shout"]\n\tsmudge = tr a-z A-Z\n[core]\n\tautocrlf = true\n[tar]\n\tumask = 0777\n'
    hook = tmp_path / "hooks" / "reference-transaction"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    settings += f"[init]\n\ttemplateDir = {tmp_path}\n[color]\n\tui = always\n[fetch]\n\trecurseSubmodules = true\n"
    settings += f"[protocol]\n\tversion = 0\n[core]\n\thooksPath = {hook.parent}\n\tfsmonitor = true\n"
    (tmp_path / ".gitconfig").write_text(settings)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert (bench.fetch(write_recipe(bench.folder, [source])).path / "f").read_bytes() == b"x\n"


def test_a_cached_repositorys_own_config_runs_nothing(bench: Bench, tmp_path: Path) -> None:
    upstream = tmp_path / "upstream"
    source = git_source(upstream, {"f": "x"})
    git(upstream, "config", "uploadpack.allowFilter", "true")
    place = cached(bench, source)
    place.parent.mkdir(parents=True)
    git(tmp_path, "clone", "--quiet", "--bare", "--filter=blob:none", f"file://{upstream}", str(place))
    marker = tmp_path / "marker"
    git(place, "config", "protocol.ext.allow", "always")
    git(place, "config", "remote.origin.url", f"ext::touch {marker}")
    (place / "reef-url").write_text("x")
    with pytest.raises(ReefError):
        bench.fetch(write_recipe(bench.folder, [source]))
    assert not marker.exists()


def empty(repository: Path) -> str:
    """Make a repository whose only commit has no file; return the commit."""
    repository.mkdir()
    git(repository, "init", "--quiet")
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "nothing")
    return git(repository, "rev-parse", "HEAD")


def test_an_empty_commit_is_named(bench: Bench, tmp_path: Path) -> None:
    upstream = tmp_path / "upstream"
    made = empty(upstream)
    source = {"name": "main", "git": {"url": f"file://{upstream}", "commit": made}}
    with pytest.raises(SourceError, match="source 'main' contains no file") as caught:
        bench.fetch(write_recipe(bench.folder, [source]))
    assert caught.value.detail == f"commit {made} of file://{upstream} is empty"
    assert bench.nothing_made()


def test_an_empty_submodule_is_an_empty_folder(bench: Bench, tmp_path: Path) -> None:
    made = empty(tmp_path / "inner")
    modules = f'[submodule "inner"]\npath = inner\nurl = file://{tmp_path}/inner\n'
    upstream = tmp_path / "upstream"
    commit(upstream, {".gitmodules": modules})
    git(upstream, "update-index", "--add", "--cacheinfo", f"160000,{made},inner")
    git(upstream, "commit", "--quiet", "--message", "with a submodule")
    url, head = f"file://{upstream}", git(upstream, "rev-parse", "HEAD")
    source = {"name": "main", "git": {"url": url, "commit": head, "submodules": True}}
    tree = bench.fetch(write_recipe(bench.folder, [source])).path
    assert list((tree / "inner").iterdir()) == []
