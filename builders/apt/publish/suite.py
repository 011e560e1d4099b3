"""The content of a suite's next publication, computed without touching a disk."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from builders.apt.indices.chunks import Chunk, cut, spliced
from builders.apt.indices.entry import IndexEntry, ordered
from builders.apt.indices.kinds import FileLists, Index, IndexChange, indices, listed
from builders.apt.indices.release import Digest, Release, release_fields
from builders.apt.repository.layout import DEBUG_COMPONENT, codename, link_target, stamp_of
from builders.apt.repository.publication import PublishedSuite
from builders.apt.state.catalog import PoolPackage
from builders.apt.state.chunk_cache import ChunkCache
from builders.model.arch import ARCHITECTURES
from builders.model.packages import SOURCE
from builders.model.settings import Settings


@dataclass(frozen=True)
class NextSuite:
    """A suite's next publication: the live one it follows, its Release date, what arrives and what leaves.

    An arriving entry replaces the entry with its path.
    """

    name: str
    live: PublishedSuite | None
    date: int
    architectures: tuple[str, ...]
    components: tuple[str, ...]
    arriving: tuple[IndexEntry, ...]
    leaving: tuple[PoolPackage, ...]
    settings: Settings
    signers: tuple[str, ...] = ()

    @cached_property
    def entries(self) -> tuple[IndexEntry, ...]:
        """Every entry in index order; reads the whole live publication."""
        return tuple(self._changed(self.live.entries if self.live else ()))

    @cached_property
    def change(self) -> IndexChange:
        """How the arriving and leaving packages change the indices."""
        packages = frozenset({deb.package for deb in self.arriving} | {deb.package for deb in self.leaving})
        before = self.live.entries_of(packages) if self.live else []
        return IndexChange(packages, tuple(ordered(before)), tuple(self._changed(before)))

    def _changed(self, before: Iterable[IndexEntry]) -> list[IndexEntry]:
        lost = {deb.filename for deb in self.arriving} | {deb.filename for deb in self.leaving}
        return ordered([*(entry for entry in before if entry.filename not in lost), *self.arriving])

    @property
    def stamp(self) -> str:
        """The publication's name."""
        return stamp_of(self.date)

    @property
    def link(self) -> str:
        """The target of the link ``dists/<suite>``."""
        return link_target(self.name, self.stamp)

    @property
    def shown_date(self) -> int:
        """The date that readers will see, in seconds since 1970: the live one where nothing changes."""
        return self.live.release.date if self.live and not self.differs() else self.date

    def fields(self) -> dict[str, str]:
        """Return its Release fields; raises PublishError for settings that do not fit into a line."""
        return release_fields(
            origin=self.settings.repository.origin,
            label=self.settings.repository.label,
            suite=self.name,
            date=self.date,
            architectures=self.architectures,
            components=self.components,
            valid_days=self.settings.repository.valid_days,
            signers=self.signers,
            snapshots_url=self.settings.repository.snapshots_url,
            changelogs_url=self.settings.repository.url,
        )

    def differs(self) -> bool:
        """Return whether readers would see more than a new date, or need a new date: half of its validity is over."""
        if self.live is None:
            return True
        if set(self.live.release.files) != {name for index in self.indices() for name in listed(index)}:
            return True
        until = self.live.release.valid_until
        if until and self.date > (self.live.release.date + until) / 2:
            return True
        dateless = [
            {**fields, "Date": "", "Valid-Until": str("Valid-Until" in fields)}
            for fields in (self.fields(), self.live.release.fields)
        ]
        return dateless[0] != dateless[1] or bool(self.arriving or self.leaving)

    def indices(self) -> Iterator[Index]:
        """Yield every index of the suite."""
        contents = self.settings.repository.contents
        return indices(self.components, self.architectures, contents=contents, sources=self.keeps_sources)

    @property
    def keeps_sources(self) -> bool:
        """Whether it has indices of source packages; a suite keeps them, for machines that ask for them."""
        return bool(self.live and self.live.keeps_sources) or any(entry.is_source for entry in self.arriving)

    def chunks(self, index: Index, chunk_cache: ChunkCache, lists: FileLists) -> Iterable[Chunk] | None:
        """Return the chunks of an index, of which only the changed are made again; None where it stays as it is."""
        known = self.live is not None and index.path in (self.live.chunk_lists or {})
        edits = index.edits(self.change, lists) if known else {}
        if known and not edits and self._is_listed(index):
            return None
        old = self.live.chunks(index.path, chunk_cache) if self.live and known else None
        if old is None:
            return cut(index.whole(self.entries, lists), index.chunking)
        return spliced(old, edits, index.chunking)

    def _is_listed(self, index: Index) -> bool:
        return self.live is not None and set(listed(index)) <= set(self.live.release.files)

    def release(self, digests: Mapping[str, Digest]) -> bytes:
        """Return the Release file over files with ``digests`` by path."""
        return Release(self.fields(), digests).render()


def next_suite(
    settings: Settings, name: str, live: PublishedSuite | None, arriving: Iterable[IndexEntry], *,
    leaving: Iterable[PoolPackage] = (), date: int, signers: Iterable[str] = (),
) -> NextSuite:  # fmt: skip
    """Return the publication that follows ``live``, dated after it (``date`` in seconds since 1970)."""
    new = {entry.filename: entry for entry in arriving}
    old = tuple(leaving)
    return NextSuite(
        name,
        live,
        max(date, live.release.date + 1) if live else date,
        architectures_of(settings, name, live, (entry.architecture for entry in new.values())),
        _components(settings, live, new.values(), old),
        tuple(new.values()),
        old,
        settings,
        tuple(signers),
    )


def suite_of(settings: Settings, live: PublishedSuite, signers: Iterable[str]) -> NextSuite:
    """Return a published suite as it stays."""
    return next_suite(settings, live.suite, live, (), date=live.release.date, signers=signers)


def _components(
    settings: Settings, live: PublishedSuite | None, arriving: Iterable[IndexEntry], leaving: Iterable[PoolPackage]
) -> tuple[str, ...]:
    """Return the components to write indices for: that of the settings, and those with packages."""
    there = live.components() if live else Counter[str]()
    there.subtract(Counter(deb.component for deb in leaving))
    found = {settings.repository.component} | {entry.component for entry in arriving}
    found |= {component for component, count in there.items() if count > 0}
    return tuple(sorted(found, key=lambda component: (component == DEBUG_COMPONENT, component)))


def architectures_of(
    settings: Settings, name: str, live: PublishedSuite | None, arriving: Iterable[str]
) -> tuple[str, ...]:
    """Return the CPUs to write indices for: published, ``arriving`` or targeted; all of Reef's where none is known."""
    found = set(arriving) | set(live.release.architectures if live else ())
    found |= {
        target.architecture.debian for target in settings.default_targets() if target.suite.name == codename(name)
    }
    return tuple(sorted(found - {"all", SOURCE} or ARCHITECTURES))
