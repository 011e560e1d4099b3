"""The command ``list`` on builds that bundle Debian packages, and on all others."""

import sys
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest

from builders.apt.indices.entry import IndexEntry
from builders.apt.repository import publication
from builders.cli import status
from builders.host.log import Log
from builders.maintenance import debian_index
from builders.maintenance.debian_index import Comparison
from builders.model.arch import ARM64, Architecture
from builders.model.recipe import PrebuiltRecipe
from builders.pipeline.project import Project
from tests.support.up_to_date import up_to_date_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = up_to_date_project(tmp_path)
    monkeypatch.setattr(status, "open_project", lambda **_: replace(made, log=Log()))
    return made


def listed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Run ``list`` and return its lines after the table, whose last line is the recipe."""
    status.list_all()
    lines = capsys.readouterr().out.splitlines()
    last = max(number for number, line in enumerate(lines) if line.startswith("reef-hello  "))
    return lines[last + 1 :]


def test_without_a_bundle_list_says_nothing_of_debian(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "builders.maintenance.debian_index", None)  # an import of it would fail
    assert listed(capsys) == []
    stray = project.workspace.builds / "notes" / "of-mine"
    stray.mkdir(parents=True)
    (stray / "bundled.tsv").touch()
    unfinished = project.workspace.build("reef-hello", "trixie-armhf")
    unfinished.mkdir(parents=True)
    (unfinished / "bundled.tsv").touch()
    assert listed(capsys) == [], "Reef made neither"


def test_a_project_without_recipes_is_told_how_to_write_one(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(status, "open_project", lambda **_: replace(project, log=Log(), recipes={}))
    status.list_all()
    assert capsys.readouterr().out == "no recipes in recipes: ./inv new --help says how to write one\n"


@pytest.mark.parametrize("newer", [(), ("libc6 1 -> 2", "zlib1g 1 -> 3")])
def test_a_bundle_is_compared(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    newer: tuple[str, ...],
) -> None:
    bundle = project.workspace.build("reef-hello", "trixie-arm64") / "bundled.tsv"
    bundle.touch()
    asked = []

    def compare(_: Project, path: Path, suite: str, architecture: Architecture) -> Comparison:
        asked.append((path, suite, architecture))
        return Comparison("it was compared", newer)

    monkeypatch.setattr(debian_index, "compare", compare)
    first, *lines = listed(capsys)
    assert first == "reef-hello trixie/arm64: it was compared"
    assert asked == [(bundle, "trixie", ARM64)]
    assert lines[: len(newer)] == [f"  {line}" for line in newer]
    advice = "\n".join(lines[len(newer) :])
    assert ("raise the version in the recipe reef-hello" in advice) is bool(newer)
    assert ("./inv clean --what roots build-arm --target trixie/arm64 publish-apt" in advice) is bool(newer)


def test_it_says_who_built_packages_that_come_from_elsewhere(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = {
        "name": "vendor", "summary": "a vendor's", "targets": {"suites": ["trixie"], "architectures": ["arm64"]},
        "prebuilt": {"by": "the vendor", "debs": [{"file": "tool_2.0_arm64.deb", "sha256": "a" * 64}]},
    }  # fmt: skip
    vendor = PrebuiltRecipe.model_validate(document).recipe()
    both = replace(project, recipes={**project.recipes, "vendor": vendor}, log=Log())
    monkeypatch.setattr(status, "open_project", lambda **_: both)
    project.workspace.apt.mkdir(parents=True)
    stanza = b"Package: given\nMaintainer: Somebody <some@body.example>\nDescription: x\n"
    entry = IndexEntry("given", "1", "all", "pool/given_1_all.deb", 3, "b" * 64, stanza)

    def beside(_: Path, names: Collection[str]) -> list[tuple[str, IndexEntry]]:
        assert {"tool", "reef-hello"} <= set(names)
        return [("trixie", entry)] * (status.MOST_SHOWN + 2)

    monkeypatch.setattr(publication, "published_beside", beside)
    status.list_all()
    output = capsys.readouterr().out
    rows = [line.split() for line in output.splitlines()]
    assert ["vendor", "2.0", "trixie/arm64", "prebuilt", "no", "no", "a", "vendor's"] in rows
    assert "vendor: built by the vendor" in output
    assert ["given", "1", "all", "trixie", "Somebody", "<some@body.example>"] in rows
    assert rows.count(["given", "1", "all", "trixie", "Somebody", "<some@body.example>"]) == status.MOST_SHOWN
    assert "and 2 more" in output
