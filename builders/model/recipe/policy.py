"""Rules of Debian Policy and lintian's errors that a recipe's text alone decides: they fail at once, not after a build.

Each fault names lintian's tag; a recipe that accepts the tag may break the rule.
"""

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from builders.model.recipe.package import Package
from builders.model.recipe.portable import PortablePackage
from builders.model.recipe.recipe import Recipe
from builders.model.yaml_file import CONTROL, Fault

ANY = r"(?:\$\{[^}]+\}|\{\{[^}]+\}\})"
"""A substitution variable, or a variable of the recipe's texts: its value may be anything."""
VERSION = rf"\s*\(\s*(?:<<|<=|=|>=|>>)\s*(?:[0-9A-Za-z.+:~-]|{ANY})+\s*\)"
NAME = rf"(?:[a-z0-9]|{ANY})(?:[a-z0-9+.-]|{ANY})*(?::(?:any|native|[a-z0-9-]+))?"
RELATION = re.compile(rf"{NAME}(?:{VERSION})?(?:\s*\[[^\]]+\])?(?:\s*<[^>]+>)*|{ANY}")
EXACT = re.compile(rf"{NAME}(?:\s*\(\s*=\s*(?:[0-9A-Za-z.+:~-]|{ANY})+\s*\))?|{ANY}")
ALTERNATIVES = ("depends", "pre_depends", "recommends", "suggests")
SINGLE = ("provides", "conflicts", "breaks", "replaces")
MANPAGE = re.compile(r"\.[1-9][a-z]*(\.gz)?$")
MANPAGE_FORM = "expected the section at the end of the file's name, as in 'hello.1' (dh_installman(1))"
URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s<>]+", re.IGNORECASE)
URL_FORM = "expected a URL, as in https://example.org (Policy 5.6.23)"
FORM = "expected a relation as in 'name (>= 1.0)' (Policy 7.1)"


@dataclass(frozen=True)
class Broken:
    """A rule that a package breaks: the place of its key in the package, lintian's ``tag`` (if any), the text."""

    place: tuple[str | int, ...]
    tag: str
    text: str

    def __str__(self) -> str:
        return f"{self.text} (lintian: {self.tag})" if self.tag else self.text


def faults(recipe: Recipe) -> Iterator[Fault]:
    """Yield the faults of a recipe's texts, packages and changelog."""
    yield from _texts(recipe)
    for number, package in enumerate(recipe.packages):
        for broken in (*_summary(package), *_description(package, recipe.description), *_fields(package)):
            if not _accepted(package, broken.tag):
                yield Fault(("packages", number, *broken.place), str(broken))
    for name, portable in (recipe.portable.packages if recipe.portable else {}).items():
        for broken in _relations(portable):
            yield Fault(("portable", "packages", name, *broken.place), str(broken))
    yield from _changelog(recipe)


def _texts(recipe: Recipe) -> Iterator[Fault]:
    if recipe.homepage and not URL.fullmatch(recipe.homepage):
        yield Fault(("homepage",), f"{recipe.homepage!r}: {URL_FORM}")
    for number, paragraph in enumerate(recipe.copyright):
        if not paragraph.license.partition("\n")[0].strip():
            yield Fault(("copyright", number, "license"), "expected the license's short name on the first line")


def _changelog(recipe: Recipe) -> Iterator[Fault]:
    for number, entry in enumerate(recipe.changelog):
        for line, change in enumerate(entry.changes):
            if not change.strip():
                yield Fault(("changelog", number, "changes", line), "expected a text (lintian: changelog-empty-entry)")
    for number, (entry, older) in enumerate(pairwise(recipe.changelog)):
        if entry.date <= older.date:
            yield Fault(("changelog", number, "date"), "expected a later date than that of the entry below")


def _accepted(package: Package, tag: str) -> bool:
    overridden = [override.tag.split()[0] for override in package.lintian_overrides]
    accepted = [accepted.match.strip() for accepted in package.accept if accepted.check == "lintian"]
    return bool(tag) and (tag in overridden or any(match in tag for match in accepted))


def _summary(package: Package) -> Iterator[Broken]:
    text, place = package.summary, ("summary",)
    if CONTROL.search(text):
        yield Broken(place, "", "expected one line; write it without | and >")
    elif not text.strip():
        yield Broken(place, "description-synopsis-is-empty", "expected a summary of the package")
    elif _plain(text) == _plain(package.name):
        yield Broken(place, "description-is-pkg-name", "it is the package's name; say what the package is")
    elif re.match(rf"{re.escape(package.name)}\b", text, re.IGNORECASE):
        text = "it begins with the package's name, which every list shows beside it; say what the package is"
        yield Broken(place, "description-starts-with-package-name", text)
    elif " " not in text.strip() and "{{" not in text:
        yield Broken(place, "description-too-short", "expected more than one word")
    if "\t" in package.summary:
        yield Broken(place, "description-contains-tabs", "it contains a tab; use spaces")


def _plain(text: str) -> str:
    return re.sub(r"[-_/\\\s]+", " ", text.strip().lower())


def _description(package: Package, fallback: str) -> Iterator[Broken]:
    text, place = (package.description or fallback).strip(), ("description",)
    if not text:
        if not package.name.endswith("-dbg"):
            text = "expected a description of the package, or of the recipe, in further words than the summary"
            yield Broken(place, "extended-description-is-empty", text)
        return
    if _letters(text.split("\n")[0]) == _letters(package.summary):
        yield Broken(place, "description-synopsis-is-duplicated", "its first line repeats the summary; say more")


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", text.lower())


def _fields(package: Package) -> Iterator[Broken]:
    if package.architecture == "all" and package.multi_arch == "same":
        text = "a package for all CPUs cannot be 'same'; 'foreign' serves programs of any CPU"
        yield Broken(("multi_arch",), "illegal-multi-arch-value", text)
    for path in package.conffiles:
        relative = path.lstrip("/")
        if posixpath.normpath(relative) != relative:
            yield Broken(("conffiles", path), "", "expected a path without '.', '..' and empty parts")
        elif not relative.startswith("etc/"):
            text = "a conffile is below etc/ (Policy 10.7.2); files: installs other files"
            yield Broken(("conffiles", path), "non-etc-file-marked-as-conffile", text)
    for number, page in enumerate(package.manpages):
        if not MANPAGE.search(page):
            yield Broken(("manpages", number), "", MANPAGE_FORM)
    yield from _relations(package)


def _relations(package: Package | PortablePackage) -> Iterator[Broken]:
    for field in (*ALTERNATIVES, *SINGLE):
        for number, relation in enumerate(getattr(package, field) or ()):
            if text := _relation(field, relation):
                yield Broken((field, number), "bad-relation", text)


def _relation(field: str, text: str) -> str:
    """Return the fault of a relation, empty if it has none."""
    parts: Sequence[str] = text.split("|") if field in ALTERNATIVES else [text]
    if "|" in text and field in SINGLE:
        return f"{text!r}: this field knows no alternatives"
    if "," in re.sub(ANY, "", text):
        return f"{text!r}: each relation is an entry of the list"
    if field == "provides" and RELATION.fullmatch(text.strip()) and not EXACT.fullmatch(text.strip()):
        return f"{text!r}: a provided version is exact, as in 'name (= 1.0)'"
    return "" if all(RELATION.fullmatch(part.strip()) for part in parts) else f"{text!r}: {FORM}"
