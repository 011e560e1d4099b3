"""Write the pages of ``docs/reference`` from the code: commands, keys of the YAML files, exit codes.

.venv/bin/python -m tools.reference
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from invoke.parser.argument import Argument

from builders.boards.api import InventoryFile
from builders.cli import app
from builders.errors import ReefError
from builders.model.recipe import PrebuiltRecipe, Recipe
from builders.model.recipe.upstream import Upstream
from builders.model.schema import json_schema
from builders.model.settings import Settings
from builders.model.yaml_file import Model

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
NOTICE = "<!-- Written by `python -m tools.reference` from {source}: change that, not this page. -->\n"
TYPES = {
    "string": "text",
    "date-time": "date and time",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
}
"""Types and formats of JSON schemas in words."""


def pages() -> dict[str, str]:
    """Return the text of every page, by its file name."""
    return {
        "commands.md": _page("Commands", "builders/cli/tasks.py", _commands()),
        "settings.md": _page("Keys of reef.yml", "builders/model/settings", _keys(Settings)),
        "recipe.md": _page("Keys of recipe.yml", "builders/model/recipe", _keys(Recipe)),
        "prebuilt.md": _page("Keys of recipe.yml with prebuilt", "builders/model/recipe", _keys(PrebuiltRecipe)),
        "upstream.md": _page("Keys of upstream.yml", "builders/model/recipe/upstream.py", _keys(Upstream)),
        "boards.md": _page("Keys of boards.yml", "builders/boards/inventory/keys.py", _keys(InventoryFile)),
        "exit-codes.md": _page("Exit codes", "builders/errors.py", _exit_codes()),
    }


def _page(title: str, source: str, blocks: Iterator[str]) -> str:
    return "\n".join([f"# {title}\n", NOTICE.format(source=source), *blocks])


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [columns, ["---"] * len(columns), *([text.replace("|", "\\|") for text in row] for row in rows)]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def _commands() -> Iterator[str]:
    yield "`./inv --help COMMAND` prints the same. Several commands on one line run in turn.\n"
    yield "Options take values as in `--target trixie/arm64`. A word in capitals is a value without an option's name.\n"
    commands = sorted(app.tasks().tasks.items(), key=lambda item: app.GROUPS.index(item[1].group))
    for group, members in groupby(commands, key=lambda item: item[1].group):
        yield f"## {group.capitalize()}\n"
        for name, command in members:
            yield f"### {name}\n"
            yield str(command.__doc__ or "").strip() + "\n"
            if arguments := command.get_arguments():
                yield _table(("option", "value", "meaning"), [_option(argument) for argument in arguments])


def _option(argument: Argument) -> tuple[str, str, str]:
    name = str(argument.name).strip("_").replace("_", "-")
    text = str(argument.help or "")
    if argument.positional and argument.kind is not list:
        return f"`{name.upper()}`", "required", text
    if argument.kind is bool:
        return (f"`--no-{name}`", "", f"do not {text}") if argument.default else (f"`--{name}`", "", text)
    if argument.kind is list:
        return f"`--{name}`", "may be repeated", text.replace("may be repeated; ", "").replace(" (may be repeated)", "")
    return f"`--{name}`", f"default `{argument.default}`" if argument.default else "", text


def _exit_codes() -> Iterator[str]:
    yield "A command that fails prints what failed, the detail and what to do. Its exit code says which kind it is.\n"
    errors = sorted(ReefError.__subclasses__(), key=lambda error: error.exit_code)
    rows = [
        ("0", "Everything went well."),
        ("1", "There is no such command or option (Invoke's own code)."),
        *((str(error.exit_code), f"{' '.join(str(error.__doc__).split())}") for error in errors),
        (str(app.INTERRUPTED), "Ctrl-C or SIGTERM interrupted the command."),
    ]
    yield _table(("code", "meaning"), rows)


def _keys(model: type[Model]) -> Iterator[str]:
    schema = json_schema(model)
    definitions = schema.get("$defs", {})
    titles = _titles(schema, definitions)
    yield _described(schema)
    yield _key_table(schema, titles)
    for name, title in titles.items():
        yield f"## {title}\n"
        yield _described(definitions[name])
        yield _key_table(definitions[name], titles)


def _described(schema: Mapping[str, Any]) -> str:
    paragraphs = str(schema.get("description", "")).split("\n\n")
    return "\n\n".join(_markdown(" ".join(paragraph.split())) for paragraph in paragraphs) + "\n"


def _titles(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, str]:
    """Return each model that keys lead to with its heading: the first of the shortest paths of keys to it."""
    paths = list(_paths(schema, definitions, ()))
    shortest: dict[str, tuple[str, ...]] = {}
    for name, path in sorted(paths, key=lambda each: len(each[1])):
        shortest.setdefault(name, path)
    kinds = {name: definitions[name]["properties"].get("kind", {}).get("const") for name in shortest}
    return {
        name: ".".join(path) + (f" of kind {kinds[name]}" if kinds[name] else "")
        for name, path in paths
        if shortest[name] == path
    }


def _paths(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], path: tuple[str, ...], above: tuple[str, ...] = ()
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each model with the keys that lead to it, depth first; ``above``: the models around it."""
    for key, value in schema.get("properties", {}).items():
        for name in _references(value):
            yield name, (*path, key)
            if name not in above:
                yield from _paths(definitions[name], definitions, (*path, key), (*above, name))


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"].rsplit("/", 1)[-1]
        for part in (part for key, part in value.items() if key != "discriminator"):
            yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)


def _key_table(schema: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    required = schema.get("required", [])
    rows = [
        (
            f"`{key}`",
            _kind(value, titles),
            "required" if key in required else _default(value),
            _markdown(str(value.get("description", ""))),
        )
        for key, value in schema["properties"].items()
    ]
    return _table(("key", "value", "default", "meaning"), rows)


def _kind(value: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """Return a value's type in words, with links to the tables of models."""
    if "$ref" in value:
        title = titles[value["$ref"].rsplit("/", 1)[-1]]
        return f"[{title}](#{slug(title)})"
    choices = value.get("anyOf") or value.get("oneOf")
    if choices:
        return " or ".join(_kind(choice, titles) for choice in choices if choice.get("type") != "null")
    if "enum" in value or "const" in value:
        return ", ".join(f"`{word}`" for word in value.get("enum", [value.get("const")]))
    if "items" in value:
        return f"list of {_kind(value['items'], titles)}"
    if value["type"] == "object":
        named: list[Any] = [value.get("additionalProperties"), *value.get("patternProperties", {}).values()]
        return f"mapping to {' or '.join(_kind(inner, titles) for inner in named if inner)}"
    return TYPES[value.get("format", value["type"])]


def _default(value: Mapping[str, Any]) -> str:
    default = value.get("default")
    if default in (None, "", [], {}) or isinstance(default, dict):
        return ""
    words = default if isinstance(default, list) else [default]
    return ", ".join(f"`{str(word).lower() if isinstance(word, bool) else word}`" for word in words)


def _markdown(text: str) -> str:
    return re.sub(r"``(.+?)``", r"`\1`", text)


def slug(heading: str) -> str:
    """Return the anchor that GitHub and GitLab give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(FOLDER / name)


if __name__ == "__main__":
    main()
