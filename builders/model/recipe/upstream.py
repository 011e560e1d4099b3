"""What a recipe relies on in upstream's sources (its ``upstream.yml``), and what its build scripts really use."""

import json
import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import pydantic

from builders.errors import InputError
from builders.model.recipe.recipe import Recipe
from builders.model.recipe.source import Pattern, SourceName
from builders.model.yaml_file import Model, RelativePath, load

FILE = "upstream.yml"
Seen = Annotated[str, pydantic.StringConstraints(pattern=r"^(git:[0-9a-f]{40}|sha256:[0-9a-f]{64})$")]
Label = Annotated[str, pydantic.StringConstraints(pattern=r"^//[\w./+-]*:[\w./+-]+$")]
LABEL = r"//[\w./+-]*:[\w./+-]+"
SETTING = re.compile(
    r"--(?:config|define|(?:host_)?action_env|repo_env)=[^\s\"']+"
    r"|--(?:no)?(?:@[\w.~-]*)?//[^\s\"']+"
    r"|--(?:host_)?(?:copt|cxxopt|conlyopt)=-D[^\s\"']+"
)
"""Bazel flags whose meaning comes from upstream's files, not from Bazel or the compiler."""
SERVER_FLAG = re.compile(r"(?<=\s)--\w+")
SCRIPT_NAMES = ("CMakeLists.txt", "Kbuild", "Makefile")
SCRIPT_SUFFIXES = (".sh", ".cmake", ".mk")
SOURCE_SUFFIXES = (".bin", ".bzl", ".c", ".cc", ".cpp", ".fbs", ".h", ".inc", ".lds", ".proto", ".py")
NOT_UPSTREAM = ("usr/", "lib/", "etc/", "var/", "debian/", "build")
"""How words of a script begin that name places of the package, or of the build, rather than upstream's files."""


class Text(Model):
    """A regular expression (matched line by line) that must be found in a file, ``count`` times where given."""

    file: RelativePath
    find: Pattern
    count: int | None = None
    reason: str


class Flag(Model):
    """A flag of a build, or of a program that is built, and the file of upstream's that gives it its meaning.

    ``--config=name`` is defined there; others stand there as they are, or by their name in quotes.
    """

    flag: Annotated[str, pydantic.StringConstraints(pattern=r"^-")]
    file: RelativePath = ".bazelrc"


class Sight(Model):
    """What was seen at one commit (``git:...``) or in one archive (``sha256:...``)."""

    at: Seen
    seen: Literal["text", "name"] = "text"
    """``text``: the files were read there; ``name``: no more than their names was known there."""
    note: str = ""
    paths: list[RelativePath] = []
    """Files and folders that must be there."""
    texts: list[Text] = []
    targets: list[Label] = []
    """Bazel targets that a BUILD file must define."""
    flags: list[Flag] = []

    @property
    def count(self) -> int:
        """How many things were seen."""
        return len(self.paths) + len(self.texts) + len(self.targets) + len(self.flags)


class Ours(Model):
    """A word of the recipe's that looks like one of upstream's paths or flags, and why it is none."""

    word: str
    reason: str


class Upstream(Model):
    """A recipe's ``upstream.yml``: for each of its sources, what it relies on and where that was read."""

    sources: dict[SourceName, list[Sight]]
    fetched: dict[SourceName, list[Sight]] = {}
    """The same for what Bazel fetches, by the workspace's names; compared with a checkout that is given, else not."""
    ours: list[Ours] = []

    def listed(self, recipe: Recipe) -> set[str]:
        """Return every path (in the recipe's tree), target and flag that is listed."""
        found: set[str] = set()
        for source in recipe.sources:
            for sight in self.sources.get(source.name, []):
                files = {*sight.paths, *(text.file for text in sight.texts)}
                found |= {str(PurePosixPath(source.unpack, file)) for file in files}
                found |= {*sight.targets, *(flag.flag for flag in sight.flags)}
        for name, sights in self.fetched.items():
            for sight in sights:
                found |= {*(f"@{name}{target}" for target in sight.targets), *(flag.flag for flag in sight.flags)}
        return found | {our.word for our in self.ours}


def load_upstream(recipe: Recipe) -> Upstream | None:
    """Read the recipe's ``upstream.yml``, None where it has none; raises InputError for what is wrong in it."""
    path = recipe.folder / FILE
    if not path.exists():
        return None
    upstream = load(path, Upstream)
    unknown = sorted(set(upstream.sources) - {source.name for source in recipe.sources})
    if unknown:
        known = ", ".join(source.name for source in recipe.sources)
        raise InputError(f"{path}: no such source of {recipe.name}: {', '.join(unknown)}", f"its sources: {known}")
    return upstream


def unlisted(recipe: Recipe, upstream: Upstream) -> list[str]:
    """Return what the recipe uses of upstream's and its ``upstream.yml`` does not list, sorted.

    Used are: the file of each edit; Bazel targets and settings of upstream's (``--config``, ``--define``, build
    settings, variables, macros) anywhere under ``build:``; the flags with which units start the program; and each path
    in the build scripts (those of the recipe and the scripts in its ``files/``). A path counts as listed where it is a
    run of parts of a listed one: scripts name files from below a variable.
    """
    listed = upstream.listed(recipe)
    paths = {f"/{name}/" for name in listed if not name.startswith(("/", "-", "@"))}
    missing = {edit.file for edit in recipe.edits if f"/{edit.file}/" not in paths}
    missing |= {flag for flag in _unit_flags(recipe) if flag not in listed}
    build = json.dumps(recipe.build.model_dump(mode="json"))
    texts = [build, *(path.read_text(encoding="utf-8") for path in _script_files(recipe.folder / "files"))]
    for text in texts:
        code = _code(text.replace("\\n", "\n").replace('\\"', '"') if text is build else text)
        missing |= {word for word in _bazels(code) if word not in listed}
        missing |= {word for word in _paths(code) if _upstreams(word, recipe, upstream) and not _part(word, paths)}
    return sorted(missing)


def _bazels(code: str) -> set[str]:
    """Return Bazel's targets, with their repository where that is named, and upstream's settings."""
    labels = re.findall(rf"(?<![\w:/@.~-])@[\w.~-]+{LABEL}|(?<![\w:/@-]){LABEL}", code)
    return {*labels, *SETTING.findall(code)}


def _unit_flags(recipe: Recipe) -> set[str]:
    found: set[str] = set()
    for package in recipe.packages:
        if package.systemd:
            unit = (recipe.folder / package.systemd).read_text(encoding="utf-8").replace("\\\n", " ")
            for command in re.findall(r"^ExecStart=(.*)", unit, re.MULTILINE):
                found |= set(SERVER_FLAG.findall(command))
    return found


def _script_files(folder: Path) -> list[Path]:
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [path for path in found if path.name in SCRIPT_NAMES or path.suffix in SCRIPT_SUFFIXES]


def _code(text: str) -> str:
    """Return a script without its comments, each variable made one NUL."""
    lines = [re.sub(r"(^|\s)#.*", "", line) for line in text.splitlines()]
    return re.sub(r"\$\{\w+\}|\$\(\w+\)|\$\w+", "\0", "\n".join(lines))


def _paths(code: str) -> set[str]:
    below_a_variable = re.findall(r"(?<![\w/])\0/([\w.+-]+(?:/[\w.+-]+)*)", code)
    files = {word for word in below_a_variable if "/" in word or word.endswith(SOURCE_SUFFIXES)}
    return files | {*re.findall(r"(?<![\w/.+\0:-])([\w.+-]+(?:/[\w.+-]+)+)", code)}


def _upstreams(word: str, recipe: Recipe, upstream: Upstream) -> bool:
    """Tell whether a word of a script may name a file of upstream's."""
    if word.startswith(NOT_UPSTREAM) or set(word) <= set("./") or word in {our.word for our in upstream.ours}:
        return False
    own = recipe.folder / "files"
    return not any((own / name).exists() for name in (word, word.partition("/")[2] or word))


def _part(word: str, paths: set[str]) -> bool:
    return any(f"/{word.removeprefix('./').rstrip('/')}/" in path for path in paths)
