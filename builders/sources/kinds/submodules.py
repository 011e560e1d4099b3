"""A commit in the tree, with its submodules (gitmodules(5)): folders that are commits of other repositories."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builders.errors import SourceError
from builders.host import process
from builders.model.recipe import Git
from builders.model.source_tree import FetchedSource
from builders.sources.context import FetchContext, Unavailable, shown
from builders.sources.exclusion import Exclusion, Parts
from builders.sources.kinds import git
from builders.sources.kinds.archive import unpack
from builders.sources.tree import Checkout, TreeWriter, clean, shortened

GITLINK = "160000"
"""The mode of a submodule in a tree of git."""
DECLARED = re.compile(r"^\s*path\s*=\s*(.+?)\s*$", re.MULTILINE)
"""A submodule's folder in .gitmodules."""


@dataclass(frozen=True)
class Submodule:
    """A submodule: its folder below the repository, its commit, and its URL (empty if .gitmodules names none)."""

    path: str
    commit: str
    url: str


@dataclass(frozen=True)
class GitSource:
    """A git source that is placed in the tree: ``place`` does it, submodules included."""

    context: FetchContext
    name: str
    writer: TreeWriter
    excluded: Exclusion
    scratch: Path
    submodules: bool

    def place(
        self, repository: Path, url: str, commit: str, into: Parts, inside: Parts = ()
    ) -> Iterator[FetchedSource]:
        """Write the commit below ``into``, whose path in the source is ``inside``; yield the fetched submodules.

        Raises SourceError if a submodule is needed and the recipe does not say what to do with it.
        """

        def is_left_out(parts: Parts) -> bool:
            return self.excluded.covers(inside + parts)

        if not git.query(repository, "ls-tree", commit):
            if not inside:
                raise SourceError(
                    f"source {self.name!r} contains no file",
                    f"commit {commit} of {shown(url)} is empty",
                    "name a commit with files in the recipe",
                )
            self.writer.folder(into)  # as git leaves the folder of an empty submodule
            return
        archive = self.scratch / "commit.tar"
        git.export(repository, commit, archive)
        self.writer.checkout = Checkout(repository, url, commit, into)
        unpack(archive, self.writer, into, 0, is_left_out)
        self.writer.checkout = None
        archive.unlink()
        found = [each for each in submodules(repository, url, commit) if not is_left_out(tuple(each.path.split("/")))]
        for submodule in found:
            parts = clean(submodule.path, f"submodule of source {self.name!r}")
            if self.submodules:
                yield from self._submodule(submodule, into + parts, inside + parts)
            else:
                self.writer.expected_folders[into + parts] = self._missing(submodule)

    def _submodule(self, submodule: Submodule, into: Parts, inside: Parts) -> Iterator[FetchedSource]:
        name = f"{self.name}/{'/'.join(inside)}"
        if not submodule.url:
            raise SourceError(
                f"the submodule {'/'.join(inside)} of source {self.name!r} has no URL",
                ".gitmodules of its commit does not name one",
                "name it under exclude: in the recipe, and list its repository as a source of its own",
            )
        try:
            repository = git.clone(self.context, name, Git(url=submodule.url, commit=submodule.commit))
        except Unavailable as error:
            raise SourceError(
                f"cannot fetch the submodule {'/'.join(inside)} of source {self.name!r}",
                "\n".join(map(str, error.reasons)),
                "check the URL and the network; or replace the URL with mirrors: in reef.yml; or name the submodule "
                "under exclude: in the recipe",
            ) from error
        yield FetchedSource(name, "git", git.origin(repository), f"git:{submodule.commit}")
        yield from self.place(repository, submodule.url, submodule.commit, into, inside)

    def _missing(self, submodule: Submodule) -> str:
        return f"{submodule.path}: commit {submodule.commit} of {shown(submodule.url) or 'an unknown repository'}"


def submodules(repository: Path, url: str, commit: str) -> list[Submodule]:
    """Return the submodules of a commit of the repository that came from ``url``."""
    entries = git.query(repository, "ls-tree", "-r", "-z", "--full-tree", commit).split("\0")
    links = [entry for entry in entries if entry.startswith(GITLINK)]
    urls = _urls(repository, commit) if links else {}
    found = []
    for entry in links:
        facts, _, path = entry.partition("\t")
        found.append(Submodule(path, facts.split()[2], absolute(urls[path], url) if path in urls else ""))
    return found


def _urls(repository: Path, commit: str) -> dict[str, str]:
    """Return the URLs of submodules by their folder."""
    try:
        text = git.query(repository, "config", f"--blob={commit}:.gitmodules", "-z", "--get-regexp", r"^submodule\.")
    except process.ProgramFailed:
        return {}
    names: dict[str, dict[str, str]] = {}
    for line in text.split("\0"):
        key, _, value = line.partition("\n")
        name, _, field = key.rpartition(".")
        names.setdefault(name, {})[field] = value
    return {facts["path"]: facts["url"] for facts in names.values() if "path" in facts and "url" in facts}


def absolute(url: str, parent: str) -> str:
    """Return a submodule's URL: ``./`` and ``../`` begin at the URL of its parent (git-submodule(1), add)."""
    if not url.startswith(("./", "../")):
        return url
    base = parent.rstrip("/")
    while url.startswith(("./", "../")):
        if url.startswith("../"):
            cut = max(base.rfind("/"), base.rfind(":"))
            base = base[: max(cut, 0)] if base[cut : cut + 1] == "/" else base[: cut + 1]
        url = url.partition("/")[2]
    return base + url if base.endswith(":") else f"{base}/{url}"


def require_submodules(writer: TreeWriter) -> None:
    """Raise SourceError if a submodule's folder is still empty after all sources are unpacked."""
    empty = [text for parts, text in writer.expected_folders.items() if writer.is_empty(parts)]
    if empty:
        raise SourceError(
            f"a git source has {len(empty)} submodules, whose folders are empty",
            shortened(empty),
            "fetch them with submodules: true in git:, or list each as a source (unpack: its folder), or name each "
            "under exclude: with a reason",
        )


def warn_of_empty(writer: TreeWriter, into: Parts, subject: str, excluded: Exclusion) -> None:
    """Add a warning if a source that is no git repository has a .gitmodules file, and empty folders in its places.

    GitHub's archives of a commit, and clones without --recurse-submodules, are like that.
    """
    path = writer.root.joinpath(*into, ".gitmodules")
    if path.is_symlink() or not path.is_file():
        return
    for place in DECLARED.findall(path.read_text(encoding="utf-8", errors="replace")):
        parts = tuple(place.split("/"))
        folder = writer.root.joinpath(*into, *parts)
        if ".." in parts or excluded.covers(parts) or not folder.is_dir() or any(folder.iterdir()):
            continue
        writer.warnings.append(
            f"{subject}: the folder {place} of a submodule is empty; list its repository as a source, or name it under "
            "exclude:"
        )
