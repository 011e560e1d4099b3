"""Failed builds in the recipe's terms: missing packages, and packages' files that do not fit the installed ones."""

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from posixpath import basename

from builders.errors import BuildError
from builders.host.excerpt import TREE
from builders.model.recipe import Recipe

ABSENT = re.compile(r'^dh_install: (?:warning|error): Cannot find \(any matches for\) "(.+)" \(tried in .*\)$')
UNTAKEN = re.compile(r"^dh_missing: (?:warning|error): (.+?) exists in debian/tmp but is not installed to anywhere ?")
MULTIARCH = re.compile(r"^usr/(lib|libexec)/[a-z0-9_]+-linux-gnu\w*(?=/)")
MISSING = (
    ("libraries: (for the target's CPU)", re.compile(
        r"fatal error: (\S+): No such file|Could NOT find (\S+)|Dependency \"?([^\" ]+)\"? not found"
        r"|cannot find -l([\w.+-]+)|No package '(\S+)' found|Package requirements \(([^)]+)\) were not met"
    )),
    ("tools:", re.compile(
        r"^\S+: (?:line )?\d+: (\S+): (?:command )?not found$|Program '?([\w.+-]+)'? not found"
        r"|^make(?:\[\d+\])?: ([\w.+-]+): No such file|: ([\w.+-]+): command not found$"
    )),
    ("tools: (python3-*)", re.compile(r"No module named '([\w.]+)'")),
)  # fmt: skip
"""The recipe's key for a missing package, with the messages that name what is missing."""
FOREIGN = re.compile(r"^dh_strip: error: .*? (?P<quote>\")?debian/(?P<package>[^/\s]+)/(?P<path>(?(quote)[^\"]+|\S+))")
"""A file for another CPU, or a damaged file: objcopy and strip of the target end at it."""
READ_BYTES = 2_000_000
SHOWN = 12


def explained(recipe: Recipe, error: BuildError) -> BuildError:
    """Return the error of a failed build, with the advice that the recipe allows.

    It is another error if the packages' files do not fit the installed files.
    """
    lines = _log(error.log)
    installed = [line.removeprefix(TREE) for line in lines if line.startswith(TREE)]
    absent = [found[1] for line in lines if (found := ABSENT.match(line))]
    untaken = [found[1] for line in lines if (found := UNTAKEN.match(line))]
    where = f"full log: {error.log}"
    if absent:
        return BuildError(
            f"{recipe.name}: packages name files that the build did not install",
            "\n".join([*(_absent(recipe, pattern, installed) for pattern in absent), *_shown(installed), where]),
            f"correct files: of the package, or what the build installs; {error.fix}",
            error.log,
        )
    if untaken:
        return BuildError(
            f"{recipe.name}: the build installed files that no package takes",
            "\n".join([*_limited([_untaken(recipe, path) for path in untaken]), where]),
            "add them to files: of a package, or to not_installed: of the recipe; both take patterns, such as "
            f"{_general(untaken[0])}",
            error.log,
        )
    if found := next(filter(None, map(FOREIGN.match, error.detail.splitlines())), None):
        advice = (
            f"{found['path']} is no program for the target's CPU: if it is data, such as firmware of another core, "
            f"name it in data: of the package {found['package']}"
        )
        return BuildError(error.what, error.detail, f"{advice}; {error.fix}", error.log)
    for key, message in MISSING:
        if found := next(filter(None, map(message.search, error.detail.splitlines())), None):
            name = next(filter(None, found.groups()))
            advice = f"{name} is missing: name the Debian package that has it in {key} of the recipe"
            return BuildError(error.what, error.detail, f"{advice}; {error.fix}", error.log)
    return error


def _log(path: Path | None) -> list[str]:
    if path is None or not path.is_file():
        return []
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - READ_BYTES))
        return file.read().decode("utf-8", "replace").splitlines()


def _absent(recipe: Recipe, pattern: str, installed: Sequence[str]) -> str:
    names = [package.name for package in recipe.packages if pattern in package.files]
    near = _nearest(pattern, [_general(path) for path in installed])
    text = f"{names[0] if names else recipe.name}: no file matches {pattern}"
    return f"{text}; nearest: {', '.join(near)}" if near else text


def _nearest(pattern: str, paths: Sequence[str]) -> list[str]:
    """Return the paths with the pattern's last name, else those that resemble the pattern."""
    same = [path for path in dict.fromkeys(paths) if basename(path) == basename(pattern)]
    return same[:3] or difflib.get_close_matches(pattern, dict.fromkeys(paths), n=3, cutoff=0.6)


def _shown(installed: Sequence[str]) -> Iterator[str]:
    if installed:
        yield "the build installed:"
        yield from (f"  {path}" for path in _limited([_general(path) for path in installed]))


def _untaken(recipe: Recipe, path: str) -> str:
    patterns = {pattern: package.name for package in recipe.packages for pattern in package.files}
    near = difflib.get_close_matches(_general(path), patterns, n=1, cutoff=0.8)
    return f"{_general(path)} (near {near[0]} of {patterns[near[0]]})" if near else _general(path)


def _general(path: str) -> str:
    """Return a path with a pattern in place of the CPU's folder, as a recipe writes it."""
    return MULTIARCH.sub(r"usr/\1/*", path)


def _limited(lines: Sequence[str]) -> list[str]:
    more = len(lines) - SHOWN
    return [*lines[:SHOWN], f"and {more} more"] if more > 0 else list(lines)
