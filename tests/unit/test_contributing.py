"""The files that contributors look for agree with each other and with the tools."""

import re
import tomllib
from typing import Any

import pytest
import yaml

import tasks
from builders import __version__
from builders.cli import maintenance
from tests.support.checkout import CHECKOUT

PROJECT: dict[str, Any] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))


def normalized(name: str) -> str:
    """Return a Python package's name as pip compares it, without extras and versions."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~ ]", name)[0]).lower()


def test_pre_commit_runs_the_tools_of_check(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[str] = []
    monkeypatch.setattr(
        maintenance, "run_tools", lambda *tools: commands.extend(" ".join(tool) for tool in tools), raising=True
    )
    tasks.check.body(None)
    (repository,) = yaml.safe_load((CHECKOUT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert repository["repo"] == "local"
    assert {hook["language"] for hook in repository["hooks"]} == {"system"}
    assert [hook["entry"].removeprefix(".venv/bin/") for hook in repository["hooks"]] == commands


def test_every_requirement_is_locked_and_bounded() -> None:
    lines = (CHECKOUT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    locked = dict(line.split("==") for line in lines if not line.startswith("#"))
    names = {normalized(name) for name in locked}
    wishes = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["test"]]
    assert [wish for wish in wishes if normalized(wish) not in names] == []
    assert [wish for wish in wishes if not re.search(r">=[\d.]+,<\d+$", wish)] == []
    assert all(version and not {"<", ">", " "} & set(version) for version in locked.values())
    (builder,) = PROJECT["build-system"]["requires"]
    assert re.fullmatch(r"setuptools==[\d.]+", builder)


def test_the_license_is_whole() -> None:
    text = (CHECKOUT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert all(f"\n   {number}. " in text for number in range(1, 10))
    assert "END OF TERMS AND CONDITIONS" in text
    assert text.rstrip().endswith("limitations under the License.")


def test_the_changelog_begins_with_this_version() -> None:
    headings = re.findall(r"^## (.*)$", (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert re.fullmatch(
        rf"\[Unreleased\] \({re.escape(__version__)}\)|\[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d", headings[0]
    )
