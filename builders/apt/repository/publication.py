"""Reading a publication: its Release and its entries, compared with each other before anything builds on them."""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import accumulate
from pathlib import Path

from builders.apt.indices.chunks import Chunk, place_of
from builders.apt.indices.compression import UNPACK
from builders.apt.indices.entry import SOURCES, IndexEntry, names_files, parse_index, parse_translation
from builders.apt.indices.kinds import stanzas
from builders.apt.indices.release import RESTORE, Digest, Release, parse_release
from builders.apt.repository.layout import KEYRING, RepositoryLayout
from builders.apt.state.catalog import Catalog, ChunkLists, PoolPackage, pool_package
from builders.apt.state.chunk_cache import ChunkCache
from builders.errors import PublishError
from builders.host.files import disk_errors
from builders.model.packages import DEBUG_SUFFIX, DebFile


@dataclass(frozen=True)
class PublishedSuite:
    """One publication of one suite, in ``folder``; each entry once, although several indices list it.

    Only the Release is read at once. Reading an index raises PublishError where it does not match the Release: it must
    not be signed again.
    """

    suite: str
    stamp: str
    release: Release
    release_sha256: str
    folder: Path
    catalog: Catalog | None = None
    _contents: dict[str, bytes] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def entries(self) -> tuple[IndexEntry, ...]:
        """Every entry, read from the indices."""
        descriptions: dict[bytes, bytes] = {}
        for name in self._named("/Translation-en"):
            descriptions |= parse_translation(self.content(name))
        entries: dict[str, IndexEntry] = {}
        for name in filter(names_files, self.release.files):
            found = parse_index(name, self.content(name), str(self.folder / name), descriptions)
            entries |= {entry.filename: entry for entry in found}
        return tuple(entries.values())

    @property
    def keeps_sources(self) -> bool:
        """Whether it has an index of source packages."""
        return bool(self._named(SOURCES))

    @property
    def chunk_lists(self) -> Mapping[str, Sequence[tuple[bytes, int, str]]] | None:
        """The chunks of each index from the catalog; None where it does not know them."""
        return self.catalog.chunk_lists if self.catalog else None

    def packages(self, filenames: Collection[str] | None = None) -> list[PoolPackage]:
        """Return the .debs of the suite: those at ``filenames``, or all."""
        if self.catalog and self.chunk_lists is not None:
            return self.catalog.packages(None if filenames is None else list(filenames))
        return [pool_package(entry) for entry in self.entries if filenames is None or entry.filename in filenames]

    def over_limit(self, most: int, packages: Collection[str]) -> list[PoolPackage]:
        """Return the .debs with more than ``most`` versions in the suite (`PoolPackage.kind`), and of ``packages``."""
        if self.catalog and self.chunk_lists is not None:
            return self.catalog.over_limit(most, packages)
        return [pool_package(entry) for entry in self.entries]

    def components(self) -> Counter[str]:
        """Return how many .debs each component has."""
        if self.catalog and self.chunk_lists is not None:
            return self.catalog.components()
        return Counter(entry.component for entry in self.entries)

    def entries_of(self, packages: Collection[str]) -> list[IndexEntry]:
        """Return the entries of some packages; reads no more of the indices than necessary."""
        if self.chunk_lists is None or len(packages) > sum(map(len, self.chunk_lists.values())):
            return [entry for entry in self.entries if entry.package in packages]
        names = [name.encode() for name in packages]
        descriptions: dict[bytes, bytes] = {}
        for name in self._named("/Translation-en"):
            descriptions |= parse_translation(self._of(name, names))
        entries: dict[str, IndexEntry] = {}
        for name in filter(names_files, self.release.files):
            found = parse_index(name, self._of(name, names), str(self.folder / name), descriptions)
            entries |= {entry.filename: entry for entry in found}
        return list(entries.values())

    def chunks(self, index: str, chunk_cache: ChunkCache) -> list[Chunk] | None:
        """Return the chunks of an index, None where they are not known; chunks of Contents are stored compressed."""
        chunk_refs = (self.chunk_lists or {}).get(index)
        if chunk_refs is None:
            return None
        if index not in self.release.present:
            packed = chunk_cache.stored(".gz", [sha256 for _, _, sha256 in chunk_refs])
            if len(packed) < len({sha256 for _, _, sha256 in chunk_refs}):
                return None
            return [
                Chunk(first, size, sha256, partial(UNPACK[".gz"], packed[sha256])) for first, size, sha256 in chunk_refs
            ]
        result, start, content = [], 0, self.content(index)
        for first, size, sha256 in chunk_refs:
            result.append(Chunk(first, size, sha256, partial(_part, content, start, start + size)))
            start += size
        return result if start == len(content) else None

    def chunk_list(self, index: str) -> ChunkLists:
        """Return the catalog's chunks of an index, for the publication that takes the index over."""
        chunk_refs = (self.chunk_lists or {}).get(index, ())
        return {index: [(first.decode(errors="surrogateescape"), size, sha256) for first, size, sha256 in chunk_refs]}

    def content(self, name: str) -> bytes:
        """Return the bytes of an index; raises PublishError where they do not match the Release."""
        if name not in self._contents:
            self._contents[name] = _sound(self.folder / name, self.release.files[name])
        return self._contents[name]

    def _named(self, end: str) -> list[str]:
        return [name for name in self.release.files if name.endswith(end)]

    def _of(self, index: str, names: Sequence[bytes]) -> bytes:
        """Return the texts of some packages in a plain index."""
        content, keys, texts = self.content(index), set(names), []
        if chunk_refs := (self.chunk_lists or {}).get(index):
            starts = [0, *accumulate(size for _, size, _ in chunk_refs)]
            places = {place_of([first for first, _, _ in chunk_refs], name) for name in names}
            texts = [content[starts[place] : starts[place + 1]] for place in sorted(places)]
        else:
            texts = [content]
        return b"".join(part for text in texts for name, part in stanzas(text) if name in keys)


def read_live(repository: RepositoryLayout, suite: str, state: Path | None = None) -> PublishedSuite | None:
    """Return a suite's live publication with its catalog in ``state``, None where nothing is published.

    Raises PublishError where its Release is broken.
    """
    stamp = repository.live_stamp(suite)
    return None if stamp is None else read_publication(repository, suite, stamp, state)


def read_publication(repository: RepositoryLayout, suite: str, stamp: str, state: Path | None = None) -> PublishedSuite:
    """Return one of a suite's publications, live or not; raises PublishError as `read_live` does."""
    path = repository.indices(suite, stamp) / "Release"
    with disk_errors(path):
        content = path.read_bytes()
    sha256 = digest_of(content).sha256
    catalog = Catalog(state, suite, sha256) if state else None
    return PublishedSuite(suite, stamp, parse_release(content, str(path)), sha256, path.parent, catalog)


def _part(content: bytes, start: int, end: int) -> bytes:
    return content[start:end]


def _sound(path: Path, digest: Digest) -> bytes:
    with disk_errors(path):
        content = path.read_bytes()
    if digest_of(content) != digest:
        raise PublishError(
            f"{path} was changed after its publication",
            f"its Release says sha256 {digest.sha256}\nfound            {digest_of(content).sha256}",
            RESTORE,
        )
    return content


def published(repository: Path, suite: str) -> tuple[DebFile, ...]:
    """Return the .debs and .dscs of a suite's live publication; none where nothing is published.

    Raises PublishError where an index does not match its Release.
    """
    place = RepositoryLayout(repository.absolute())
    live = read_live(place, suite)
    entries = live.entries if live else ()
    return tuple(
        DebFile(e.package, e.version, e.architecture, e.size, e.sha256, place.path / e.filename) for e in entries
    )


def published_beside(repository: Path, names: Collection[str]) -> list[tuple[str, IndexEntry]]:
    """Return the published .debs of packages that are not in ``names``, each with its suite.

    The repository's own keyring and packages of debugging symbols are left out. Raises as `published` does.
    """
    left_out = {*names, KEYRING.removesuffix(".gpg")}
    place = RepositoryLayout(repository.absolute())
    return [
        (suite, entry)
        for suite in place.suites()
        if (live := read_live(place, suite))
        for entry in live.entries
        if not entry.is_source and entry.package.removesuffix(DEBUG_SUFFIX) not in left_out
    ]


def read_release(repository: RepositoryLayout, suite: str, stamp: str) -> Release:
    """Return one publication's Release; raises PublishError where it is broken, DiskError from reading."""
    path = repository.indices(suite, stamp) / "Release"
    with disk_errors(path):
        return parse_release(path.read_bytes(), str(path))


def digest_of(content: bytes) -> Digest:
    """Return the size and SHA-256 of some bytes."""
    return Digest(len(content), hashlib.sha256(content).hexdigest())
