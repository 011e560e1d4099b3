"""Templates, and the compiled ones that are kept beside them."""

import sys
from pathlib import Path
from typing import Any

import jinja2
import pytest

from builders.host import templates


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (tmp_path / "greeting.j2").write_text("Hello {{ name }}\n")
    return tmp_path


def rendered(folder: Path, **options: Any) -> str:
    return templates.environment(folder, **options).get_template("greeting.j2").render(name="reef")


def compiled(folder: Path) -> list[Path]:
    return sorted((folder / "__pycache__").glob("*.jinja2c"))


def without_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jinja2.Environment, "_compile", lambda *_: pytest.fail("a template was compiled"))


def test_a_template_is_compiled_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rendered(folder) == "Hello reef\n"
    without_compiler(monkeypatch)
    assert rendered(folder) == "Hello reef\n"


def test_a_changed_template_is_compiled_again(folder: Path) -> None:
    rendered(folder)
    (folder / "greeting.j2").write_text("Goodbye {{ name }}\n")
    assert rendered(folder) == "Goodbye reef\n"


def test_other_delimiters_have_compiled_templates_of_their_own(folder: Path) -> None:
    assert rendered(folder, variable_start_string="[[", variable_end_string="]]") == "Hello {{ name }}\n"
    assert rendered(folder) == "Hello reef\n"
    assert len(compiled(folder)) == 2


def test_a_broken_compiled_template_is_made_again(folder: Path) -> None:
    rendered(folder)
    [path] = compiled(folder)
    whole = path.read_bytes()
    for content in (b"", whole[:-20]):
        path.write_bytes(content)
        assert rendered(folder) == "Hello reef\n"
        assert path.read_bytes() == whole


def test_a_folder_that_cannot_be_written_keeps_none(folder: Path) -> None:
    (folder / "__pycache__").write_text("no folder\n")
    assert rendered(folder) == "Hello reef\n"


def test_who_wants_no_bytecode_gets_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert rendered(folder) == "Hello reef\n"
    assert not (folder / "__pycache__").exists()
