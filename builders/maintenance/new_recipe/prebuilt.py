"""Recipes of packages that somebody else built, written from .debs: files of this machine, or URLs."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from debian.debfile import DebFile

from builders.errors import InputError
from builders.host.files import disk_errors
from builders.maintenance.new_recipe.writer import rendered, require_name, written_whole
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
        urls = {_fetched(text, scratch, project): text for text in given}
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
        first = DebFile(filename=str(paths[0])).debcontrol()
        values: dict[str, Any] = {
            "name": name, "summary": str(first.get("Description", name)).partition("\n")[0], "by": spec.by,
            "homepage": recipe.homepage, "suites": recipe.targets.suites, "package": recipe.packages[0].name,
            "architectures": recipe.targets.architectures,
            "debs": [_entry(urls[path], path, deb.model_dump()) for path, deb in zip(paths, spec.debs, strict=True)],
        }  # fmt: skip
        text = rendered("prebuilt.yml.j2", values)
        copies = {path.name: path for path, text in urls.items() if not _is_url(text)}
        return written_whole(recipes, name, {"recipe.yml": text}, copies)


def _is_url(text: str) -> bool:
    return re.match(r"(https?|file)://", text) is not None


def _fetched(text: str, scratch: Path, project: Project) -> Path:
    """Return a .deb in ``scratch`` under its own name; raises InputError, SourceError."""
    if _is_url(text):
        path = pin.cached_path(pin.pin_url(text, project), project)
        name = unquote(urlsplit(text).path).rpartition("/")[2] or "package.deb"
    else:
        path = Path(text).expanduser()
        name = path.name
    if not path.is_file():
        raise InputError(f"no such file: {text}", "given with --prebuilt", "name a .deb or its URL")
    target = scratch / name
    with disk_errors(target):
        shutil.copyfile(path, target)
    return target


def _entry(text: str, path: Path, deb: dict[str, Any]) -> dict[str, Any]:
    """Return what a recipe says of a .deb; the facts that its file's name has are left out."""
    fits = re.fullmatch(r"[^_/]+_[^_/]+_[^_/]+\.deb", path.name)
    facts = {} if fits else {key: deb[key] for key in ("package", "version", "architecture")}
    place = {"key": "urls", "value": [text]} if _is_url(text) else {"key": "file", "value": path.name}
    return place | {"sha256": deb["sha256"], "facts": facts}
