"""The source that ``--source`` names: a folder, an archive, a git repository, or a source package of Debian."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from builders import sources
from builders.errors import InputError, SourceError
from builders.maintenance.new_recipe.debian_source import debian_source, lacking, packaging_facts
from builders.maintenance.new_recipe.discovered import Discovered
from builders.maintenance.new_recipe.tree_facts import release_in
from builders.maintenance.new_recipe.writer import with_absolute_paths
from builders.model.recipe import Recipe
from builders.model.source_tree import SourceTree
from builders.model.target import Target
from builders.pipeline.project import Project
from builders.sources import pin

ARCHIVE = re.compile(r".*\.(tar(\.\w+)?|tgz|tbz2?|txz|zip)", re.IGNORECASE)
SERVED = re.compile(
    r"/[^/]+/[^/]+/(legacy\.)?(tarball|zipball|tar\.gz|zip)/.+"  # GitHub, also codeload.github.com
    r"|/repos/[^/]+/[^/]+/(tarball|zipball)(/.+)?"  # GitHub's API
    r"|.+/-/archive/.+|.+/repository/archive(\.[a-z0-9.]+)?"  # GitLab and its API
)
"""Paths of archives that servers make of repositories, without the name of a file."""
GIT = re.compile(r"(git\+)?(https?|ssh|git|file)://.+|[\w.-]+@[\w.-]+:.+")
PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")


@dataclass(frozen=True)
class Origin:
    """A source: the facts that its place shows; ``packaging`` reads Debian's own files of it.

    ``suffix`` is added to the version of the tree, if it is of a commit between releases.
    """

    facts: Discovered
    packaging: Callable[[SourceTree, Project], Discovered] | None = None
    suffix: str = ""
    hinted: bool = False
    """Whether Debian may have another release of the source."""


def origin_of(name: str, what: str, target: Target, project: Project) -> Origin:
    """Return the source that ``what`` names, pinned; raises InputError, SourceError, HostError."""
    if what.startswith("debian:"):
        return _debian(what.removeprefix("debian:"), target, project)
    path = Path(what).expanduser()
    if path.suffix == ".deb":
        raise InputError(f"a .deb is no source: {what}", "its programs are built already", "name it with --prebuilt")
    if path.is_dir() and not (path / "HEAD").is_file():
        return _folder(name, path.resolve(), project)
    if path.is_file():
        return _archive(name, str(path.resolve()), project)
    place, _, ref = what.partition("#")
    if is_archive(what):
        return _archive(name, what, project)
    if GIT.fullmatch(place) or path.is_dir():
        return _git(name, place.removeprefix("git+") if not path.is_dir() else str(path.resolve()), ref, project)
    if PACKAGE.fullmatch(what):
        return _debian(what, target, project)
    raise InputError(
        f"--source names nothing that is known: {what!r}", f"no folder or file of this name in {Path.cwd()}",
        "name a URL of an archive, a git URL (perhaps with #TAG), a source package of Debian, or a folder",
    )  # fmt: skip


def is_archive(url: str) -> bool:
    """Return whether a URL is that of an archive, not of a git repository."""
    path = _file_path(url)
    if not re.match(r"(https?|file)://", url) or path.endswith(".git"):
        return False
    return bool(ARCHIVE.fullmatch(path) or (url.startswith("http") and SERVED.fullmatch(path)))


def _file_path(url: str) -> str:
    """Return the path in a URL, without the last part of SourceForge's, which is ``download``."""
    path = unquote(urlsplit(url).path)
    head = path.rstrip("/").removesuffix("/download")
    return head if ARCHIVE.fullmatch(head) else path


def _folder(name: str, folder: Path, project: Project) -> Origin:
    own = project.folder / project.settings.recipes / name
    inside = folder.is_relative_to(project.folder.resolve())
    path = os.path.relpath(folder, own.resolve()) if inside else str(folder)
    exclude = [part for part in (".venv", "build", "node_modules") if (folder / part).is_dir()]
    local: dict[str, object] = {"path": path} | ({"exclude": exclude} if exclude else {})
    notes = () if inside else (f"The source is a folder of this machine, {folder}: no other machine can build it.",)
    return Origin(Discovered(
        sources=({"name": name, "local": local},), origin=f"the folder {path}", notes=notes,
        version=release_in(folder.name),
    ))  # fmt: skip


def _archive(name: str, url: str, project: Project) -> Origin:
    sha256 = pin.pin_url(url, project)
    entry: dict[str, object] = {"urls": [url], "sha256": sha256}
    if not pin.has_one_folder(sha256, project):
        entry["strip"] = 0
    path = _file_path(url)
    return Origin(Discovered(
        sources=({"name": name, "archive": entry},), origin=path.rpartition("/")[2], version=release_in(path),
    ), hinted=True)  # fmt: skip


def _git(name: str, url: str, ref: str, project: Project) -> Origin:
    found = pin.pin_commit(url, ref, project)
    if not ref:
        newest = f"the newest release, {found.ref}" if found.version else "the newest commit, as no tag names a release"
        project.log.note(f"{url}: {newest}: {found.commit}")
    entry = {"name": name, "git": {"url": url, "commit": found.commit, "submodules": True}}
    facts = Discovered(
        sources=(entry,), version=found.version,
        origin=f"{found.ref} of {url}", homepage=url.removesuffix(".git") if url.startswith("http") else "",
    )  # fmt: skip
    return Origin(facts, suffix="" if found.version else f"+git{found.commit[:7]}", hinted=True)


def _debian(package: str, target: Target, project: Project) -> Origin:
    source = debian_source(package, target.suite.name, project)

    def packaging(tree: SourceTree, project: Project) -> Discovered:
        def read(folder: Path) -> Discovered:
            if said := lacking(folder):
                project.log.warn(said)
            return packaging_facts(folder, source)

        if source.native:
            return read(tree.path / "debian")
        if source.packaging is None:
            return Discovered(
                notes=(
                    "Debian's packaging is a diff, which Reef does not read: its patches, maintainer scripts and "
                    "configuration are missing.",
                )
            )
        try:
            folder = fetched(f"{tree.recipe}-debian", [source.packaging], source.suite, project).path / "debian"
        except SourceError as error:  # some mirrors hold only a part of the pool
            project.log.warn(f"{error.what}: {error.detail.rpartition(': ')[2]}")
            return Discovered(notes=(
                "The mirror lacks Debian's packaging: Debian's patches, maintainer scripts and configuration, if it "
                "has some, are not taken. Compare the license.",
            ))  # fmt: skip
        return read(folder)

    return Origin(source.facts(target, project), packaging)


def fetched(
    name: str, entries: Sequence[Mapping[str, object] | None], suite: str, project: Project
) -> SourceTree:  # fmt: skip
    """Return the tree of entries of ``sources:``; raises SourceError."""
    recipe = Recipe.model_validate({
        "name": name, "version": "0", "summary": "sources", "license": "none",
        "changelog": [{"revision": 1, "date": "2026-01-01T00:00:00Z", "changes": ["none"]}],
        "sources": entries, "targets": {"suites": [suite], "architectures": ["amd64"]},
        "build": {"system": "make"}, "packages": [{"name": "none", "summary": "none"}],
    })  # fmt: skip
    own = project.folder / project.settings.recipes / name
    return sources.fetch(with_absolute_paths(recipe, own), project, offline=False)
