"""The files of published packages, from the lists that publications cached: which package has a path."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from debian.deb822 import Deb822

from builders.apt.indices.entry import IndexEntry, ordered
from builders.apt.packages.ar_reader import BadArchive, members_of
from builders.apt.packages.file_list import files_of
from builders.apt.repository.layout import RepositoryLayout
from builders.apt.repository.publication import read_live
from builders.apt.state import read_cache
from builders.model.packages import DEBUG_SUFFIX


def published_files(
    repository: Path, suite: str, architecture: str, *, state: Path
) -> Iterator[tuple[Mapping[str, str], frozenset[str]]]:
    """Yield the control fields and the absolute paths of files of each package that a board of a suite may install.

    These are the newest versions for ``architecture``, without packages of debugging symbols. What the pool lacks, or
    what cannot be read, is left out: verifying the publication reports it.
    """
    live = read_live(RepositoryLayout(repository.absolute()), suite, state)
    newest: dict[str, IndexEntry] = {}
    for entry in ordered(live.entries) if live else ():
        if entry.architecture in (architecture, "all") and not entry.package.endswith(DEBUG_SUFFIX):
            newest[entry.package] = entry
    lists = read_cache.recall_lists(state, [entry.sha256 for entry in newest.values()])
    for entry in newest.values():
        names = lists.get(entry.sha256) or _read(repository / entry.filename)
        fields = {str(name): str(value) for name, value in Deb822(entry.stanza).items()}
        yield fields, frozenset(f"/{name}" for name in names.decode(errors="replace").splitlines())


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return files_of(file.fileno(), members_of(file.fileno())[1])[0]
    except (OSError, BadArchive):
        return b""
