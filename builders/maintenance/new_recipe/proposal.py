"""The packages of a recipe, proposed from the files that a first build installed: programs, libraries, development."""

import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import PurePosixPath
from posixpath import normpath
from typing import Literal

from builders.maintenance.new_recipe.discovered import DebianBinary, Discovered, printable, unique
from builders.model.yaml_file import FILL_IN

Kind = Literal["programs", "library", "development", "python"]
TRIPLET = re.compile(r"^usr/lib/[a-z0-9_]+-linux-gnu[a-z0-9]*(?=/|$)")
FOLDER = r"usr/lib/(?:[a-z0-9_]+-linux-gnu[a-z0-9]*/)?"
"""The folder in which the loader looks for libraries; a plain Makefile knows no triplet."""
LIBRARY = re.compile(rf"{FOLDER}lib[^/]+\.so(\.[^/]+)?")
SHARED = re.compile(rf"{FOLDER}(lib[^/]+)\.so\.(\d+(?:\.\d+)*)")
DEVELOPMENT = re.compile(
    rf"usr/include/.*|({FOLDER}|usr/share/)(pkgconfig|cmake)/.*|usr/share/(aclocal|gir-1\.0|gtk-doc|vala)/.*"
    rf"|{FOLDER}lib[^/]+\.(so|a)|usr/share/man/(man3/.*|[^/]+/man3/.*)|usr/bin/[^/]+-config"
)
LEFT_OUT = re.compile(rf"{FOLDER}[^/]+\.la|usr/share/info/dir")
"""Files that no Debian package holds (Policy 10.2, 12.2)."""
WHOLE = re.compile(r"usr/lib(/\*)?|usr|usr/share|usr/share/(man|doc|locale)|etc|var|var/lib")
"""Folders that no package owns alone."""
ASIDE = ("libs", "libdevel", "doc", "debug", "python", "introspection", "localization", "oldlibs")
"""Sections of Debian's packages that hold no programs."""
LIBRARY_NAME = re.compile(r"lib.*\d(t64)?")
"""The name of a library with its SONAME's version, which can be in any section."""
PACKED = re.compile(r"(usr/share/(?:man|info|doc)/.*)\.gz")
MOST = 8
"""Maximum number of programs, libraries or modules that a check names."""


@dataclass(frozen=True)
class Proposed:
    """A package; without ``files`` it takes all. ``programs`` and others are what the check runs."""

    name: str
    kind: Kind
    summary: str
    section: str = "misc"
    description: str = ""
    architecture: str = "any"
    multi_arch: str = ""
    files: tuple[str, ...] = ()
    depends: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proposal:
    """The packages of a recipe, the files that none takes, and what can be tried on the target CPU."""

    packages: tuple[Proposed, ...]
    not_installed: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()


CONTENTS: dict[Kind, str] = {
    "programs": "This package contains the programs.",
    "library": "This package contains the shared library.",
    "development": "This package contains the headers and the files to build with the library.",
    "python": "This package contains the modules for Python 3.",
}
"""The description of a package that has no other, by what it holds."""
OF_ANOTHER = re.compile(r"(?i)(this|the [\w.+-]+) package (also )?(contains|provides|includes|ships|holds|installs)\b")
"""The beginning of a paragraph on what another package of the source holds."""


def draft(name: str, facts: Discovered) -> Proposed:
    """Return the only package of a first build, which takes all files."""
    python = facts.system == "python"
    debian = [each for each in facts.binaries if each.name.startswith("python3-") and not each.name.endswith("-doc")]
    own = debian[0].name if debian else f"python3-{name.removeprefix('python-').removeprefix('python3-')}"
    named = next((each for each in facts.binaries if each.name == (own if python else name)), DebianBinary(""))
    package = own if python else name
    return Proposed(
        package, "python" if python else "programs", fitting(named.summary or facts.summary, package),
        "python" if python else named.section or "misc",
        _description(named, facts, "python" if python else "programs"),
        "all" if python and facts.pure else "any",
    )  # fmt: skip


def propose(
    name: str, facts: Discovered, installed: Mapping[str, str], sonames: Mapping[str, str] | None = None
) -> Proposal:
    """Return the packages for the files that a first build of `draft` installed.

    Each link has its target in ``installed``, each shared library its SONAME in ``sonames``.
    """
    whole = draft(name, facts)
    paths = sorted({PACKED.sub(r"\1", path) for path in installed if not _of_debhelper(path, whole.name)})
    left_out = [path for path in paths if LEFT_OUT.fullmatch(path)]
    kept = [path for path in paths if path not in left_out]
    libraries = _libraries(kept, installed, sonames or {})
    tried = tuple(map(_present, libraries.items()))
    modules = _modules(kept) if _is_python(whole) else ()
    programs = _programs(kept)
    if whole.description == CONTENTS["programs"] and programs:
        whole = replace(whole, description=_programs_text(programs))
    found = Proposal((whole,), _globs(left_out), programs, tried[:MOST], modules)
    of_libraries = {path for files in libraries.values() for path in files}
    split: dict[str, Kind] = {path: "library" if path in of_libraries else _kind(path) for path in kept}
    if _is_python(whole) or set(split.values()) == {"programs"}:
        return found
    return replace(found, packages=_Split(name, facts, whole, split).packages(libraries))


def _libraries(
    paths: Sequence[str], installed: Mapping[str, str], sonames: Mapping[str, str]
) -> dict[str, list[str]]:  # fmt: skip
    """Return the files of each shared library by its SONAME: the files themselves, and the links that a loader follows.

    Without a known SONAME, it is the link that leads to the file, else the file's name.
    """
    links = {
        path: _followed(path, target) for path in paths if SHARED.fullmatch(path) and (target := installed.get(path))
    }
    named = {target: path.rpartition("/")[2] for path, target in links.items()}
    found: dict[str, list[str]] = {}
    owner: dict[str, str] = {}
    for path in paths:
        known = sonames.get(path) if LIBRARY.fullmatch(path) else None
        if not installed.get(path) and (known or SHARED.fullmatch(path)):
            owner[path] = known or named.get(path, path.rpartition("/")[2])
            found.setdefault(owner[path], []).append(path)
    for path in paths:
        # The link without a version is for compilers, unless programs ask for its name.
        soname = owner.get(_end(path, installed), "") if installed.get(path) else ""
        if soname and (SHARED.fullmatch(path) or path.rpartition("/")[2] == soname):
            found[soname].append(path)
    return {soname: sorted(files) for soname, files in sorted(found.items())}


def _end(path: str, installed: Mapping[str, str]) -> str:
    """Return the file that a link leads to; a circle ends anywhere."""
    for _ in installed:
        if not (target := installed.get(path)):
            break
        path = _followed(path, target)
    return path


def _followed(path: str, target: str) -> str:
    return normpath(PurePosixPath(path).parent / target).lstrip("/")


def _present(library: tuple[str, Sequence[str]]) -> str:
    """Return the SONAME of a library, or a file's name: where no file has the SONAME, ldconfig makes it later."""
    soname, paths = library
    names = [path.rpartition("/")[2] for path in paths]
    return soname if soname in names else names[-1]


def fitting(summary: str, name: str) -> str:
    """Return a summary of the package ``name`` as lintian accepts it, FILL_IN if nothing is left of it."""
    words = re.sub(rf"(?i)^{re.escape(name)}\b\s*(?:is|-+|:|,)?\s*(?:(?:an?|the)\b\s*)?", "", summary).strip()
    return words if " " in words else FILL_IN


def _description(known: DebianBinary | None, facts: Discovered, kind: Kind) -> str:
    """Return a package's description: Debian's own, else the source's and what the package holds."""
    if known and known.description:
        return cleaned(known.description)
    parts = re.split(r"\n[ \t]*\n", cleaned(facts.description))
    general = [part for part in parts if not OF_ANOTHER.match(part)]
    return "\n\n".join(filter(None, (*general, CONTENTS[kind])))


def cleaned(text: str) -> str:
    """Return a description without tabs, leading full stops (Policy 5.6.13) and an indented first line."""
    return re.sub(r"(?m)^\.+(?=\S)", "", printable(text).expandtabs(4)).strip()


def _is_python(package: Proposed) -> bool:
    return package.kind == "python"


def _of_debhelper(path: str, package: str) -> bool:
    """Return whether debhelper added the file: upstream did not install it."""
    return re.match(rf"usr/share/(doc/{re.escape(package)}/(changelog|copyright|NEWS)|lintian/)", path) is not None


def _kind(path: str) -> Kind:
    return "development" if DEVELOPMENT.fullmatch(path) else "programs"


@dataclass(frozen=True)
class _Split:
    """The packages of a source with libraries or files for development."""

    name: str
    facts: Discovered
    whole: Proposed
    kinds: dict[str, Kind]

    def packages(self, libraries: Mapping[str, Sequence[str]]) -> tuple[Proposed, ...]:
        named: dict[str, Proposed] = {}
        for package in (self._library(soname, files) for soname, files in libraries.items()):
            before = named.setdefault(package.name, package)
            if before is not package:  # names that differ in case, or that Debian has in the same package
                files = tuple(dict.fromkeys((*before.files, *package.files)))
                multi_arch = package.multi_arch and before.multi_arch
                named[package.name] = replace(before, files=files, multi_arch=multi_arch)
        shared = list(named.values())
        depends = tuple(f"{package.name} (= ${{binary:Version}})" for package in shared)
        development = self._development(depends, set(named))
        programs = self._programs(bool(shared), {*named, *(package.name for package in development)})
        made = [*programs, *shared, *development]
        if len(made) == 1:
            return (replace(made[0], files=()),)
        return tuple(made)

    def _library(self, soname: str, files: Sequence[str]) -> Proposed:
        stem = soname.partition(".so")[0]
        # The expression of a footnote in Policy 8.1.
        policy = re.sub(r"\.so(\.|$)", "", re.sub(r"(\d)\.so\.", r"\1-", soname)).replace("_", "-").lower()
        # Debian renamed libraries for 64-bit times.
        known = self._debian(lambda each: each.name.removesuffix("t64") == policy)
        # Of a library with another SONAME, whose name programs depend on, only the texts fit.
        other = self._debian(lambda each: each.name.startswith(stem.lower()) and each.section == "libs")
        made = self._package("library", policy, known or other, "shared library", "libs")
        general = [_general(path) for path in files]
        taken = [f"{folder}/{soname}*" if name.startswith(soname) else path for path in general
                 for folder, _, name in [path.rpartition("/")]]  # fmt: skip
        name = known.name if known else policy
        return replace(made, name=name, multi_arch=_multi_arch(general), files=unique(taken))

    def _has_programs(self) -> bool:
        # Documentation alone needs no package of its own.
        return not all(path.startswith(("usr/share/doc/", "usr/share/info/")) for path in self._of("programs"))

    def _programs(self, with_library: bool, taken: Set[str]) -> list[Proposed]:
        if not self._has_programs():
            return []
        suitable = [
            each for each in self.facts.binaries
            if each.section not in ASIDE and each.name not in taken and not LIBRARY_NAME.fullmatch(each.name)
        ]  # fmt: skip
        known = next((each for each in suitable if each.name == self.name), suitable[0] if suitable else None)
        name = f"{self.name.removeprefix('lib')}-tools" if with_library else self.name
        made = self._package("programs", name, known, "programs" if with_library else "", "utils")
        return [replace(made, files=self._files(self._of("programs")))]

    def _development(self, depends: tuple[str, ...], taken: Set[str]) -> list[Proposed]:
        paths = self._of("development")
        if not paths:
            return []
        if not self._has_programs():
            paths += self._of("programs")
        known = self._debian(lambda each: each.section == "libdevel" and each.name not in taken)
        name = f"{self.name if self.name.startswith('lib') else f'lib{self.name}'}-dev"
        made = self._package("development", name, known, "development files", "libdevel")
        return [replace(made, multi_arch=_multi_arch(paths), files=self._files(paths), depends=depends)]

    def _package(self, kind: Kind, name: str, known: DebianBinary | None, what: str, section: str) -> Proposed:
        """Return a package with Debian's name and texts if they are ``known``, else with those of its kind."""
        name = known.name if known else name
        own = f"{self.whole.summary[: 77 - len(what)].strip()} - {what}" if what else self.whole.summary
        summary = fitting(known.summary if known and known.summary else own, name)
        description = _description(known, self.facts, kind)
        return Proposed(name, kind, summary, known.section if known else section, description)

    def _of(self, kind: Kind) -> list[str]:
        return [path for path, of in self.kinds.items() if of == kind]

    def _files(self, paths: Sequence[str]) -> tuple[str, ...]:
        return patterns(paths, [path for path in self.kinds if path not in set(paths)])

    def _debian(self, fits: Callable[[DebianBinary], bool]) -> DebianBinary | None:
        return next((each for each in self.facts.binaries if fits(each)), None)


def patterns(paths: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """Return patterns of dh_install for ``paths``, whole folders where ``others`` have nothing in them."""
    own, foreign = sorted(map(_general, paths)), [_general(path) for path in others]
    found: dict[str, None] = {}
    for path in own:
        folders = [str(folder) for folder in reversed(PurePosixPath(path).parents)][1:]
        whole = (
            folder for folder in folders
            if not WHOLE.fullmatch(folder) and not any(other.startswith(f"{folder}/") for other in foreign)
        )  # fmt: skip
        found[next(whole, path)] = None
    return tuple(found)


def _general(path: str) -> str:
    """Return a path with ``*`` for the CPU's triplet, so that it fits every CPU."""
    return TRIPLET.sub("usr/lib/*", path)


def _multi_arch(paths: Sequence[str]) -> str:
    """Return ``same`` unless files of the package differ between CPUs under the same name."""
    general = map(_general, paths)
    return "" if any(re.match(r"usr/s?bin/|usr/lib/(?!\*/|cmake/)", path) for path in general) else "same"


def _globs(paths: Sequence[str]) -> tuple[str, ...]:
    general = [re.sub(r"[^/]+\.la$", "*.la", _general(path)) for path in paths]
    return tuple(glob for glob, _ in groupby(sorted(general)))


def _programs(paths: Sequence[str]) -> tuple[str, ...]:
    names = [path.rpartition("/")[2] for path in paths if re.fullmatch(r"usr/s?bin/[A-Za-z0-9._+-]+", path)]
    return tuple(name for name in names if not name.endswith("-config"))[:MOST]


def _programs_text(programs: Sequence[str]) -> str:
    *others, last = programs
    return f"This package contains the program{'s ' + ', '.join(others) + ' and' if others else ''} {last}."


def _modules(paths: Sequence[str]) -> tuple[str, ...]:
    inside = [path.partition("/dist-packages/")[2] for path in paths]
    heads = [
        path.partition("/")[0].partition(".")[0] for path in inside
        if re.fullmatch(r"[A-Za-z_]\w*(/__init__\.py|\.py|\.[\w-]+\.so)", path)
    ]  # fmt: skip
    return tuple(dict.fromkeys(head for head in heads if not head.startswith("_")))[:MOST]
