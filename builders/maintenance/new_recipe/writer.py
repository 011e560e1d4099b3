"""The folder of a new recipe: rendered, read by the loader, then put in its place whole."""

import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath
from tempfile import mkdtemp
from typing import Any

import yaml

from builders.errors import InputError
from builders.host import templates
from builders.host.command import INV, own_command
from builders.host.files import disk_errors, remove_tree
from builders.maintenance.new_recipe.discovered import Discovered, printable
from builders.maintenance.new_recipe.proposal import Proposal
from builders.model.recipe import Recipe, load_recipe
from builders.model.target import Target
from builders.model.yaml_file import FILL_IN

NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")


@dataclass(frozen=True)
class NewRecipe:
    """A recipe to write: its name, the facts of its source, its packages, and its targets."""

    name: str
    facts: Discovered
    proposal: Proposal
    targets: Sequence[Target]
    date: datetime
    strategy: tuple[str, ...] = ()

    def files(self) -> dict[str, str]:
        """Return the text of each file of the recipe's folder."""
        proposal = self.proposal
        expect = [f"{program}: starts" for program in proposal.programs]
        expect += [f"{library}: loads" for library in proposal.libraries]
        expect += [f"{module}: imports" for module in proposal.modules]
        kinds = ("programs", "python", "library")
        values: dict[str, Any] = {
            "name": self.name, "facts": self.facts, "proposal": proposal, "fill_in": FILL_IN,
            "version": self.facts.version or FILL_IN, "summary": self.facts.summary or FILL_IN,
            "license": self.facts.rights.license or FILL_IN, "strategy": list(self.strategy), "expect": expect,
            "date": self.date.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "suites": list(dict.fromkeys(target.suite.name for target in self.targets)),
            "architectures": list(dict.fromkeys(str(target.architecture) for target in self.targets)),
            "checked": [package.name for package in proposal.packages if package.kind in kinds],
        }  # fmt: skip
        found = {"recipe.yml": rendered("recipe.yml.j2", values)}
        if expect:
            found["checks/starts.sh"] = rendered("starts.sh.j2", values)
        return found

    @property
    def left_to_fill_in(self) -> list[str]:
        """The lines of recipe.yml with a value to fill in, each with its number."""
        lines = enumerate(self.files()["recipe.yml"].splitlines(), 1)
        return [f"line {number}: {line.strip()}" for number, line in lines if line.rstrip('"').endswith(FILL_IN)]

    @contextmanager
    def loaded(self, recipes: Path) -> Iterator[Recipe]:
        """Give the recipe as the loader reads it, in a folder that is removed at the end."""
        with _scratch(recipes) as scratch:
            folder = scratch / self.name
            _write(folder, {path: _filled(text) for path, text in self.files().items()}, {})
            yield with_absolute_paths(load_recipe(folder), recipes / self.name)

    def write(self, recipes: Path) -> Path:
        """Write the folder of the recipe into ``recipes`` and return it; raises InputError if it exists."""
        return _put(recipes, self.name, self.files(), {})

    def faults(self, recipes: Path) -> str:
        """Return what the loader has against the recipe, beside what is left to fill in; empty if nothing."""
        try:
            with self.loaded(recipes):
                return ""
        except InputError as error:
            return re.sub(r"\S*/\.new-[^/]+/(\S+)", lambda found: str(recipes / found[1]), error.detail or error.what)


def written_whole(recipes: Path, name: str, files: Mapping[str, str], copies: Mapping[str, Path]) -> Path:
    """Write the folder of a recipe that the loader accepts, and return it: texts, and copies of other files."""
    with _scratch(recipes) as scratch:
        _write(scratch / name, files, copies)
        load_recipe(scratch / name)
    return _put(recipes, name, files, copies)


def copied_whole(recipes: Path, folder: Path) -> Path:
    """Copy a recipe's folder into ``recipes`` and return the copy; raises InputError if it exists."""
    with _scratch(recipes) as scratch, disk_errors(scratch):
        shutil.copytree(folder, scratch / folder.name)
        return _renamed(scratch / folder.name, recipes)


def _renamed(made: Path, recipes: Path) -> Path:
    folder = recipes / made.name
    require_free(folder)
    with disk_errors(folder):
        made.rename(folder)
    return folder


def _put(recipes: Path, name: str, files: Mapping[str, str], copies: Mapping[str, Path]) -> Path:
    with _scratch(recipes) as scratch:
        _write(scratch / name, files, copies)
        return _renamed(scratch / name, recipes)


@contextmanager
def _scratch(recipes: Path) -> Iterator[Path]:
    """Give a folder on the disk of ``recipes`` that no command takes for a recipe."""
    with disk_errors(recipes):
        recipes.mkdir(parents=True, exist_ok=True)
        scratch = Path(mkdtemp(prefix=".new-", dir=recipes))
    try:
        yield scratch
    finally:
        remove_tree(scratch)


def with_absolute_paths(recipe: Recipe, folder: Path) -> Recipe:
    """Return the recipe with the paths of local sources that they have where the recipe is in ``folder``."""
    sources = [
        source.model_copy(
            update={"local": source.local.model_copy(update={"path": os.path.normpath(folder / source.local.path)})}
        )
        if source.local
        else source
        for source in recipe.sources
    ]
    return recipe.model_copy(update={"sources": sources})


def require_free(folder: Path) -> None:
    """Raise InputError if a recipe's folder exists."""
    if folder.exists():
        raise InputError(
            f"{folder} exists", "a recipe of yours is never overwritten", "choose another name, or move it"
        )


def require_name(name: str, recipes: Path) -> None:
    """Raise InputError for a name that Debian does not allow, or that a recipe has."""
    if not NAME.fullmatch(name):
        likely = re.sub(r"[^a-z0-9+.-]+", "-", name.lower()).strip("-.+")
        raise InputError(
            f"not a recipe's name: {name!r}",
            "Debian allows two or more lower-case letters, digits and +-. (Policy 5.6.1)",
            f"write it so, as in {likely if NAME.fullmatch(likely) else 'my-tool'}",
        )  # fmt: skip
    require_free(recipes / name)


def _write(folder: Path, files: Mapping[str, str], copies: Mapping[str, Path]) -> None:
    with disk_errors(folder):
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        for name, source in copies.items():
            shutil.copyfile(source, folder / name)


def _filled(text: str) -> str:
    """Return a file with a word wherever one is left to fill in, so that the loader checks the rest."""
    return text.replace(f'\nversion: "{FILL_IN}"', "\nversion: '0'").replace(FILL_IN, "'to fill in'")


def rendered(template: str, values: Mapping[str, Any]) -> str:
    """Return a file of a recipe's folder."""
    environment = templates.environment(Path(__file__).parent)
    environment.filters["yaml"] = _yaml
    environment.filters["printable"] = printable
    # No path to it: the folder is read on other machines.
    command = "reef" if PurePath(shlex.split(own_command())[0]).name == "reef" else INV
    return environment.get_template(template).render({"command": command, **values})


def _yaml(value: object) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, str) and "\n" not in value:
        text = yaml.safe_dump(value, width=10_000, allow_unicode=True)
        return text.removesuffix("\n").removesuffix("\n...")
    return str(
        yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True, sort_keys=False)
    ).strip()
