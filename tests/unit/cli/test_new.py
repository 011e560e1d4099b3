"""The command that writes a recipe: what it says, and that no other recipe keeps it from its work."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from builders.cli import new as command
from builders.errors import BuildError, HostError, InputError, ReefError
from builders.maintenance.new_recipe import Written
from builders.maintenance.new_recipe.discovered import Discovered, Rights
from builders.maintenance.new_recipe.proposal import Proposal, draft
from builders.maintenance.new_recipe.writer import NewRecipe
from builders.model.target import parse_target
from tests.support.checkout import CHECKOUT

Writes = Callable[..., None]


@pytest.fixture
def writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Writes:
    """Lets ``new_recipe`` return a recipe; the project has another one that cannot be read."""
    (tmp_path / "recipes" / "other").mkdir(parents=True)
    (tmp_path / "recipes" / "other" / "recipe.yml").write_text("name: other\nlicense: FILL-IN\n")
    (tmp_path / "reef.yml").touch()
    monkeypatch.setenv("REEF_FOLDER", str(tmp_path))

    def write(license_: str, failure: ReefError | None = None) -> None:
        facts = Discovered(version="1", summary="a greeting", rights=Rights(license_), system="make")
        recipe = NewRecipe(
            "greet", facts, Proposal((draft("greet", facts),)), [parse_target("trixie/arm64")], datetime.now(UTC)
        )
        made = Written(tmp_path / "recipes" / "greet", recipe, failure, skipped=not license_)
        monkeypatch.setattr(command, "new_recipe", lambda *_, **__: made)

    return write


def test_the_packages_and_the_next_command_are_shown(writes: Writes, capsys: pytest.CaptureFixture[str]) -> None:
    writes("MIT")
    command.new("greet", "WHAT", [], build=True)
    said = capsys.readouterr().out
    assert "  package greet: a greeting\n" in said
    assert said.endswith("next: ./inv build-arm --recipe greet publish-apt\n")


def test_a_maintainer_that_nobody_set_is_left_to_fill_in(
    writes: Writes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writes("MIT")
    command.new("greet", "WHAT", [], build=True)
    assert "left to fill in: maintainer: in reef.yml; packages name Reef <packages@" in capsys.readouterr().out
    (tmp_path / "reef.yml").write_text("maintainer: A Lab <lab@example.org>\n")
    command.new("greet", "WHAT", [], build=True)
    assert "left to fill in" not in capsys.readouterr().out


def test_what_is_left_to_fill_in_is_shown(writes: Writes, capsys: pytest.CaptureFixture[str]) -> None:
    writes("")
    command.new("greet", "WHAT", [], build=True)
    said = capsys.readouterr().out
    assert "left to fill in: line 6: license: FILL-IN" in said
    assert "no first build, as something is left to fill in" in said
    assert said.endswith("recipe.yml, then: ./inv build-arm --recipe greet publish-apt\n")


def test_a_recipe_in_reefs_own_checkout_is_warned_of(
    writes: Writes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    writes("MIT")
    command.new("greet", "WHAT", [], build=True)
    assert "own checkout" not in capsys.readouterr().out
    monkeypatch.setenv("REEF_FOLDER", str(CHECKOUT))
    command.new("greet", "WHAT", [], build=True)
    assert "recipes is in Reef's own checkout" in capsys.readouterr().out


def test_a_first_build_that_failed_is_an_error_after_the_recipe_is_written(
    writes: Writes, capsys: pytest.CaptureFixture[str]
) -> None:
    writes("MIT", BuildError("the build failed", "no rule"))
    with pytest.raises(BuildError, match="the build failed") as caught:
        command.new("greet", "WHAT", [], build=True)
    assert caught.value.fix.endswith("then: ./inv build-arm --recipe greet")
    assert "wrote: " in capsys.readouterr().out


def test_a_first_build_that_the_machine_refused_says_how_to_correct_the_machine(writes: Writes) -> None:
    writes("MIT", HostError("no user namespaces", fix="run doctor"))
    with pytest.raises(HostError) as caught:
        command.new("greet", "WHAT", [], build=True)
    assert caught.value.fix == "run doctor, then: ./inv build-arm --recipe greet"


def test_a_source_is_asked_for() -> None:
    with pytest.raises(InputError, match="--source is missing"):
        command.new("greet", None, [], build=True)
    with pytest.raises(InputError, match="exclude each other"):
        command.new("greet", "x", ["y"], build=True)
