"""The commands of the repository in a project without a recipe, or with one that is not finished."""

from collections.abc import Callable
from pathlib import Path

import pytest

from builders.cli import maintenance, repository
from builders.errors import ReefError

COMMANDS: dict[str, tuple[Callable[[], None], str]] = {
    "phase": (lambda: repository.phase("trixie", "greet", 50), "the suite trixie is not published"),
    "prune": (lambda: repository.prune(plan=True), "would go: 0 publications"),
    "rollback": (lambda: repository.rollback("trixie", None), "the suite trixie is not published"),
    "serve-apt": (
        lambda: repository.serve_apt(host="127.0.0.1", port=0, certificate=None, key=None), "nothing is published yet",
    ),
    "shell": (lambda: maintenance.enter_shell(None), "no root of a failed job is kept"),
    "snapshots": (lambda: repository.snapshots(None), "nothing is published yet"),
    "upload-apt": (lambda: repository.upload_apt([], plan=True), "no destination to upload to"),
    "verify-apt": (lambda: repository.verify_apt(None, roots=False), "nothing is published yet"),
}  # fmt: skip
"""Each command, and what it says first where nothing is published."""


def said(command: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> str:
    """Return what a command says where nothing is published, as an error or not."""
    try:
        command()
    except ReefError as error:
        return f"{error.what} {error.detail} {error.fix}"
    return capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("recipe", ["", "name: other\nlicense: FILL-IN\n"])
def test_recipes_do_not_matter(
    name: str, recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "reef.yml").write_text("maintainer: A Lab <lab@example.org>\n")
    if recipe:
        (tmp_path / "recipes" / "other").mkdir(parents=True)
        (tmp_path / "recipes" / "other" / "recipe.yml").write_text(recipe)
    monkeypatch.setenv("REEF_FOLDER", str(tmp_path))
    command, expected = COMMANDS[name]
    assert said(command, capsys).startswith(expected)


def test_promote_needs_no_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "reef.yml").write_text("maintainer: A Lab <lab@example.org>\n")
    monkeypatch.setenv("REEF_FOLDER", str(tmp_path))
    with pytest.raises(ReefError, match="the suite trixie is not published"):
        repository.promote("trixie", "trixie-testing", [])
