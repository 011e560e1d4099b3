"""Cleaning that is ended in the middle: what still lies there then is never taken for whole."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from builders.engines.chroot import failed
from builders.host.log import Log
from builders.pipeline.project import Project
from tests.support.checkout import HELLO

QUIET = Log(quiet=True)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    shutil.copytree(HELLO, tmp_path / "recipes" / "reef-hello")
    return Project.open(tmp_path, QUIET)


def a_failed_job(project: Project) -> Callable[[], object]:
    folder = failed.folder(project.workspace, "reef-hello/build")
    (folder / "root").mkdir(parents=True)
    (folder / "entry.json").write_text("{}")
    return lambda: failed.names(project.workspace)


def test_the_root_of_a_failed_job_is_gone_before_its_files_are(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = a_failed_job(project)

    def ended(_folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", ended)
    with pytest.raises(KeyboardInterrupt):
        failed.forget(project.workspace, "reef-hello/build")
    assert failed.folder(project.workspace, "reef-hello/build").is_dir()
    assert not kept()
