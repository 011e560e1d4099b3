"""The published suites as boards see them: their packages, and the files that add them to a board."""

from dataclasses import dataclass

from builders.apt.repository.context import RepositoryContext
from builders.apt.repository.layout import INSTALLED_KEYRING, KEYRING, RepositoryLayout
from builders.apt.repository.publication import published
from builders.apt.repository.sources_file import sources_name
from builders.errors import PublishError
from builders.host.files import disk_errors
from builders.model.packages import DebFile

SOURCES_FOLDER = "/etc/apt/sources.list.d"


@dataclass(frozen=True)
class BoardSuite:
    """A published suite: its publication's stamp, its packages, and two files by their paths on a board."""

    name: str
    stamp: str
    debs: tuple[DebFile, ...]
    keyring: tuple[str, bytes]
    sources: tuple[str, bytes]


def board_suites(context: RepositoryContext) -> list[BoardSuite]:
    """Return every published suite; raises PublishError if there is none."""
    place = RepositoryLayout(context.workspace.apt.absolute())
    found = []
    for suite in place.suites() if place.path.is_dir() else ():
        stamp = place.live_stamp(suite)
        sources = sources_name(context.settings, suite)
        if stamp is None:
            continue
        with disk_errors(place.path):
            keyring, text = (place.path / KEYRING).read_bytes(), (place.path / sources).read_bytes()
        debs = published(place.path, suite)
        found.append(
            BoardSuite(suite, stamp, debs, (INSTALLED_KEYRING, keyring), (f"{SOURCES_FOLDER}/{sources}", text))
        )
    if not found:
        raise PublishError("nothing is published yet", f"in {place.path}", "run ./inv build-arm publish-apt first")
    return found
