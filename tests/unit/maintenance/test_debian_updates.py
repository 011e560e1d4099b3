"""A build whose root Debian has moved on from: told, though it makes no build stale."""

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from builders.cli import status
from builders.engines.roots import manifest
from builders.host.log import Log
from builders.maintenance.debian_updates import SHOWN, drift
from builders.model.arch import AMD64
from builders.pipeline.planning import records
from builders.pipeline.planning.plan import BuildTarget
from builders.pipeline.planning.records import RECORD, Record
from builders.pipeline.planning.selection import select
from builders.pipeline.project import Project
from tests.support.checkout import HELLO

BUILT_WITH = ("gcc:amd64=14.2.0-1", "libc6:arm64=2.41-12", "old:amd64=1")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    shutil.copytree(HELLO, tmp_path / "recipes" / "reef-hello")
    return replace(Project.open(tmp_path, Log(quiet=True)), machine=AMD64)


@pytest.fixture
def built(project: Project) -> tuple[BuildTarget, Record]:
    [one] = select(project, [], ["trixie/arm64"])
    folder = project.workspace.build(*one.key)
    folder.mkdir(parents=True)
    records.write_record(folder, Record(one.fingerprint, (), (), (), (0, 0), "chroot", BUILT_WITH))
    record = records.read_record(folder)
    assert record
    return one, record


def make_root(project: Project, one: BuildTarget, *packages: str) -> None:
    folder = project.workspace.cache.roots / manifest.key(one.job.root)
    folder.mkdir(parents=True)
    (folder / "manifest.yml").write_text(yaml.safe_dump({"installed": list(packages)}))


def test_nothing_is_shown_while_nothing_moved(project: Project, built: tuple[BuildTarget, Record]) -> None:
    assert drift(project, *built) == []
    make_root(project, built[0], *BUILT_WITH)
    assert drift(project, *built) == []


def test_what_the_root_holds_now_is_reported(project: Project, built: tuple[BuildTarget, Record]) -> None:
    make_root(project, built[0], "gcc:amd64=14.2.0-1", "libc6:arm64=2.41-12+deb13u1", "new:amd64=2:1")
    first, *lines = drift(project, *built)
    assert "build-arm --force" in first
    assert [line.strip() for line in lines] == [
        "libc6:arm64: 2.41-12 -> 2.41-12+deb13u1", "new:amd64: absent -> 2:1", "old:amd64: 1 -> absent",
    ]  # fmt: skip


def test_many_are_counted(project: Project, built: tuple[BuildTarget, Record]) -> None:
    make_root(project, built[0], *BUILT_WITH, *(f"p{number}:amd64=1" for number in range(SHOWN + 5)))
    assert drift(project, *built)[-1].strip() == "and 5 more"


def test_an_old_build_is_reported(
    project: Project,
    built: tuple[BuildTarget, Record],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    then = time.time() - 75 * 86400
    os.utime(project.workspace.build(*built[0].key) / RECORD, (then, then))
    [line] = drift(project, *built)
    assert "built 75 days ago" in line
    assert "clean --what roots" in line
    monkeypatch.setattr(status, "open_project", lambda: replace(project, log=Log()))
    status.explain("reef-hello", ["trixie/arm64"])
    said = capsys.readouterr().out
    assert "up to date: nothing differs" in said
    assert "built 75 days ago" in said
