"""The guard of the user's published repository, and the project that the acceptance test works in instead."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from builders.cli import app
from builders.host.log import Log
from builders.pipeline.planning.selection import select
from builders.pipeline.project import Project
from tests.support.checkout import CHECKOUT, NOWHERE, project_like

INVOKE = Path(sys.executable).with_name("invoke")


def test_a_command_line_without_a_project_of_its_own_finds_none() -> None:
    assert str(app.find_project()) == NOWHERE
    done = subprocess.run(
        [str(INVOKE), "--search-root", str(CHECKOUT), "list"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, done.stdout
    assert f"no such folder: {NOWHERE}" in done.stderr


def test_the_acceptance_tests_project_shares_builds_and_publishes_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the user's own settings say: a key, a web server, artifacts on another disk, other targets."""
    checkout, folder = tmp_path / "checkout", tmp_path / "project"
    checkout.mkdir()
    (checkout / "recipes").symlink_to(CHECKOUT / "recipes")
    settings = {
        "maintainer": "Me <me@example.org>",
        "artifacts": str(checkout / "artifacts"),
        "targets": ["trixie/armhf"],
        "signing": {"home": str(checkout / "key")},
        "repository": {"origin": "Mine", "upload": [{"name": "web", "kind": "folder", "path": "/srv/apt"}]},
    }
    (checkout / "reef.yml").write_text(yaml.safe_dump(settings))
    monkeypatch.setattr("tests.support.checkout.CACHE", tmp_path / "cache")
    apt = project_like(checkout, folder)
    assert (folder / "artifacts" / "cache").resolve() == tmp_path / "cache"
    mine, theirs = (Project.open(one, Log(quiet=True)) for one in (folder, checkout))
    assert mine.workspace.apt == apt
    assert not apt.resolve().is_relative_to(checkout)
    assert mine.settings.repository.upload == []
    assert mine.settings.signing.home is None
    target = "trixie/arm64"
    for ours, other in zip(select(mine, [], [target]), select(theirs, [], [target]), strict=True):
        assert ours.fingerprint == other.fingerprint
        assert mine.workspace.build(*ours.key).resolve() == theirs.workspace.build(*other.key).resolve()
    assert {str(each.target) for each in select(mine, [], [])} == {target}
