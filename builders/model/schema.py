"""The JSON schema of a YAML file's model, with the docstrings of its keys as descriptions."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from builders.model.yaml_file import Model

Schema = dict[str, Any]


def json_schema(model: type[Model]) -> Schema:
    """Return the JSON schema of ``model``; each key with a docstring has a ``description``."""
    schema = model.model_json_schema()
    parts = {**schema.get("$defs", {}), model.__name__: schema}
    for part in models(model):
        properties = parts[part.__name__]["properties"]
        for key, text in key_texts(part).items():
            properties[key]["description"] = text
    return schema


def either_schema(key: str, model: type[Model], other: type[Model]) -> Schema:
    """Return the JSON schema of a file that is a ``model`` if it has ``key``, else the ``other``."""
    parts = {kind.__name__: json_schema(kind) for kind in (other, model)}
    inner = {name: part for schema in parts.values() for name, part in schema.pop("$defs", {}).items()}
    refer = {name: {"$ref": f"#/$defs/{name}"} for name in parts}
    return {
        "$defs": {**inner, **parts},
        "if": {"required": [key]},
        "then": refer[model.__name__],
        "else": refer[other.__name__],
    }


def models(model: type[Model]) -> list[type[Model]]:
    """Return ``model`` and every model that its keys lead to, each once, in the order of the keys."""
    found = [model]
    for current in found:
        for field in current.model_fields.values():
            found += [part for part in _models_in(field.annotation) if part not in found]
    return found


def _models_in(annotation: Any) -> Iterator[type[Model]]:
    if get_origin(annotation) is None and isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def key_texts(model: type[Model]) -> dict[str, str]:
    """Return the docstring of each key of ``model`` and its bases, each paragraph as one line."""
    texts: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, Model) and base is not Model:
            texts |= _texts_of(base)
    return {key: texts[key] for key in model.model_fields if key in texts}


def _texts_of(model: type[Model]) -> dict[str, str]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(definition, ast.ClassDef)
    texts = {}
    for key, below in zip(definition.body, definition.body[1:], strict=False):
        match key, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                texts[name] = "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    return texts
