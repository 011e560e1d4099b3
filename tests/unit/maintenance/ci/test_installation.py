"""What the jobs of a pipeline install Reef from."""

import importlib.metadata
import json
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from builders.cli.ci import files
from builders.errors import InputError
from builders.maintenance.ci.installation import Installation, installation
from tests.support.pipelines import three_recipes

WHEEL = "reef-1.0-py3-none-any.whl"
COMMIT = "0123456789012345678901234567890123456789"


def installed_from(monkeypatch: pytest.MonkeyPatch, **origin: object) -> None:
    """Let pip's record of this Reef name its origin (PEP 610); without one it came from an index."""
    text = json.dumps(origin) if origin else None
    monkeypatch.setattr(
        importlib.metadata, "distribution", lambda _: SimpleNamespace(read_text=lambda _: text)
    )  # fmt: skip


def test_a_repository_with_reef_uses_its_own_inv(tmp_path: Path) -> None:
    (tmp_path / "inv").touch()
    assert installation(tmp_path, None) == Installation("./inv", "")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / WHEEL).touch()
    assert installation(tmp_path, f"./tools/{WHEEL}") == Installation("reef", f"./tools/{WHEEL}")
    assert installation(tmp_path, f"reef @ https://example.org/{WHEEL}").requirement


def test_another_repository_uses_the_commit_that_is_installed_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git = {"vcs": "git", "commit_id": COMMIT}
    installed_from(monkeypatch, url="https://example.org/reef", vcs_info=git)
    assert installation(tmp_path, None).requirement == f"'reef @ git+https://example.org/reef@{COMMIT}'"
    installed_from(monkeypatch, url="file:///home/ada/reef", vcs_info=git)
    with pytest.raises(InputError, match="need to know what to install Reef from"):
        installation(tmp_path, None)


@pytest.mark.parametrize("origin", [{}, {"url": "file:///home/ada/reef", "dir_info": {"editable": True}}])
def test_without_an_origin_the_requirement_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: dict[str, object]
) -> None:
    installed_from(monkeypatch, **origin)
    with pytest.raises(InputError, match="need to know what to install Reef from") as caught:
        installation(tmp_path, None)
    assert "--reef" in caught.value.fix


@pytest.mark.parametrize("wrong", ["a\nb", "${{ secrets.X }}", "--index-url=x"])
def test_a_wrong_requirement_is_refused(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(InputError, match="not a requirement"):
        installation(tmp_path, wrong)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ("reef", "the name of a package alone"),
        ("reef==1", "the name of a package alone"),
        ("reef[x] >= 1; python_version > '3'", "the name of a package alone"),
        (f"./tools/{WHEEL}", "no such file"),
        (WHEEL, "no such file"),
        (f"/opt/{WHEEL}", "a path of this machine"),
        (f"~/{WHEEL}", "a path of this machine"),
        (f"file:///opt/{WHEEL}", "a path of this machine"),
        (f"reef @ file:///opt/{WHEEL}", "a path of this machine"),
        ("git+file:///opt/reef@1", "a path of this machine"),
        ("../reef", "a path outside the repository"),
        ("./reef.whl", "not the name of a wheel"),
    ],
)
def test_what_jobs_cannot_reach_is_refused(tmp_path: Path, given: str, what: str) -> None:
    (tmp_path / "reef.whl").touch()
    with pytest.raises(InputError, match=what) as caught:
        installation(tmp_path, given)
    assert "--reef" in caught.value.fix


def test_a_requirement_without_a_commit_is_warned_of() -> None:
    place = "git+https://example.org/reef"
    for moving in (place, f"{place}@main", f"reef @ {place}@v1", "git+ssh://git@example.org/reef"):
        assert "names no commit" in Installation("reef", shlex.quote(moving)).warning
    for fixed in (f"{place}@{COMMIT}", f"reef @ {place}@{COMMIT}#subdirectory=x", "./reef-1-py3-none-any.whl", ""):
        assert Installation("reef", shlex.quote(fixed)).warning == ""


def test_an_installed_reef_is_what_every_job_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = three_recipes(tmp_path)
    monkeypatch.setattr("builders.cli.ci.open_project", lambda: project)
    for _ in range(2):  # a file that was written this way is written again
        files([], [], install=None, branch="main", check=False, reef="reef @ git+https://example.org/reef@1")
    files([], [], install=None, branch="main", check=True)
    for name, jobs in (("github-actions.yml", 3), ("gitlab-ci.yml", 1)):
        text = (project.folder / "ci" / name).read_text()
        assert text.startswith("# Written by reef ci-files")
        assert "./inv" not in text
        assert " --reef 'reef @ git+https://example.org/reef@1'\n" in text
        assert text.count("pip install --quiet 'reef @ git+https://example.org/reef@1'\n") == jobs
