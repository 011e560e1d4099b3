"""What a project wants built, where another machine built it before."""

import shutil
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest

from builders.host.log import Log
from builders.model.arch import AMD64
from builders.pipeline import build
from builders.pipeline.planning import records
from builders.pipeline.planning.plan import plan
from builders.pipeline.planning.records import write_record
from builders.pipeline.planning.selection import select
from builders.pipeline.project import Project
from tests.support.checkout import HELLO
from tests.support.killing import killed_at
from tests.unit.pipeline.test_project import built_on

TARGET = "trixie/arm64"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    shutil.copytree(HELLO, tmp_path / "recipes" / "reef-hello")
    return replace(Project.open(tmp_path, Log(quiet=True)), machine=AMD64)


def test_killed_at_every_point_of_putting_a_build_in_place(project: Project) -> None:
    """There is the old build, or none, which is built again, or the new one; what lies about is swept away."""
    old = built_on(AMD64, project)
    build_targets = select(project, [], [TARGET])
    folder, template = project.workspace.build(*build_targets[0].key), project.folder / "template"
    shutil.copytree(folder, template)

    def put() -> None:
        with project.workspace.scratch_folder("build") as scratch:
            shutil.copytree(template, scratch / "out")
            deb = replace(old.debs[0], path=scratch / "out" / old.debs[0].path.name, version="2")
            write_record(scratch / "out", replace(old, debs=(deb,)))
            build._replace(scratch / "out", folder, scratch)

    there: list[str | None] = []
    for number in range(1, 100):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(template, folder)
        alive = not killed_at(put, number)
        found = records.read_record(folder)
        there.append(found.debs[0].version if found else None)
        actions = [action.action for action in plan(select(project, [], [TARGET]))]
        assert actions == ["keep" if found else "build"]
        project.workspace.sweep()
        assert list(project.workspace.scratch.glob("*")) == []
        if alive:
            break
    assert [one for one, _ in groupby(there)] == ["1", None, "2"]
