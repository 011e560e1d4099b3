"""Whole runs: trees that were damaged, runs that are killed, two at once, an interrupt."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from builders.sources import manifest_path
from tests.support.sources import Bench, Handler, Site, archive, ranged, sha256, write_recipe
from tests.unit.sources.test_fetch_tree import DATA, recipe_of, whole_tree

RUN = """
import sys, time
from pathlib import Path
from builders.host.log import Log
from builders.model.arch import AMD64
from builders.model.context import Context
from builders.model.recipe import load_recipe
from builders.model.settings import Settings
from builders.sources import fetch
from builders.host.workspace import Workspace

def hang(name, real):
    def stop(*a, **k):
        if name == "unpack":
            real(*a, **k)
        print("there", flush=True)
        time.sleep(60)
    return stop

folder, phase = Path(sys.argv[1]), sys.argv[2]
if phase:
    from builders.sources import fetch_tree as module
    setattr(module, phase, hang(phase, getattr(module, phase)))
context = Context(folder, Settings(), Workspace(folder / "artifacts"), AMD64, Log(live=False))
tree = fetch(load_recipe(folder / "demo"), context, offline=False)
print("tree", tree.path)
"""


def start(bench: Bench, phase: str = "") -> "subprocess.Popen[str]":
    # A shell starts what it puts in the background deaf to Ctrl-C, and tests inherit that.
    return subprocess.Popen(
        ["env", "--default-signal=INT", sys.executable, "-c", RUN, str(bench.folder), phase],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def until(truth: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not truth():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def stalling(handler: Handler, data: bytes) -> None:
    """Send half, and nothing more for longer than any test waits."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data)))
    handler.send_header("ETag", '"one"')
    handler.end_headers()
    handler.wfile.write(data[:200_000])
    handler.wfile.flush()
    time.sleep(600)


def test_run_killed_while_downloading_is_continued(bench: Bench, site: Site) -> None:
    recipe = recipe_of(bench, site)
    site.plan["/a"] = [stalling, ranged]
    part = bench.cache / f"{sha256(DATA)}.part"
    child = start(bench)
    until(lambda: part.exists() and part.stat().st_size > 100_000)
    child.kill()
    child.wait()
    had = part.stat().st_size
    assert not (bench.cache / sha256(DATA)).exists()
    assert whole_tree(bench.fetch(recipe).path)
    asked = [headers.get("Range") for path, headers in site.requests if path == "/a"]
    assert asked == [None, f"bytes={had}-"]


@pytest.mark.parametrize("phase", ["unpack", "apply_edits", "seal", "write_whole"])
def test_run_killed_while_making_the_tree_leaves_nothing_taken_for_whole(bench: Bench, site: Site, phase: str) -> None:
    recipe = recipe_of(bench, site)
    child = start(bench, phase)
    assert child.stdout
    assert any(line == "there\n" for line in child.stdout)
    child.kill()
    child.wait()
    assert list(bench.workspace.cache.trees.glob("*.json")) == []
    assert any(bench.workspace.cache.scratch.iterdir())
    tree = bench.fetch(recipe, offline=True)
    assert whole_tree(tree.path)
    assert json.loads(manifest_path(tree.path).read_text())["digest"] == tree.digest
    bench.workspace.sweep()
    assert list(bench.workspace.cache.scratch.iterdir()) == []


def test_interrupted_run_ends_at_once_and_keeps_its_part(bench: Bench, site: Site) -> None:
    recipe_of(bench, site)
    site.plan["/a"] = [stalling]
    part = bench.cache / f"{sha256(DATA)}.part"
    child = start(bench)
    until(lambda: part.exists() and part.stat().st_size > 100_000)
    child.send_signal(signal.SIGINT)
    said, _ = child.communicate(timeout=300)  # the server is silent for longer
    assert "KeyboardInterrupt" in said
    assert part.exists()
    assert bench.nothing_made()


def test_two_runs_at_once_make_one_tree(bench: Bench, site: Site) -> None:
    recipe = recipe_of(bench, site)

    def slowly(handler: Handler, data: bytes) -> None:
        time.sleep(1)
        ranged(handler, data)

    site.plan["/a"] = [slowly]
    children = [start(bench), start(bench)]
    said = [child.communicate(timeout=300)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0], said
    assert sorted(path for path, _ in site.requests) == ["/a", "/b"]
    assert sum("waiting for another run of Reef, which holds the sources of demo" in text for text in said) == 1
    tree = bench.fetch(recipe, offline=True)
    assert all(f"tree {tree.path}\n" in text for text in said)
    assert whole_tree(tree.path)


def test_two_recipes_at_once_share_a_download(bench: Bench, site: Site, tmp_path: Path) -> None:
    recipe_of(bench, site)
    child = start(bench, "unpack")
    other = Bench(tmp_path / "other")
    other.folder.mkdir()
    (other.folder / "artifacts").symlink_to(bench.folder / "artifacts")
    assert child.stdout
    assert any(line == "there\n" for line in child.stdout)
    source = archive(f"{site.url}/a", sha256=sha256(DATA), unpack="elsewhere")
    tree = other.fetch(write_recipe(other.folder, [source]))
    assert (tree.path / "elsewhere/f.txt").exists()
    child.kill()
    child.wait()
    assert [path for path, _ in site.requests].count("/a") == 1
