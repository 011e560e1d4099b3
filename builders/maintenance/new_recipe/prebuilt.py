"""Recipes of packages that somebody else built, written from .debs: files of this machine, or URLs."""

import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from debian.debfile import DebFile

from builders.errors import InputError, ReefError
from builders.host.files import disk_errors
from builders.maintenance.new_recipe.discovered import printable
from builders.maintenance.new_recipe.writer import rendered, require_name, written_whole
from builders.model.recipe import PrebuiltDeb, named_facts, without_epoch
from builders.model.yaml_file import duplicates
from builders.pipeline.prebuilt import given_recipes
from builders.pipeline.project import Project
from builders.sources import pin


def new_prebuilt(project: Project, name: str, given: Sequence[str]) -> Path:
    """Write a recipe that publishes .debs unchanged, and return its folder: a file is copied into it, a URL pinned.

    Raises InputError for a bad or taken name, and for .debs that apt or dpkg would refuse; SourceError.
    """
    recipes = project.folder / project.settings.recipes
    require_name(name, recipes)
    with project.workspace.scratch_folder("prebuilt") as scratch:
        urls = {_fetched(text, scratch / str(number), project): text for number, text in enumerate(given)}
        with _named_as_given({path: text for path, text in urls.items() if not _is_url(text)}):
            found = given_recipes([str(path) for path in urls], project.targets([]), scratch)
        if len(found) > 1:
            sources_ = ", ".join(recipe.name.removesuffix("-prebuilt") for recipe in found)
            raise InputError(
                f"the .debs are of {len(found)} source packages", sources_, "write a recipe for each of them"
            )
        [recipe] = found
        spec = recipe.build.prebuilt
        if spec is None:
            raise AssertionError("a given .deb is prebuilt")
        paths = [Path(deb.file or "") for deb in spec.debs]  # a .deb that is given twice counts once
        files = _file_names([path for path in paths if not _is_url(urls[path])], spec.debs)
        first = DebFile(filename=str(paths[0])).debcontrol()
        values: dict[str, Any] = {
            "name": name, "summary": printable(str(first.get("Description", name)).partition("\n")[0]), "by": spec.by,
            "homepage": recipe.homepage, "suites": recipe.targets.suites, "package": recipe.packages[0].name,
            "architectures": recipe.targets.architectures,
            "debs": [_entry(urls[path], files.get(path), deb) for path, deb in zip(paths, spec.debs, strict=True)],
        }  # fmt: skip
        text = rendered("prebuilt.yml.j2", values)
        return written_whole(recipes, name, {"recipe.yml": text}, {file: path for path, file in files.items()})


@contextmanager
def _named_as_given(names: Mapping[Path, str]) -> Iterator[None]:
    """Raise errors with the user's names of files in place of those of their copies."""
    try:
        yield
    except ReefError as error:
        parts = [error.what, error.detail, error.fix]
        for path, name in names.items():
            parts = [part.replace(str(path), name) for part in parts]
        raise type(error)(*parts) from error


def _is_url(text: str) -> bool:
    return re.match(r"(https?|file)://", text) is not None


def _file_names(paths: Sequence[Path], debs: Sequence[PrebuiltDeb]) -> dict[Path, str]:
    """Return the names of the copies in the recipe's folder: their own, those that dpkg-deb gives if two are equal."""
    fixed = {Path(deb.file or ""): deb.file_name for deb in debs}
    shared = {name for name, count in Counter(path.name for path in paths).items() if count > 1}
    found = {path: fixed[path] if path.name in shared else path.name for path in paths}
    twice = duplicates(found.values())
    if twice:
        raise InputError(
            f"two .debs would be {twice[0]} in the recipe's folder", "their bytes differ", "give one file another name"
        )
    return found


def _fetched(text: str, folder: Path, project: Project) -> Path:
    """Return a .deb in the new ``folder`` under its own name; raises InputError, SourceError."""
    if _is_url(text):
        path = pin.cached_path(pin.pin_url(text, project), project)
        name = unquote(urlsplit(text).path).rpartition("/")[2] or "package.deb"
    else:
        path = Path(text).expanduser()
        name = path.name
    if path.is_dir():
        raise InputError(f"a folder, not a .deb: {text}", "given with --prebuilt", f"name its files: {text}/*.deb")
    if not path.is_file():
        raise InputError(f"no such file: {text}", "given with --prebuilt", "name a .deb or its URL")
    target = folder / name
    with disk_errors(target):
        folder.mkdir()
        shutil.copyfile(path, target)
    return target


def _entry(text: str, file: str | None, deb: PrebuiltDeb) -> dict[str, Any]:
    """Return what a recipe says of a .deb, which is copied to ``file``; facts that the file's name has are left out."""
    named = dict(named_facts(file or text))
    facts = {"package": deb.name, "version": deb.shown_version, "architecture": deb.cpu}
    if without_epoch(named.get("version", "")) == without_epoch(deb.shown_version):
        named["version"] = deb.shown_version
    place = {"key": "file", "value": file} if file else {"key": "urls", "value": [text]}
    unnamed = {key: value for key, value in facts.items() if named.get(key) != value}
    return place | {"sha256": deb.sha256, "facts": unnamed}
