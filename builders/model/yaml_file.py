"""Typed YAML files: each fault is reported with file, line and the nearest legal key."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import pydantic
import yaml

from builders.errors import InputError, nearest

ModelType = TypeVar("ModelType", bound="Model")
OtherType = TypeVar("OtherType", bound="Model")
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's loader if PyYAML was built with it, as its wheels and Debian's package are: several times faster."""
FILL_IN = "FILL-IN"
"""The text of a value that the author of a new recipe must write."""
SCHEMA = "Reef's docs/reference lists the legal keys; ./inv schema writes them for editors"


CONTROL = re.compile(r"[\0-\x08\n-\x1f\x7f-\x9f\u2028\u2029]")
"""Characters that end a line, or that no text contains."""


def _one_line(text: str) -> str:
    if not text.strip() or CONTROL.search(text):
        raise ValueError(f"{text!r}: expected a text on one line, without control characters")
    return text


def _stays_inside(path: str) -> str:
    if not path or path.startswith("/") or ".." in path.split("/"):
        raise ValueError("expected a relative path without '..'")
    return _one_line(path)


Line = Annotated[str, pydantic.AfterValidator(_one_line)]
RelativePath = Annotated[str, pydantic.AfterValidator(_stays_inside)]


def duplicates(names: Iterable[str]) -> list[str]:
    """Return the names that occur more than once, sorted."""
    return sorted(name for name, count in Counter(names).items() if count > 1)


class FaultyPart(ValueError):
    """A fault that a validator of the whole model finds in a part of it, which ``place`` leads to."""

    def __init__(self, place: tuple[int | str, ...], text: str) -> None:
        super().__init__(text)
        self.place = place


@dataclass(frozen=True)
class Fault:
    """A fault of a valid model: ``place`` leads from the model to the faulty part."""

    place: tuple[int | str, ...]
    text: str


class Model(pydantic.BaseModel):
    """The base of everything read from YAML: frozen, and an unknown key is an error."""

    # Built at their first use: of most models a run uses none, and the inner ones are parts of the outer one.
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, defer_build=True)


EXPECTED = {
    "string_type": "expected a text; put it in quotes",
    "model_type": "expected a mapping of keys to values",
    "dict_type": "expected a mapping of keys to values",
    "list_type": "expected a list",
    "tuple_type": "expected a list",
}
"""Faults by pydantic's names, in the words of YAML."""
WORD = re.compile(r"'([^']*)'")
"""A legal value in pydantic's list of them."""


def load(path: Path, model: type[ModelType], *, empty: bool = False) -> ModelType:
    """Return the YAML file at ``path`` as a ``model``; ``empty`` also accepts a file without any key.

    Raises InputError with ``path:line`` for each fault: bad YAML, unknown or missing keys, wrong types.
    """
    node, data = _read(path)
    if data is None and empty:
        data = {}
    return _validated(path, node, data, model)


def load_either(
    path: Path,
    key: str,
    model: type[ModelType],
    other: type[OtherType],
    judge: Callable[[OtherType], Iterable[Fault]],
) -> ModelType | OtherType:
    """Return the YAML file at ``path`` as a ``model`` if it has ``key``, else as the ``other``; raises as `load`.

    ``judge`` yields the faults of the ``other`` if it is valid otherwise; they are errors too.
    """
    node, data = _read(path)
    if isinstance(data, dict) and key in data:
        return _validated(path, node, data, model)
    return _judged(path, node, _validated(path, node, data, other), judge)


def load_judged(path: Path, model: type[ModelType], judge: Callable[[ModelType], Iterable[Fault]]) -> ModelType:
    """Return the YAML file at ``path`` as a ``model``; raises as `load`, also for the faults that ``judge`` yields."""
    node, data = _read(path)
    return _judged(path, node, _validated(path, node, data, model), judge)


def _judged(
    path: Path, node: yaml.Node | None, made: ModelType, judge: Callable[[ModelType], Iterable[Fault]]
) -> ModelType:  # fmt: skip
    if faults := list(judge(made)):
        raise InputError(
            f"{path} is not valid",
            "\n".join(f"{path}:{_line(node, fault.place)}: {_dotted(fault.place)}: {fault.text}" for fault in faults),
            SCHEMA,
        )
    return made


def _read(path: Path) -> tuple[yaml.Node | None, Any]:
    """Return a YAML file as nodes and as plain values; raises InputError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"no such file: {path}", fix="create it, or correct the path") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}", str(error), "make it a readable file in UTF-8") from error
    try:
        node, data = _parse(text)
        duplicate = _duplicate_key(node)
        unfilled = _fill_ins(node) if FILL_IN in text else []
    except ValueError as error:
        raise InputError(f"{path} is not valid", f"a date: {error}", "correct the date") from error
    except RecursionError as error:
        raise InputError(
            f"{path} is not valid YAML",
            "its nesting is too deep, or an alias is a part of itself",
            "write the values without aliases",
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or str(error)
        raise InputError(f"{path}:{line}: not valid YAML", problem, "correct this line or those before it") from error
    if duplicate:
        line = duplicate.start_mark.line + 1
        raise InputError(f"{path}:{line}: duplicate key {duplicate.value!r}", fix="remove one of the two")
    _require_filled(path, unfilled)
    return node, data


def _validated(path: Path, node: yaml.Node | None, data: Any, model: type[ModelType]) -> ModelType:
    if not isinstance(data, dict):
        raise InputError(f"{path}:1: expected a mapping of keys to values", fix=SCHEMA)
    try:
        return model.model_validate(data)
    except pydantic.ValidationError as error:
        raise InputError(
            f"{path} is not valid",
            "\n".join(_fault(path, node, model, fault) for fault in error.errors()),
            SCHEMA,
        ) from error


def _parse(text: str) -> tuple[yaml.Node | None, Any]:
    """Return a YAML document as nodes, which know their lines, and as plain values."""
    loader = LOADER(text)
    try:
        node = loader.get_single_node()
        return node, None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _fault(path: Path, node: yaml.Node | None, model: type[Model], fault: Any) -> str:
    location: tuple[int | str, ...] = fault["loc"]
    context = fault.get("ctx", {})
    if isinstance(error := context.get("error"), FaultyPart):
        location += error.place
    line = _line(node, location)
    dotted = _dotted(location)
    if fault["type"] == "extra_forbidden":
        known = _keys_at(model, location[:-1])
        hint = f"; {nearest(str(location[-1]), known)}" if known else ""
        return f"{path}:{line}: unknown key {dotted!r}{hint}"
    if fault["type"] == "missing":
        return f"{path}:{line}: missing key {dotted!r}"
    message = EXPECTED.get(fault["type"], fault["msg"].removeprefix("Value error, "))
    words = WORD.findall(context["expected"]) if fault["type"] == "literal_error" else []
    if words and isinstance(fault["input"], str):
        message = f"unknown value {fault['input']!r}; {nearest(fault['input'], words)}"
    return f"{path}:{line}: {dotted}: {message}" if dotted else f"{path}: {message}"


def _fill_ins(node: yaml.Node | None, key: str = "") -> list[tuple[int, str]]:
    """Return the line and the key of each value that is left to fill in."""
    if isinstance(node, yaml.ScalarNode):
        return [(node.start_mark.line + 1, key)] if node.value == FILL_IN else []
    pairs: list[tuple[str, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        pairs = [(name.value, child) for name, child in node.value]
    elif isinstance(node, yaml.SequenceNode):
        pairs = [(key, child) for child in node.value]
    return [found for name, child in pairs for found in _fill_ins(child, name)]


def _require_filled(path: Path, unfilled: Sequence[tuple[int, str]]) -> None:
    if unfilled:
        where = "\n".join(f"{path}:{line}: {key}" for line, key in unfilled)
        raise InputError(f"{path}: something is left to fill in", where, f"write it in place of {FILL_IN}")


def _dotted(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)


def _duplicate_key(node: yaml.Node | None) -> yaml.Node | None:
    """Return the second node of a duplicate key: YAML forbids it, but PyYAML uses the last value."""
    if isinstance(node, yaml.SequenceNode):
        return next(filter(None, map(_duplicate_key, node.value)), None)
    if not isinstance(node, yaml.MappingNode):
        return None
    seen: set[str] = set()
    for key, value in node.value:
        if key.value in seen:
            return key  # type: ignore[no-any-return]  # PyYAML's stubs leave the pairs untyped
        seen.add(key.value)
        if found := _duplicate_key(value):
            return found
    return None


def _line(node: yaml.Node | None, location: tuple[int | str, ...]) -> int:
    """Return the line (from 1) of the deepest part of ``location`` in the file."""
    line = node.start_mark.line + 1 if node else 1
    for part in location:
        found = _child(node, part)
        if found is None:
            continue  # a part of the model only, such as the name of a union's member
        key, node = found
        line = key.start_mark.line + 1
    return line


def _child(node: yaml.Node | None, part: int | str) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None


def _keys_at(model: type[Model], location: tuple[int | str, ...]) -> list[str]:
    """Return the legal keys of the mapping at ``location``, read from the model's JSON schema."""
    schema = model.model_json_schema()
    here: Any = schema
    for part in location:
        here = _resolved(here, schema)
        if isinstance(part, int):
            here = here.get("items", {})
        else:
            extra = here.get("additionalProperties")
            here = here.get("properties", {}).get(part, extra if isinstance(extra, dict) else {})
    return list(_resolved(here, schema).get("properties", {}))


def _resolved(part: Any, schema: Any) -> Any:
    for choice in part.get("anyOf", []):
        if choice.get("type") != "null":
            part = choice
            break
    if "$ref" in part:
        return schema["$defs"][part["$ref"].rsplit("/", 1)[-1]]
    return part
