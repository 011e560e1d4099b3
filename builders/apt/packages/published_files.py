"""The files of published packages, from the lists that publications cached: which package has a path."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from debian.deb822 import Deb822

from builders.apt.indices.entry import IndexEntry, ordered
from builders.apt.packages.ar_reader import BadArchive, members_of
from builders.apt.packages.file_list import files_of
from builders.apt.repository.layout import RepositoryLayout
from builders.apt.repository.publication import read_live
from builders.apt.state import read_cache
from builders.model.packages import DEBUG_SUFFIX


@dataclass(frozen=True)
class PublishedPackage:
    """A published package: its control fields, the absolute paths of its files, and the SHA-256 of its .deb."""

    control: Mapping[str, str]
    paths: frozenset[str]
    sha256: str


def published_files(
    repository: Path, suite: str, sought: Mapping[str, Set[str]], *, state: Path
) -> dict[str, list[PublishedPackage]]:
    """Return for each CPU of ``sought`` the packages that have one of its absolute paths and that a board may install.

    These are the newest versions for the CPU, without packages of debugging symbols. What the pool lacks, or what
    cannot be read, is left out: verifying the publication reports it.
    """
    live = read_live(RepositoryLayout(repository.absolute()), suite, state) if any(sought.values()) else None
    entries = ordered(live.entries) if live else []
    newest = {architecture: _newest(entries, architecture) for architecture in sought}
    digests = dict.fromkeys(entry.sha256 for found in newest.values() for entry in found)
    lists = read_cache.recall_lists(state, list(digests))
    result: dict[str, list[PublishedPackage]] = {}
    for architecture, found in newest.items():
        # Most packages share no path: they are left out before anything of them is decoded.
        paths = {path.removeprefix("/").encode() for path in sought[architecture]}
        result[architecture] = []
        for entry in found:
            if entry.sha256 not in lists:
                lists[entry.sha256] = _read(repository / entry.filename)
            if not paths.isdisjoint(lists[entry.sha256].split(b"\n")):
                result[architecture].append(_package(entry, lists[entry.sha256]))
    return result


def _newest(entries: Iterable[IndexEntry], architecture: str) -> list[IndexEntry]:
    fits = (e for e in entries if e.architecture in (architecture, "all") and not e.package.endswith(DEBUG_SUFFIX))
    return list({entry.package: entry for entry in fits}.values())


def _package(entry: IndexEntry, names: bytes) -> PublishedPackage:
    fields = {str(name): str(value) for name, value in Deb822(entry.stanza).items()}
    paths = frozenset(f"/{name}" for name in names.decode(errors="replace").splitlines())
    return PublishedPackage(fields, paths, entry.sha256)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return files_of(file.fileno(), members_of(file.fileno())[1])[0]
    except (OSError, BadArchive):
        return b""
