"""Git sources, from real repositories."""

import os
import subprocess
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from builders.errors import ReefError, SourceError
from builders.model.settings import Settings
from tests.support.sources import Bench, archive, pack_tar, sha256, write_recipe


def git(repository: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@localhost", "-c", "init.defaultBranch=main"]
    alone = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *identity, *arguments],
        cwd=repository,
        env=os.environ | alone,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def commit(repository: Path, files: dict[str, str]) -> str:
    if not repository.exists():
        repository.mkdir(parents=True)
        git(repository, "init", "--quiet")
    for name, text in files.items():
        path = repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        path.chmod(0o755 if name.endswith(".sh") else 0o644)
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "more")
    return git(repository, "rev-parse", "HEAD")


def git_source(repository: Path, files: dict[str, str]) -> dict[str, Any]:
    """Make a commit and return it as a recipe writes it."""
    return {"name": "main", "git": {"url": f"file://{repository}", "commit": commit(repository, files)}}


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
    handler = partial(_Quiet, directory=str(tmp_path / "www"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        source["git"]["url"] = "http://far.invalid/up.git"
        bench.settings = Settings(mirrors={"http://far.invalid": f"http://127.0.0.1:{server.server_port}"})
        tree = bench.fetch(write_recipe(bench.folder, [source]))
        server.shutdown()
    assert (tree.path / "f").read_text() == "old"
    assert git(cached(bench, source), "rev-list", "--all", "--count") == "1"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


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


def test_submodules_are_warned_of(bench: Bench, tmp_path: Path) -> None:
    source = git_source(tmp_path / "upstream", {"f": "x", ".gitmodules": '[submodule "s"]\n\tpath = s\n\turl = u\n'})
    bench.fetch(write_recipe(bench.folder, [source]))
    assert "has submodules, which stay empty" in bench.said.getvalue()


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
