"""Building the next publication aside: a whole repository to test, of which nothing is published yet."""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from builders.apt import intake, layout, seen
from builders.apt.archive import BadArchive
from builders.apt.changelogs import Changelogs
from builders.apt.filelist import files_of
from builders.apt.index import Entry
from builders.apt.indices import Lists, Pack
from builders.apt.intake import Known, Taken
from builders.apt.journal import recover
from builders.apt.keyring_package import PACKAGE as KEYRING_PACKAGE
from builders.apt.keys import SigningKey
from builders.apt.layout import ARMORED_KEYRING, KEYRING, Repository
from builders.apt.live import MEND, Live, digest_of, read_live, read_release
from builders.apt.packer import Packer
from builders.apt.page import PAGE, page
from builders.apt.retention import publications_naming, retained
from builders.apt.suite import NextSuite, next_suite, sources_name, sources_text, suite_of
from builders.apt.tree import link, make_folder, move, point, settle, write_file
from builders.debfile import sha256_of
from builders.errors import PublishError
from builders.log import Log
from builders.products import DebFile
from builders.settings import Settings
from builders.workspace import remove_tree, told

FUTURE_S = 10
"""apt refuses a Release dated further ahead of its clock than this (apt.conf(5), Acquire::Max-FutureTime)."""


@dataclass(frozen=True)
class StagedSuite:
    """One suite of a candidate: ``before`` is the live stamp it builds upon, ``stamp`` its own, the same where
    nothing is new. ``debs`` are the given .debs as they will lie in the published pool."""

    suite: str
    before: str | None
    stamp: str
    debs: tuple[DebFile, ...]

    @property
    def changed(self) -> bool:
        return self.stamp != self.before


@dataclass(frozen=True)
class Staged:
    """A candidate repository at ``path``, whole for its suites; the published folder itself where nothing is new.

    ``pool`` names the new .debs and ``root_files`` the new files at the root, all below ``path``; ``state`` and
    ``seen`` are what `promote` records for the next run.
    """

    path: Path
    suites: tuple[StagedSuite, ...]
    pool: tuple[str, ...]
    root_files: tuple[str, ...]
    key_fingerprint: str
    key_expires: int | None
    state: Path
    seen: tuple[tuple[str, seen.Seen], ...]

    @property
    def changed(self) -> bool:
        return bool(self.root_files) or any(suite.changed for suite in self.suites)


@dataclass(frozen=True)
class _Candidate:
    """What is to be written: ``suites`` whole, of them ``changed`` anew, and the files ``root`` by name."""

    published: Repository
    staging: Repository
    suites: Sequence[NextSuite]
    changed: Sequence[NextSuite]
    root: Mapping[str, bytes]
    pack: Pack
    lists: Lists | None


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
    instead: Mapping[str, Sequence[Entry]] | None = None,
    phase: int = 100,
) -> Staged:
    """Build in ``staging`` the repository as it would be with ``debs`` (by suite name) added; publish nothing.

    ``phase`` is how many of a hundred boards may take the versions that are new in a suite when they upgrade.

    ``instead`` gives, by suite name, entries of .debs in the pool that take the place of what the suite holds; the
    other suites lose what ``repository.keep`` lets go.

    ``repository`` is the published folder or absent, ``staging`` absent or empty and best on the same filesystem
    (what is published there is linked), ``state`` a folder for Reef's own record outside the published tree. ``date``
    in seconds since 1970 becomes the Release date, or one second after the published one where that is not
    earlier: clients keep what they have when a Release is dated back. The caller holds the repository's lock from
    here to the end of `promote`.

    What a killed run left is discarded first; where nothing is new, nothing is written. Raises PublishError for a
    .deb, name or date that must not be published and for a published repository that is not sound; DiskError.
    """
    place = Repository(repository.absolute())
    _check(debs, settings, date)
    recover(place.path, state)
    lives = {name: live for name in place.suites() if (live := read_live(place, name))}
    taken = _take(place, debs, lives, staging=staging, settings=settings, state=state)
    root = _root_files(place, debs, settings, key)
    if KEYRING in root:
        # Another key, or a longer-lived one: every suite is signed again, also those that nobody named.
        debs = {**debs, **{name: () for name in lives if name not in debs}}
        taken = {name: taken.get(name, []) for name in debs}
    suites = []
    for name in debs:
        live = lives.get(name)
        given = _phased([item.entry for item in taken[name]], live, phase)
        wanted = _wanted(place, live, given, (instead or {}).get(name), settings)
        suites.append(next_suite(settings, name, live, wanted, date=date, signers=key.fingerprints))
    rest = [suite_of(settings, live, key.fingerprints) for name, live in lives.items() if name not in debs]
    changed = [suite for suite in suites if KEYRING in root or suite.differs()]
    everything = [item for items in taken.values() for item in items]
    changelogs = Changelogs(state, {item.entry.sha256: item.copy for item in everything if item.copy})
    root |= _other_root({PAGE: page(settings, place.path, [*suites, *rest], key, changelogs)}, place)
    if changed or root:
        packer = Packer(state)
        lists = _file_lists(place, changed, everything, state) if settings.repository.contents else None
        _write(_Candidate(place, Repository(staging), suites, changed, root, packer.pack, lists), everything, key)
        packer.save()
        _tell_dates(changed, date, log)
    remove_tree(_incoming(staging))
    return Staged(
        path=staging if changed or root else place.path,
        suites=tuple(_staged(place, suite, taken[suite.name], suite in changed) for suite in suites),
        pool=tuple(sorted({item.entry.filename for item in everything if item.copy})),
        root_files=tuple(root),
        key_fingerprint=key.fingerprint,
        key_expires=key.expires,
        state=state,
        seen=tuple(_memory(item) for item in everything),
    )


def _phased(given: Iterable[Entry], live: Live | None, phase: int) -> list[Entry]:
    """Return ``given`` with the suite's own phases: what is there keeps its own, what is new gets ``phase``.

    The keyring reaches every board at once.
    """
    there = {entry.filename: entry for entry in live.entries} if live else {}
    new = [entry.phased(100 if entry.package == KEYRING_PACKAGE else phase) for entry in given]
    return [there.get(entry.filename, entry) for entry in new]


def _wanted(
    place: Repository, live: Live | None, given: Sequence[Entry], instead: Sequence[Entry] | None, settings: Settings
) -> list[Entry]:
    """Return what a suite is to hold, each path once."""
    if instead is not None:
        return [*instead, *given]
    everything = {entry.filename: entry for entry in (*(live.entries if live else ()), *given)}
    kept = retained(everything.values(), settings.repository.keep, place.path)
    for lost in set(given) - set(kept):
        raise PublishError(
            f"{lost} would go at once: newer versions of it fill what repository.keep leaves",
            f"repository.keep in reef.yml: {settings.repository.keep}",
            "publish a newer version, or raise versions or days there",
        )
    return kept


def _check(debs: Iterable[str], settings: Settings, date: int) -> None:
    for name in debs:
        layout.checked("suite name", name, layout.SUITE)
    component = layout.checked("component", settings.repository.component, layout.COMPONENT, "reef.yml")
    if component == layout.DEBUG_COMPONENT:
        raise PublishError(f"the component {component!r} is for debug symbols", fix="correct repository.component")
    if date > time.time() + FUTURE_S:
        raise PublishError(
            f"the publication's date lies in the future: {layout.stamp_of(date)}",
            "apt refuses a Release file dated ahead of its clock",
            "correct SOURCE_DATE_EPOCH or this machine's clock",
        )


def _take(
    place: Repository,
    debs: Mapping[str, Sequence[Path | DebFile]],
    lives: Mapping[str, Live],
    *,
    staging: Path,
    settings: Settings,
    state: Path,
) -> dict[str, list[Taken]]:
    published = [entry for live in lives.values() for entry in live.entries]
    known = Known(seen.recall(state), {entry.filename: entry for entry in published})
    given = [(name, deb) for name, items in debs.items() for deb in items]
    read = intake.take([deb for _, deb in given], _incoming(staging), settings.repository.component, known)
    result: dict[str, list[Taken]] = {name: [] for name in debs}
    settled = [_pooled(place, item) for item in intake.settled(read, published)]
    for (name, _), item in zip(given, settled, strict=True):
        result[name].append(item)
    return result


def _pooled(place: Repository, item: Taken) -> Taken:
    """Return ``item`` as what lies in the pool already for earlier publications, where something does.

    Raises PublishError where that has other bytes and a publication names it.
    """
    path = place.path / item.entry.filename
    if item.copy is None or not path.is_file():
        return item
    digest = sha256_of(path)
    if digest == item.entry.sha256:
        return replace(item, copy=None)
    names = publications_naming(place, item.entry.filename)
    if not names:
        return item  # a killed run left it, and nobody ever saw it
    raise PublishError(
        f"{item.entry} was published before with other bytes",
        f"published sha256 {digest} in {', '.join(names)}\ngiven sha256     {item.entry.sha256} {item.source}",
        "raise the recipe's revision: a published version never changes",
    )


def _incoming(staging: Path) -> Path:
    return staging / ".incoming"


def _other_root(wanted: Mapping[str, bytes], place: Repository) -> dict[str, bytes]:
    """Return those of the ``wanted`` files at the root that are not there yet as they should be."""
    with told(place.path):
        return {name: content for name, content in wanted.items() if not _holds(place.path / name, content)}


def _root_files(place: Repository, suites: Iterable[str], settings: Settings, key: SigningKey) -> dict[str, bytes]:
    """Return the files at the repository's root that are not there yet as they should be."""
    wanted = {KEYRING: key.public, ARMORED_KEYRING: key.armored}
    for name in suites:
        text = sources_text(settings, place.path, name)
        wanted[sources_name(settings, name)] = text.encode()
    return _other_root(wanted, place)


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _tell_dates(changed: Iterable[NextSuite], date: int, log: Log) -> None:
    for suite in changed:
        if suite.date != date:
            log.warn(
                f"{suite.name} is dated {suite.stamp}, one second after what is published: this run's own date, "
                f"{layout.stamp_of(date)}, is not later, and clients pass over a Release that is dated back"
            )


def _write(work: _Candidate, taken: Iterable[Taken], key: SigningKey) -> None:
    date = max(suite.date for suite in work.suites)
    for item in taken:
        if item.copy:
            settle(item.copy, date)  # retention counts from here
            move(item.copy, work.staging.path / item.entry.filename)
    if work.published.pool.is_dir():
        make_folder(work.staging.pool)
        _link_pool(work.published.pool, work.staging.pool)
    for suite in work.suites:
        if suite in work.changed:
            _write_suite(work, suite, key)
        elif suite.live:
            _link_snapshot(work.published, work.staging, suite.name, suite.live.stamp)
    _write_root(work, date)


def _write_root(work: _Candidate, date: int) -> None:
    """Put the files at the root in place: the new ones, and those that stay."""
    for name, content in work.root.items():
        write_file(work.staging.path / name, content, date)
    for path in work.published.path.iterdir() if work.published.path.is_dir() else ():
        if path.is_file():
            link(path, work.staging.path / path.name)


def _link_pool(published: Path, staged: Path) -> None:
    """Let a candidate's pool lead to the published one: by folder where nothing new lies in it, else file by file.

    The links are absolute: whoever looks at the candidate from inside a root needs the published pool at its place.
    """
    with told(published), os.scandir(published) as found:
        for item in found:
            target = staged / item.name
            if not item.is_dir(follow_symlinks=False):
                link(Path(item.path), target)
            elif target.is_dir():
                _link_pool(Path(item.path), target)
            else:
                make_folder(staged)
                target.symlink_to(item.path)


def _file_lists(place: Repository, suites: Iterable[NextSuite], taken: Iterable[Taken], state: Path) -> Lists:
    """Return the files of every .deb in ``suites``, and remember those read now: each is read once."""
    known = seen.recall_lists(state)
    fresh = {item.entry.sha256: item.files for item in taken if item.files is not None}
    for entry in {entry for suite in suites for entry in suite.entries}:
        if entry.sha256 not in known and entry.sha256 not in fresh:
            path = place.path / entry.filename
            try:
                fresh[entry.sha256] = files_of(path)
            except (OSError, BadArchive) as error:
                raise PublishError(f"cannot read the published {path}", str(error), MEND) from error
    seen.remember_lists(state, {sha256: names for sha256, names in fresh.items() if sha256 not in known})
    return {**known, **fresh}


def _write_suite(work: _Candidate, suite: NextSuite, key: SigningKey) -> None:
    place, candidate = work.published, work.staging
    folder = candidate.indices(suite.name, suite.stamp)
    digests = {}
    for name, content in suite.index_files(work.pack, work.lists):
        write_file(folder / name, content, suite.date)
        digests[name] = digest_of(content)
        _link_by_hash(folder / name, folder / name, digests[name].sha256)
    release = folder / "Release"
    write_file(release, suite.release(digests), suite.date)
    key.sign(release, date=suite.date)
    for name in ("InRelease", "Release.gpg"):
        with told(folder):
            (folder / name).chmod(0o644)
            os.utime(folder / name, (suite.date, suite.date))
    _keep_generations(place, candidate, suite)
    point(candidate.snapshot(suite.name, suite.stamp) / "pool", "../../../pool")
    point(candidate.live(suite.name), suite.link)


def _link_by_hash(source: Path, beside: Path, sha256: str) -> None:
    folder = beside.parent / "by-hash" / "SHA256"
    make_folder(folder)
    link(source, folder / sha256)


def _keep_generations(place: Repository, candidate: Repository, suite: NextSuite) -> None:
    """Link the index files of earlier publications by hash (Debian RepositoryFormat, Acquire-By-Hash)."""
    if suite.live is None:
        return
    stamps = [stamp for stamp in place.stamps(suite.name) if stamp <= suite.live.stamp]
    folder = candidate.indices(suite.name, suite.stamp)
    older = suite.settings.repository.generations - 1
    for stamp in stamps[-older:] if older else ():
        old = place.indices(suite.name, stamp)
        for name, digest in read_release(place, suite.name, stamp).files.items():
            _link_by_hash(old / name, folder / name, digest.sha256)


def _link_snapshot(place: Repository, candidate: Repository, suite: str, stamp: str) -> None:
    source = place.snapshot(suite, stamp)
    for path in sorted(source.rglob("*")):
        target = candidate.snapshot(suite, stamp) / path.relative_to(source)
        if path.is_symlink():
            point(target, os.readlink(path))
        elif path.is_dir():
            make_folder(target)
        else:
            link(path, target)
    point(candidate.live(suite), layout.link_target(suite, stamp))


def _staged(place: Repository, suite: NextSuite, taken: Iterable[Taken], changed: bool) -> StagedSuite:
    before = suite.live.stamp if suite.live else None
    debs = tuple(
        DebFile(
            place.path / item.entry.filename,
            item.entry.package,
            item.entry.version,
            item.entry.architecture,
            item.entry.size,
            item.entry.sha256,
        )
        for item in taken
    )
    return StagedSuite(suite.name, before, suite.stamp if changed or before is None else before, debs)


def _memory(item: Taken) -> tuple[str, seen.Seen]:
    return str(item.source), seen.Seen(item.stamp, item.entry.sha256, item.entry.filename)
