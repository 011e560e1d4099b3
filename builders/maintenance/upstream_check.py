"""Comparing the facts that recipes rely on (``upstream.yml``) with upstream's sources."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from builders import sources
from builders.errors import InputError, SourceError
from builders.model.context import Context
from builders.model.recipe import Edit, Recipe, recipe_named
from builders.model.recipe.upstream import Flag, Sight, Text, load_upstream
from builders.pipeline.project import Project


@dataclass(frozen=True)
class Rechecked:
    """The comparison of a recipe's source: the number of facts, and those that no longer hold.

    ``unreachable`` is the reason if the source is not available.
    """

    recipe: str
    source: str
    compared: int
    faults: tuple[str, ...] = ()
    unreachable: str = ""


def recheck(
    project: Project, names: list[str], folders: Mapping[str, Path], *, offline: bool = False
) -> list[Rechecked]:
    """Compare the facts that the named recipes (by default all) rely on with their unedited sources.

    A source is taken from ``folders`` (by its name), or fetched as for a build. Sources that Bazel fetches are only
    compared if they are in ``folders``. Raises InputError for an unknown recipe, a recipe without an ``upstream.yml``,
    and a folder for a source of no recipe.
    """
    chosen = {name: load_upstream(recipe_named(project.recipes, name)) for name in names or project.recipes}
    if lacking := [name for name, upstream in chosen.items() if names and upstream is None]:
        raise InputError(
            f"nothing to compare: {', '.join(lacking)} has no upstream.yml", fix="name a recipe with an upstream.yml"
        )
    found = {name: upstream for name, upstream in chosen.items() if upstream}
    relied_on = {source for upstream in found.values() for source in (*upstream.sources, *upstream.fetched)}
    if stray := sorted(set(folders) - relied_on):
        known = ", ".join(sorted(relied_on))
        raise InputError(f"no recipe here relies on a source {', '.join(stray)}", f"known: {known}", "correct --source")
    results = []
    for name, upstream in found.items():
        recipe = project.recipes[name]
        for source, sights in upstream.sources.items():
            try:
                tree = folders.get(source) or _unedited(project, recipe, source, offline=offline)
            except SourceError as error:
                results.append(Rechecked(name, source, 0, unreachable=f"{error.what}\n{error.detail}"))
                continue
            results.append(_compared(recipe, source, sights, tree))
        given = {source: sights for source, sights in upstream.fetched.items() if source in folders}
        results += [_compared(recipe, source, sights, folders[source]) for source, sights in given.items()]
    return results


def _unedited(context: Context, recipe: Recipe, name: str, *, offline: bool) -> Path:
    """Return a tree of only this source, unchanged."""
    [source] = [source for source in recipe.sources if source.name == name]
    alone = recipe.model_copy(update={"sources": [source.model_copy(update={"unpack": "."})], "edits": []})
    return sources.fetch(alone, context, offline=offline).path


def _compared(recipe: Recipe, source: str, sights: list[Sight], tree: Path) -> Rechecked:
    faults = [fault for sight in sights for fault in _sight_faults(sight, tree)]
    edits = _edits(recipe, source)
    faults += _edit_faults(edits, tree)
    return Rechecked(recipe.name, source, sum(sight.count for sight in sights) + len(edits), tuple(faults))


def _edits(recipe: Recipe, name: str) -> list[Edit]:
    """Return the recipe's edits of this source, with paths in the source; none if Bazel fetches it."""
    source = next((source for source in recipe.sources if source.name == name), None)
    if source is None:
        return []
    place = "" if source.unpack in (".", "./") else source.unpack.strip("/") + "/"
    others = [other.unpack.strip("/") + "/" for other in recipe.sources if other.name != name and other.unpack != "."]
    mine = [
        edit for edit in recipe.edits
        if edit.file.startswith(place) and not (place == "" and edit.file.startswith(tuple(others)))
    ]  # fmt: skip
    return [edit.model_copy(update={"file": edit.file.removeprefix(place)}) for edit in mine]


def _edit_faults(edits: list[Edit], tree: Path) -> Iterator[str]:
    """Yield the edits that do not fit. They are tried in order, in memory: a later edit may need an earlier edit."""
    contents: dict[str, str] = {}
    for edit in edits:
        before = contents.get(edit.file) or _content(tree / edit.file)
        if before is None:
            yield f"{edit.file}: missing (an edit: {edit.reason})"
            continue
        contents[edit.file], found = re.compile(edit.find, re.MULTILINE).subn(edit.replace, before)
        if found != edit.count:
            yield f"{edit.file}: an edit matches {found} times, expected {edit.count}: {edit.find!r} ({edit.reason})"


def _sight_faults(sight: Sight, tree: Path) -> Iterator[str]:
    for path in sight.paths:
        if not (tree / path).exists():
            yield f"{path}: missing (seen at {sight.at})"
    for text in sight.texts:
        if fault := _text_fault(text, tree):
            yield fault
    for label in sight.targets:
        if fault := _target_fault(label, tree):
            yield fault
    for flag in sight.flags:
        if fault := _flag_fault(flag, tree):
            yield fault


def _text_fault(text: Text, tree: Path) -> str | None:
    content = _content(tree / text.file)
    if content is None:
        return f"{text.file}: missing ({text.reason})"
    matches = len(re.findall(text.find, content, re.MULTILINE))
    if matches == text.count or (text.count is None and matches):
        return None
    expected = "at least 1" if text.count is None else str(text.count)
    return f"{text.file}: {text.find!r} found {matches} times, expected {expected} ({text.reason})"


def _target_fault(label: str, tree: Path) -> str | None:
    package, _, name = label.removeprefix("//").partition(":")
    for file in ("BUILD.bazel", "BUILD"):
        content = _content(tree / package / file)
        if content is not None:
            defined = re.search(rf'\bname\s*=\s*"{re.escape(name)}"', content)
            return None if defined else f"{label}: not defined in {package}/{file}"
    return f"{label}: there is no BUILD file in {package or 'the top folder'}"


def _flag_fault(flag: Flag, tree: Path) -> str | None:
    content = _content(tree / flag.file)
    if content is None:
        return f"{flag.file}: missing (it defines {flag.flag})"
    name = flag.flag.removeprefix("--config=")
    if name == flag.flag:
        found = bool(re.search(rf'{re.escape(name)}(?!\w)|"{re.escape(name.lstrip("-"))}"', content))
    else:
        found = bool(re.search(rf"^\w+:{re.escape(name)}\s", content, re.MULTILINE))
    return None if found else f"{flag.flag}: not defined in {flag.file}"


def _content(path: Path) -> str | None:
    return path.read_text(encoding="utf-8", errors="surrogateescape") if path.is_file() else None
