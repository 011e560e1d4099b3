"""Cleaning that is ended in the middle: what still lies there then is never taken for whole."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from builders import sources
from builders.engines.roots import manifest
from builders.host import process
from builders.host.log import Log
from builders.maintenance import clean
from builders.model.arch import AMD64, ARM64
from builders.model.jobs import Root
from builders.pipeline.planning import records
from builders.pipeline.project import Project
from builders.sources.context import FetchContext
from builders.sources.kinds import git
from tests.support.checkout import HELLO
from tests.unit.maintenance.test_clean import a_failed_job
from tests.unit.pipeline.planning.test_plan import record

QUIET = Log(quiet=True)
ROOT = Root("trixie", AMD64, ARM64, ("gcc",))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    shutil.copytree(HELLO, tmp_path / "recipes" / "reef-hello")
    return Project.open(tmp_path, QUIET)


def a_root(project: Project) -> Callable[[], object]:
    folder = project.workspace.cache.roots / manifest.key(ROOT)
    (folder / "rootfs" / "usr").mkdir(parents=True)
    (folder / "manifest.yml").write_text("installed: []\n")
    return lambda: manifest.made(ROOT, project.workspace)


def a_build(project: Project) -> Callable[[], object]:
    folder = project.workspace.build("reef-hello", "trixie-arm64")
    folder.mkdir(parents=True)
    records.write_record(folder, record(folder, {}))
    return lambda: records.read_record(folder)


def a_tree(project: Project) -> Callable[[], object]:
    tree = sources.fetch(project.recipes["reef-hello"], replace(project, log=QUIET), offline=True)
    return lambda: sources.manifest_path(tree.path).exists()


def a_clone(project: Project) -> Callable[[], object]:
    path = git.cache_path(FetchContext.of(project, offline=True), "a" * 40)
    process.run(["git", "init", "--quiet", "--bare", str(path)])
    asked = ["git", f"--git-dir={path}", "rev-parse", "--git-dir"]
    return lambda: process.run(asked, check=False).returncode == 0


def an_image(project: Project) -> Callable[[], object]:
    manifest = project.workspace.cache.virtual / "trixie-arm64-1" / "manifest.yml"
    manifest.parent.mkdir(parents=True)
    manifest.touch()
    return manifest.is_file


@pytest.mark.parametrize(
    ("part", "make"),
    [("roots", a_root), ("builds", a_build), ("failed", a_failed_job), ("trees", a_tree), ("downloads", a_clone),
     ("virtual", an_image)],
)  # fmt: skip
def test_what_is_half_removed_is_not_taken_for_whole(
    project: Project, monkeypatch: pytest.MonkeyPatch, part: str, make: Callable[[Project], Callable[[], object]]
) -> None:
    whole = make(project)
    assert whole()
    found: list[Path] = []

    def ended(folder: Path) -> None:
        found.append(folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", ended)
    with pytest.raises(KeyboardInterrupt):
        clean.clean(project, [part])
    folder = clean.folder_of(project.workspace, part)
    assert found == ([folder / "reef-hello-build"] if part == "failed" else [folder])
    assert folder.is_dir()
    assert not whole()
    monkeypatch.undo()
    clean.clean(project, [part])
    assert not folder.exists()
