"""Builds the next publication aside: a whole repository to test, before anything of it is published."""

import hashlib
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from builders.apt.indices.entry import IndexEntry
from builders.apt.keys.keyring_package import PACKAGE as KEYRING_PACKAGE
from builders.apt.keys.signatures import issuers
from builders.apt.keys.signing import SigningKey
from builders.apt.packages import intake
from builders.apt.packages.changelogs import Changelogs
from builders.apt.packages.intake import IncomingPackage
from builders.apt.publish import write
from builders.apt.publish.changelog_files import ReadChangelogs
from builders.apt.publish.root_files import changed_files, inputs_digest, new_page, releases, root_files, sources_files
from builders.apt.publish.suite import NextSuite, next_suite, suite_of
from builders.apt.publish.write import Draft
from builders.apt.repository import layout
from builders.apt.repository.journal import recover
from builders.apt.repository.layout import KEYRING, PAGE, RepositoryLayout
from builders.apt.repository.publication import PublishedSuite, read_live
from builders.apt.repository.retention import publications_naming, surplus
from builders.apt.state import read_cache
from builders.apt.state.catalog import PoolPackage, SuiteChanges, pool_package
from builders.errors import PublishError
from builders.host.files import remove_tree, sha256_of
from builders.host.log import Log
from builders.model.packages import SOURCE, DebFile
from builders.model.settings import Keep, Settings

FUTURE_S = 10
"""apt refuses a Release dated further ahead of its clock than this (apt.conf(5), Acquire::Max-FutureTime)."""

LISTS_AT_ONCE = 5000
"""Number of .debs whose file lists wait in memory to be stored together."""


@dataclass(frozen=True)
class StagedSuite:
    """One suite of a candidate: ``before`` is the live stamp it builds upon, ``stamp`` its own, the same where
    nothing is new. ``debs`` are the given .debs with their paths in the published pool."""

    suite: str
    before: str | None
    stamp: str
    debs: tuple[DebFile, ...]

    @property
    def changed(self) -> bool:
        return self.stamp != self.before


@dataclass(frozen=True)
class Staged:
    """A candidate repository at ``path``, complete for its suites; the published folder itself where nothing is new.

    ``pool`` names the new files of the pool and ``root_files`` the new files at the root, all below ``path``.
    `make_live` stores ``state``, ``read``, ``changes`` and ``made`` for the next run.
    """

    path: Path
    suites: tuple[StagedSuite, ...]
    pool: tuple[str, ...]
    root_files: tuple[str, ...]
    key_fingerprint: str
    key_expires: int | None
    state: Path
    read: tuple[tuple[str, read_cache.KnownFile], ...]
    changes: tuple[SuiteChanges, ...]
    made: Mapping[str, str]

    @property
    def changed(self) -> bool:
        return bool(self.root_files) or any(suite.changed for suite in self.suites)


def stage(
    repository: Path,
    debs: Mapping[str, Sequence[Path | DebFile]],
    staging: Path,
    *,
    settings: Settings,
    key: SigningKey,
    log: Log,
    date: int,
    state: Path,
    replacement: Mapping[str, Sequence[IndexEntry]] | None = None,
    phase: int = 100,
) -> Staged:
    """Build in ``staging`` the repository as it would be with ``debs`` (by suite name) added; publish nothing.

    ``phase`` is the percentage of boards that may take the new versions of a suite when they upgrade.

    ``replacement`` has, by suite name, entries of .debs in the pool that replace the suite's own. From the other suites
    ``repository.keep`` removes surplus versions.

    ``repository`` is the published folder or absent, ``staging`` absent or empty and best on the same filesystem (it
    links to published files), ``state`` a folder for Reef's own record outside the published tree. ``date`` in seconds
    since 1970 becomes the Release date, or else one second after the published date: clients ignore a Release that is
    dated back. The caller holds the repository's lock from here to the end of `make_live`.

    What a killed run left is discarded first; where nothing is new, nothing is written. Raises PublishError for a .deb,
    name or date that must not be published and for a broken published repository; DiskError.
    """
    place = RepositoryLayout(repository.absolute())
    _check(debs, settings, date)
    recover(place.path, state)
    lives = {name: live for name in place.suites() if (live := read_live(place, name, state))}
    read = ReadChangelogs(_incoming(staging))
    incoming = _take(place, debs, lives, read, staging=staging, settings=settings, state=state)
    root = root_files(place, sources_files(place, incoming, lives, settings), key)
    signers_differ = KEYRING in root or any(
        issuers(live.folder / "InRelease") != set(key.parts) for live in lives.values()
    )
    if signers_differ:
        # Another key or subkey, or a later end of it: every suite is signed again, also those without .debs.
        debs = {**debs, **{name: () for name in lives if name not in debs}}
        incoming = {name: incoming.get(name, []) for name in debs}
    suites = []
    for name in debs:
        new = _phased(_entries(incoming[name], name, lives), phase)
        given = [item.pool_package for item in incoming[name]]
        if replacement and name in replacement:
            arriving, leaving = _replaced(lives.get(name), replacement[name], given, new)
        else:
            arriving, leaving = new, _gone(place, lives.get(name), given, new, settings.repository.keep)
        suites.append(
            next_suite(settings, name, lives.get(name), arriving, leaving=leaving, date=date, signers=key.fingerprints)
        )
    rest = [suite_of(settings, live, key.fingerprints) for name, live in lives.items() if name not in debs]
    changed = [suite for suite in suites if signers_differ or suite.differs()]
    everything = [item for items in incoming.values() for item in items]
    changelogs = Changelogs(state, {item.pool_package.sha256: item.copy for item in everything if item.copy})
    text = new_page(place, [*suites, *rest], settings, key, state=state, changelogs=changelogs, changed=bool(changed))
    root |= changed_files({PAGE: text} if text else {}, place)
    changes: list[SuiteChanges] = []
    written: list[str] = []
    if changed or root:
        work = Draft(place, RepositoryLayout(staging), suites, changed, root, state)
        changes, written = write.write(work, everything, read, key)
        _warn_of_dates(changed, date, log)
    remove_tree(_incoming(staging))
    changes += [
        _rediscovered(live) for live in lives.values() if live.chunk_lists is None and live.suite not in _named(changes)
    ]
    return Staged(
        path=staging if changed or root else place.path,
        suites=tuple(_staged(place, suite, incoming[suite.name], suite in changed) for suite in suites),
        pool=tuple(sorted({path for item in everything for path, _ in item.arriving} | set(written))),
        root_files=tuple(root),
        key_fingerprint=key.fingerprint,
        key_expires=key.expires,
        state=state,
        read=tuple(
            (item.source, read_cache.KnownFile(item.stamp, item.pool_package.sha256, item.pool_package.filename))
            for item in everything
            if item.entry is not None  # the cache knows the others
        ),
        changes=tuple(changes),
        made={PAGE: inputs_digest(releases([*suites, *rest], changes), hashlib.sha256(text).hexdigest(), settings, key)}
        if text
        else {},
    )


def _named(changes: Iterable[SuiteChanges]) -> set[str]:
    return {change.suite for change in changes}


def _rediscovered(live: PublishedSuite) -> SuiteChanges:
    """Return the catalog's part for a publication that it does not know."""
    return SuiteChanges(live.suite, live.release_sha256, {}, (), tuple(live.packages()), whole=True)


def _entries(incoming: Sequence[IncomingPackage], name: str, lives: Mapping[str, PublishedSuite]) -> list[IndexEntry]:
    """Return the entries of the given packages that the suite ``name`` does not contain yet."""
    live = lives.get(name)
    present = (
        {deb.filename for deb in live.packages({item.pool_package.filename for item in incoming})} if live else set()
    )
    new = {item.pool_package.filename: item for item in incoming if item.pool_package.filename not in present}
    elsewhere = {item.pool_package.package for item in new.values() if item.entry is None}
    known = {e.filename: e for other in lives.values() for e in other.entries_of(elsewhere)} if elsewhere else {}
    return [item.entry or known[path] for path, item in new.items()]


def _phased(entries: Iterable[IndexEntry], phase: int) -> list[IndexEntry]:
    """Return a suite's new entries with their phase; the keyring reaches every board at once."""
    return [entry.phased(100 if entry.package == KEYRING_PACKAGE else phase) for entry in entries]


def _replaced(
    live: PublishedSuite | None,
    replacement: Sequence[IndexEntry],
    given: Sequence[PoolPackage],
    new: Sequence[IndexEntry],
) -> tuple[list[IndexEntry], list[PoolPackage]]:
    """Return the entries that arrive and the packages that leave a suite which is to contain ``replacement``."""
    there = {entry.filename: entry for entry in (live.entries if live else ())}
    staying = {entry.filename: entry for entry in (*new, *replacement)}
    staying |= {deb.filename: there[deb.filename] for deb in given if deb.filename not in staying}
    leaving = [pool_package(entry) for path, entry in there.items() if path not in staying]
    return [entry for path, entry in staying.items() if there.get(path) != entry], leaving


def _gone(
    place: RepositoryLayout,
    live: PublishedSuite | None,
    given: Sequence[PoolPackage],
    new: Sequence[IndexEntry],
    keep: Keep,
) -> list[PoolPackage]:
    """Return what ``keep`` removes; raises PublishError where that is a given package."""
    if not keep.limits:
        return []
    there = live.over_limit(keep.versions or 1, {deb.package for deb in given}) if live else []
    arriving = [pool_package(entry) for entry in new]
    result = _without_sources_in_use(surplus(there, arriving, keep, place.path), live, arriving)
    paths = {deb.filename for deb in given}
    for lost in result:
        if lost.filename in paths:
            raise PublishError(
                f"{lost} would be removed at once: newer versions of it fill repository.keep",
                f"repository.keep in reef.yml: {keep}",
                "publish a newer version, or raise versions or days in repository.keep",
            )
    return result


def _without_sources_in_use(
    leaving: list[PoolPackage], live: PublishedSuite | None, arriving: Sequence[PoolPackage]
) -> list[PoolPackage]:
    """Return ``leaving`` without source packages whose version a staying .deb has: a CPU may be behind."""
    if not any(deb.architecture == SOURCE for deb in leaving):
        return leaving
    paths = {deb.filename for deb in leaving}
    everything = (*(live.packages() if live else ()), *arriving)
    staying = {deb.version for deb in everything if deb.architecture != SOURCE and deb.filename not in paths}
    return [deb for deb in leaving if deb.architecture != SOURCE or deb.version not in staying]


def _check(debs: Iterable[str], settings: Settings, date: int) -> None:
    for name in debs:
        layout.checked("suite name", name, layout.SUITE)
    component = layout.checked("component", settings.repository.component, layout.COMPONENT, "reef.yml")
    if component == layout.DEBUG_COMPONENT:
        raise PublishError(
            f"the component {component!r} is reserved for debug symbols", fix="correct repository.component in reef.yml"
        )
    if date > time.time() + FUTURE_S:
        raise PublishError(
            f"the publication's date is in the future: {layout.stamp_of(date)}",
            "apt refuses a Release file dated ahead of its clock",
            "correct SOURCE_DATE_EPOCH or this machine's clock",
        )


def _take(
    place: RepositoryLayout,
    debs: Mapping[str, Sequence[Path | DebFile]],
    lives: Mapping[str, PublishedSuite],
    changelogs: ReadChangelogs,
    *,
    staging: Path,
    settings: Settings,
    state: Path,
) -> dict[str, list[IncomingPackage]]:
    given = [(name, deb) for name, items in debs.items() for deb in items]

    def find(filenames: list[str]) -> dict[str, PoolPackage]:
        return {deb.filename: deb for live in lives.values() for deb in live.packages(filenames)} if filenames else {}

    paths = [str(intake.path_of(deb).absolute()) for _, deb in given]
    found = intake.unchanged([deb for _, deb in given], read_cache.recall(state, paths), find)
    fresh = [deb for (_, deb), item in zip(given, found, strict=True) if item is None]
    read: list[IncomingPackage] = []
    lists: dict[str, bytes] = {}
    for item, files, changelog in intake.take(fresh, _incoming(staging), settings.repository.component):
        read.append(item)
        if item.entry and settings.repository.url:
            changelogs.add(item.entry, changelog)
        if files is not None:
            lists[item.pool_package.sha256] = files
        if len(lists) == LISTS_AT_ONCE:
            # Stored before it is certain that they are published: together they would fill the memory.
            read_cache.remember_lists(state, lists)
            lists.clear()
    read_cache.remember_lists(state, lists)
    packages = {item.pool_package.package for item in read}
    published = [entry for live in lives.values() for entry in live.entries_of(packages)] if packages else []
    without_duplicates = iter([_pooled(place, item) for item in intake.without_duplicates(read, published)])
    result: dict[str, list[IncomingPackage]] = {name: [] for name in debs}
    for (name, _), known in zip(given, found, strict=True):
        result[name].append(known or next(without_duplicates))
    return result


def _pooled(place: RepositoryLayout, item: IncomingPackage) -> IncomingPackage:
    """Return ``item`` without the files that the pool contains already, from earlier publications.

    Raises PublishError where such a file has other bytes and a publication names it.
    """
    if item.copy and not _arrives(place, item, item.pool_package.filename, item.pool_package.sha256):
        item = replace(item, copy=None)
    digests = {path: sha256 for path, _, sha256 in item.entry.parts} if item.entry and item.parts else {}
    parts = tuple(part for part in item.parts if _arrives(place, item, part[0], digests[part[0]]))
    return replace(item, parts=parts) if len(parts) < len(item.parts) else item


def _arrives(place: RepositoryLayout, item: IncomingPackage, filename: str, sha256: str) -> bool:
    """Return whether a file of ``item`` is new in the pool; raises PublishError where other bytes are published."""
    if not os.path.isfile(f"{place.path}/{filename}"):
        return True
    path = place.path / filename
    digest = sha256_of(path)
    if digest == sha256:
        return False
    names = publications_naming(place, filename)
    if not names:
        return True  # a killed run left it, and no reader saw it
    own = filename == item.pool_package.filename
    raise PublishError(
        f"{item.pool_package if own else path.name} was published before with other bytes",
        f"published sha256 {digest} in {', '.join(names)}\ngiven sha256     {sha256} {item.source}",
        "raise the recipe's revision: a published version never changes"
        if own
        else "its upstream sources changed: raise the recipe's version",
    )


def _incoming(staging: Path) -> Path:
    return staging / ".incoming"


def _warn_of_dates(changed: Iterable[NextSuite], date: int, log: Log) -> None:
    for suite in changed:
        if suite.date != date:
            log.warn(
                f"{suite.name} is dated {suite.stamp}, one second after what is published: this run's own date, "
                f"{layout.stamp_of(date)}, is not later, and clients ignore a Release that is dated back"
            )


def _staged(
    place: RepositoryLayout, suite: NextSuite, incoming: Iterable[IncomingPackage], changed: bool
) -> StagedSuite:
    before = suite.live.stamp if suite.live else None
    found = (item.pool_package for item in incoming)
    debs = tuple(
        DebFile(d.package, d.version, d.architecture, d.size, d.sha256, place.path / d.filename) for d in found
    )
    return StagedSuite(suite.name, before, suite.stamp if changed or before is None else before, debs)
