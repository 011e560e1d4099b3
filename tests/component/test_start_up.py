"""What the commands that people run most import, in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from builders.pipeline.project import Project
from tests.support.up_to_date import up_to_date_project

COMMAND = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); " \
    "from builders.cli.app import main; main()"  # fmt: skip
NEVER = {
    "boto3", "cyclonedx", "debian", "docker", "elftools", "http.client", "psutil", "requests", "rich", "urllib3",
    "builders.apt.api", "builders.checks.install", "builders.checks.static", "builders.engines.buildx.engine",
    "builders.engines.chroot.engine", "builders.maintenance.debian_index", "builders.pipeline.publish",
    "builders.pipeline.reproduce", "builders.sources.fetch_tree",
}  # fmt: skip
"""Modules that a run with nothing to do has no use for."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return up_to_date_project(tmp_path)


def loaded(project: Project, *words: str) -> tuple[str, set[str]]:
    """Run a command; return what it prints and the modules that it imported."""
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *words],
        env=os.environ | {"REEF_FOLDER": str(project.folder)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout, set(done.stderr.split())


def test_list_imports_only_what_it_uses(project: Project) -> None:
    said, modules = loaded(project, "list")
    assert "yes" in said
    assert modules & (NEVER | {"builders.pipeline.build", "filelock"}) == set()


def test_an_up_to_date_build_imports_only_what_it_uses(project: Project) -> None:
    said, modules = loaded(project, "build-arm")
    assert "up to date" in said
    assert modules & NEVER == set()


def test_the_list_of_commands_imports_no_command(project: Project) -> None:
    _, modules = loaded(project, "--list")
    assert {name for name in modules if name.startswith("builders.")} == {
        "builders.cli", "builders.cli.app", "builders.cli.board_tasks", "builders.cli.command_line",
        "builders.cli.tasks", "builders.errors", "builders.host", "builders.host.command", "builders.host.surroundings",
    }  # fmt: skip
    assert modules & (NEVER | {"pydantic", "jinja2"}) == set()
