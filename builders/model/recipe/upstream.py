"""Facts about upstream's sources that a recipe relies on (its ``upstream.yml``), and those its build scripts use."""

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
Seen = Annotated[str, pydantic.StringConstraints(pattern=r"^(git:[0-9a-f]{40}|git:[0-9a-f]{64}|sha256:[0-9a-f]{64})$")]
Label = Annotated[str, pydantic.StringConstraints(pattern=r"^//[\w./+-]*:[\w./+-]+$")]
LABEL = r"//[\w./+-]*:[\w./+-]+"
SETTING = re.compile(
    r"--(?:config|define|(?:host_)?action_env|repo_env)=[^\s\"']+"
    r"|--(?:no)?(?:@[\w.~-]*)?//[^\s\"']+"
    r"|--(?:host_)?(?:copt|cxxopt|conlyopt)=-D[^\s\"']+"
)
"""Bazel flags that upstream's files define, rather than Bazel or the compiler."""
SERVER_FLAG = re.compile(r"(?<=\s)--\w+")
SCRIPT_NAMES = ("CMakeLists.txt", "Kbuild", "Makefile")
SCRIPT_SUFFIXES = (".sh", ".cmake", ".mk")
SOURCE_SUFFIXES = (".bin", ".bzl", ".c", ".cc", ".cpp", ".fbs", ".h", ".inc", ".lds", ".proto", ".py")
NOT_UPSTREAM = ("usr/", "lib/", "etc/", "var/", "debian/", "build")
"""Beginnings of paths in scripts that are of the package or the build, not upstream's files."""


class Text(Model):
    """A regular expression that must match in a file."""

    file: RelativePath
    """Path of the file in the source."""
    find: Pattern
    """Python regular expression, matched line by line."""
    count: int | None = None
    """Expected number of matches. By default, any number from one on."""
    reason: str
    """Why the recipe relies on the match."""


class Flag(Model):
    """A flag of the build or of a built program, and upstream's file that defines it.

    A ``--config=NAME`` is defined in the file. Other flags must be in the file literally, or by their name in quotes.
    """

    flag: Annotated[str, pydantic.StringConstraints(pattern=r"^-")]
    """The flag."""
    file: RelativePath = ".bazelrc"
    """Path of the file in the source."""


class Sight(Model):
    """Facts that were checked in one version of a source."""

    at: Seen
    """The version: ``git:COMMIT`` or ``sha256:DIGEST``."""
    seen: Literal["text", "name"] = "text"
    """``text`` if the files were read, ``name`` if only their names were known."""
    note: str = ""
    """A remark for readers."""
    paths: list[RelativePath] = []
    """Files and folders that must exist."""
    texts: list[Text] = []
    """Regular expressions that must match."""
    targets: list[Label] = []
    """Bazel targets that a BUILD file must define."""
    flags: list[Flag] = []
    """Flags that must be defined."""

    @property
    def count(self) -> int:
        """Number of facts."""
        return len(self.paths) + len(self.texts) + len(self.targets) + len(self.flags)


class Ours(Model):
    """A word of the recipe that only looks like a path or flag of upstream."""

    word: str
    """The word."""
    reason: str
    """Why it is not upstream's."""


class Upstream(Model):
    """Facts about its sources that a recipe relies on, in the ``upstream.yml`` of its folder."""

    sources: dict[SourceName, list[Sight]]
    """Facts about each source, by the source's name."""
    fetched: dict[SourceName, list[Sight]] = {}
    """Facts about what Bazel fetches, by its name in the workspace. They are only compared with a checkout that
    ``--source`` gives."""
    ours: list[Ours] = []
    """Words of the recipe that only look like paths or flags of upstream."""

    def listed(self, recipe: Recipe) -> set[str]:
        """Return every listed path (in the recipe's tree), target and flag."""
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
    """Return the recipe's ``upstream.yml``, None if it has no such file; raises InputError for its faults."""
    path = recipe.folder / FILE
    if not path.exists():
        return None
    upstream = load(path, Upstream)
    unknown = sorted(set(upstream.sources) - {source.name for source in recipe.sources})
    if unknown:
        known = ", ".join(source.name for source in recipe.sources)
        what = f"{path}: no such source of {recipe.name}: {', '.join(unknown)}"
        raise InputError(what, f"its sources: {known}", "correct the names below sources:")
    return upstream


def unlisted(recipe: Recipe, upstream: Upstream) -> list[str]:
    """Return what the recipe uses of upstream but does not list in its ``upstream.yml``, sorted.

    A recipe uses the file of each edit; Bazel targets and upstream's settings (``--config``, ``--define``, build
    settings, variables, macros) anywhere under ``build:``; the flags with which units start the program; and each path
    in the build scripts (those of the recipe and the scripts in its ``files/``). A path counts as listed if its parts
    are consecutive parts of a listed path: scripts name files relative to a variable.
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
    """Return Bazel's targets, with their repository if it is named, and upstream's settings."""
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
    """Return a script without its comments, and with a NUL instead of each variable."""
    lines = [re.sub(r"(^|\s)#.*", "", line) for line in text.splitlines()]
    return re.sub(r"\$\{\w+\}|\$\(\w+\)|\$\w+", "\0", "\n".join(lines))


def _paths(code: str) -> set[str]:
    below_a_variable = re.findall(r"(?<![\w/])\0/([\w.+-]+(?:/[\w.+-]+)*)", code)
    files = {word for word in below_a_variable if "/" in word or word.endswith(SOURCE_SUFFIXES)}
    return files | {*re.findall(r"(?<![\w/.+\0:-])([\w.+-]+(?:/[\w.+-]+)+)", code)}


def _upstreams(word: str, recipe: Recipe, upstream: Upstream) -> bool:
    """Return whether a word of a script can be a path of upstream."""
    if word.startswith(NOT_UPSTREAM) or set(word) <= set("./") or word in {our.word for our in upstream.ours}:
        return False
    own = recipe.folder / "files"
    return not any((own / name).exists() for name in (word, word.partition("/")[2] or word))


def _part(word: str, paths: set[str]) -> bool:
    return any(f"/{word.removeprefix('./').rstrip('/')}/" in path for path in paths)
