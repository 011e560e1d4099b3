"""Reading a publication: its Release and its entries, checked against each other before they are built upon."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from builders.apt.index import Entry, parse, parse_translation
from builders.apt.layout import Repository
from builders.apt.release import Digest, Release, parse_release
from builders.errors import PublishError
from builders.products import DebFile
from builders.workspace import told

MEND = "restore the repository from a copy, or move it away and publish again"


@dataclass(frozen=True)
class Live:
    """One publication of one suite; each entry once, whatever indices list it."""

    suite: str
    stamp: str
    release: Release
    entries: tuple[Entry, ...]


def read_live(repository: Repository, suite: str) -> Live | None:
    """Return a suite's live publication, None where there is none.

    Raises PublishError where an index is not what its Release says: it must not be signed again.
    """
    stamp = repository.live_stamp(suite)
    return None if stamp is None else read_publication(repository, suite, stamp)


def read_publication(repository: Repository, suite: str, stamp: str) -> Live:
    """Return one of a suite's publications, live or not; raises PublishError as `read_live` does."""
    release = read_release(repository, suite, stamp)
    folder = repository.indices(suite, stamp)
    descriptions: dict[bytes, bytes] = {}
    for name in release.files:
        if name.endswith("/Translation-en"):
            descriptions |= parse_translation(_sound(folder / name, release.files[name]))
    entries: dict[str, Entry] = {}
    for name in release.files:
        if name.endswith("/Packages"):
            content = _sound(folder / name, release.files[name])
            entries |= {entry.filename: entry for entry in parse(content, str(folder / name), descriptions)}
    return Live(suite, stamp, release, tuple(entries.values()))


def _sound(path: Path, digest: Digest) -> bytes:
    with told(path):
        content = path.read_bytes()
    if digest_of(content) != digest:
        raise PublishError(
            f"{path} was changed after its publication",
            f"its Release says sha256 {digest.sha256}\nfound            {digest_of(content).sha256}",
            MEND,
        )
    return content


def published(repository: Path, suite: str) -> tuple[DebFile, ...]:
    """Return the .debs that a suite's live publication names; none where nothing is published.

    Raises PublishError as `read_live` does.
    """
    place = Repository(repository.absolute())
    live = read_live(place, suite)
    entries = live.entries if live else ()
    return tuple(
        DebFile(place.path / e.filename, e.package, e.version, e.architecture, e.size, e.sha256) for e in entries
    )


def read_release(repository: Repository, suite: str, stamp: str) -> Release:
    """Return one publication's Release; raises PublishError where it is broken, DiskError from reading."""
    path = repository.indices(suite, stamp) / "Release"
    with told(path):
        return parse_release(path.read_bytes(), str(path))


def digest_of(content: bytes) -> Digest:
    """Return the size and SHA-256 of some bytes."""
    return Digest(len(content), hashlib.sha256(content).hexdigest())
