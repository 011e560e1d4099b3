"""The documentation: generated pages are current, links lead somewhere, and the README is an overview."""

import re
import tomllib
from pathlib import Path

import pytest
from invoke.parser.argument import Argument

from builders.boards.api import load_inventory
from builders.cli import app
from builders.model.recipe import load_recipe
from builders.model.settings import load_settings
from tests.support.checkout import CHECKOUT
from tools import reference

PAGES = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md")])
THE_READERS_OWN = {
    "recipes/greet-board/recipe.yml",
    "recipes/greet-board/source/greet.c",
    "recipes/board-name/recipe.yml",
    "recipes/board-name/source/board-name.c",
    "recipes/board-name/checks/name.sh",
}
"""Files that a page lets its reader write."""


def text_of(page: Path) -> str:
    """Return a page without its blocks of code, in which a hash begins a comment and brackets are no links."""
    return re.sub(r"^```[\s\S]*?^```$|^ {4}.*$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {reference.slug(re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)) for heading in headings}


def broken_links(page: Path) -> list[str]:
    """Return the relative links of a page that lead to no file, or to no heading of it."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        path, _, anchor = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_the_paths_that_pages_name_exist() -> None:
    roots = "builders|dockerfiles|docs|recipes|tests|tools|ci"
    named = {
        (str(page.relative_to(CHECKOUT)), path)
        for page in PAGES
        for path in re.findall(rf"`((?:{roots})/[\w./-]+)`", text_of(page))
        if path not in THE_READERS_OWN
    }
    assert len(named) > 20
    assert [f"{page}: {path}" for page, path in sorted(named) if not (CHECKOUT / path).exists()] == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page, other = tmp_path / "page.md", tmp_path / "other.md"
    other.write_text("# A heading, with `code`\n")
    page.write_text(
        "[good](other.md#a-heading-with-code) [gone](gone.md) [no heading](other.md#b) [none here](#c)\n"
        "    # c\n[web](https://example.org/#d)\n"
    )
    assert broken_links(page) == ["gone.md", "other.md#b", "#c"]


@pytest.mark.parametrize(("name", "text"), reference.pages().items(), ids=list(reference.pages()))
def test_generated_pages_are_current(name: str, text: str) -> None:
    page = reference.FOLDER / name
    assert page.read_text(encoding="utf-8") == text, "run: .venv/bin/python -m tools.reference"


def unknown_words(line: str) -> list[str]:
    """Return the commands and options of a command line, behind ``inv``, that Reef does not have."""
    commands, options = app.tasks().tasks, {"--list", "--version", "--help"}
    first, *following = line.split()
    unknown = [] if first in commands or first.startswith("--") else [first]
    for word in (first, *following):
        if word in commands:
            options = {flag for argument in commands[word].get_arguments() for flag in flags(argument)}
        elif word.startswith("--") and word.partition("=")[0] not in options:
            unknown.append(word)
    return unknown


def flags(argument: Argument) -> set[str]:
    name = str(argument.name).strip("_").replace("_", "-")
    return {f"--{name}", f"--no-{name}"} if argument.kind is bool else {f"--{name}"}


def test_pages_name_commands_and_options_that_exist() -> None:
    found = {
        (str(page.relative_to(CHECKOUT)), line)
        for page in PAGES
        for line in re.findall(r"\binv ([a-z-][^`#\n|,;…]*)", page.read_text(encoding="utf-8"))
        if "COMMAND" not in line
    }
    assert len(found) > 60
    assert [f"{page}: {line}" for page, line in sorted(found) if unknown_words(line)] == []
    assert unknown_words("build-arm --recipe x --bogus y publish-apt --offline") == ["--bogus", "--offline"]
    assert unknown_words("build-everything") == ["build-everything"]


def test_every_command_is_in_the_reference() -> None:
    page = (reference.FOLDER / "commands.md").read_text(encoding="utf-8")
    commands = re.findall(r"^### ([a-z-]+)$", page, re.MULTILINE)
    assert {"build-arm", "publish-apt", "test", "list"} <= set(commands)
    assert "| `--time-box` |" in page
    assert "inspect" not in page


def test_the_readme_is_an_overview() -> None:
    assert len((CHECKOUT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_the_architecture_shows_who_may_import_whom() -> None:
    layers = tomllib.loads((CHECKOUT / "builders" / "layers.toml").read_text(encoding="utf-8"))["may_import"]
    page = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)(?:/|\.py)` \| ([\w, ]+) \|", page.split("## Other folders")[0], re.MULTILINE)
    assert {name: [] if imports == "nothing" else imports.split(", ") for name, imports in rows} == layers


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md"])
def test_the_recipes_of_the_documentation_are_valid(tmp_path: Path, page: str) -> None:
    blocks = re.findall(
        r"^```(\w+)\n(.*?)^```", (CHECKOUT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    recipes = [text for kind, text in blocks if kind == "yaml" and text.startswith("name:")]
    assert recipes
    for text in recipes:
        folder = tmp_path / re.findall(r"^name: (.*)$", text, re.MULTILINE)[0]
        (folder / "checks").mkdir(parents=True)
        (folder / "recipe.yml").write_text(text)
        (folder / "checks" / "name.sh").touch()
        recipe = load_recipe(folder)
        assert [package.name for package in recipe.packages] == [recipe.name]


def test_the_settings_of_the_documentation_are_valid(tmp_path: Path) -> None:
    found = 0
    for page in PAGES:
        for text in re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            if text.startswith("all:"):
                (tmp_path / "boards.yml").write_text(text)
                load_inventory(tmp_path)
            elif not text.startswith(("name:", "changelog:")):
                (tmp_path / "reef.yml").write_text(text)
                load_settings(tmp_path)
                found += 1
    assert found > 5
