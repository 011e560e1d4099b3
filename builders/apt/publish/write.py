"""Writes a candidate: a whole repository beside the published one, with links to what is not new."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from builders.apt.indices.chunks import Chunk
from builders.apt.indices.compression import FORMS
from builders.apt.indices.entry import IndexEntry
from builders.apt.indices.kinds import Index, files, listed
from builders.apt.indices.release import RESTORE, Digest
from builders.apt.keys.signing import SigningKey
from builders.apt.packages.ar_reader import BadArchive, members_of
from builders.apt.packages.file_list import files_of
from builders.apt.packages.intake import IncomingPackage
from builders.apt.publish.changelog_files import ReadChangelogs, write_changelogs
from builders.apt.publish.suite import NextSuite
from builders.apt.repository import layout
from builders.apt.repository.files import link, make_folder, point, settle, write_file
from builders.apt.repository.layout import RepositoryLayout
from builders.apt.repository.publication import PublishedSuite, digest_of, read_release
from builders.apt.state import catalog, read_cache
from builders.apt.state.catalog import SuiteChanges, pool_package
from builders.apt.state.chunk_cache import ChunkCache
from builders.errors import PublishError
from builders.host import process
from builders.host.files import disk_errors, raise_if_disk_full

SORT_MEMORY = "--buffer-size=16M"
LISTS_AT_ONCE = 500
"""Number of .debs whose file lists are in memory at once."""


@dataclass(frozen=True)
class Draft:
    """A candidate to write: all ``suites``, of which ``changed`` are new, and the files ``root`` by name."""

    published: RepositoryLayout
    staging: RepositoryLayout
    suites: Sequence[NextSuite]
    changed: Sequence[NextSuite]
    root: Mapping[str, bytes]
    state: Path


def write(
    work: Draft, incoming: Iterable[IncomingPackage], read: ReadChangelogs, key: SigningKey
) -> tuple[list[SuiteChanges], list[str]]:
    """Write the candidate; return its changes to the catalog once it is published, and the paths of new changelogs.

    Raises DiskError.
    """
    date = max(suite.date for suite in work.suites)
    _write_arriving(work, incoming, date)
    new = write_changelogs(work.changed, work.published, work.staging, read, date)
    if work.published.pool.is_dir():
        make_folder(work.staging.pool)
        _link_pool(work.published.pool, work.staging.pool)
    chunk_cache, changes = ChunkCache(work.state), []
    for suite in work.suites:
        if suite in work.changed:
            changes.append(_write_suite(work, suite, key, chunk_cache))
        elif suite.live:
            _link_snapshot(work.published, work.staging, suite.name, suite.live.stamp)
    _write_root(work, date)
    chunk_cache.save()
    return changes, new


def _write_arriving(work: Draft, incoming: Iterable[IncomingPackage], date: int) -> None:
    made: set[str] = set()
    with disk_errors(work.staging.path):
        for item in incoming:
            for filename, copy in item.arriving:
                target = f"{work.staging.path}/{filename}"
                folder = target.rpartition("/")[0]
                if folder not in made:
                    make_folder(folder)
                    made.add(folder)
                os.utime(copy, (date, date))  # retention counts from here
                os.rename(copy, target)


def _write_root(work: Draft, date: int) -> None:
    """Write the new files at the root, and link those that stay."""
    for name, content in work.root.items():
        write_file(work.staging.path / name, content, date)
    for path in work.published.path.iterdir() if work.published.path.is_dir() else ():
        if path.is_file():
            link(path, work.staging.path / path.name)


def _link_pool(published: Path, staged: Path) -> None:
    """Link a candidate's pool to the published pool: by folder where it has nothing new, else file by file.

    The links are absolute: a root that reads the candidate needs the published pool at its path.
    """
    with disk_errors(published), os.scandir(published) as found:
        for item in found:
            target = staged / item.name
            if not item.is_dir(follow_symlinks=False):
                link(Path(item.path), target)
            elif target.is_dir():
                _link_pool(Path(item.path), target)
            else:
                make_folder(staged)
                target.symlink_to(item.path)


def _write_suite(work: Draft, suite: NextSuite, key: SigningKey, chunk_cache: ChunkCache) -> SuiteChanges:
    candidate = work.staging
    folder = candidate.indices(suite.name, suite.stamp)
    digests: dict[str, Digest] = {}
    chunk_lists: dict[str, Sequence[tuple[str, int, str]]] = {}
    lists = _CachedLists(work.published, candidate, work.state)
    for index in suite.indices():
        chunks = suite.chunks(index, chunk_cache, lists)
        if chunks is None and suite.live:
            digests |= _link_index(suite.live, index, folder)
            chunk_lists |= suite.live.chunk_list(index.path)
        elif chunks is not None:
            written, chunk_lists[index.path] = _write_index(index, chunks, folder, suite.date, chunk_cache)
            digests |= written
    release = folder / "Release"
    content = suite.release(digests)
    write_file(release, content, suite.date)
    key.sign(release, date=suite.date)
    for name in ("InRelease", "Release.gpg"):
        with disk_errors(folder):
            settle(folder / name, suite.date)
    _keep_generations(work.published, candidate, suite)
    point(candidate.snapshot(suite.name, suite.stamp) / "pool", "../../../pool")
    point(candidate.live(suite.name), suite.link)
    return _news(suite, digest_of(content).sha256, chunk_lists)


def _news(suite: NextSuite, release: str, chunk_lists: catalog.ChunkLists) -> SuiteChanges:
    whole = suite.live is None or suite.live.chunk_lists is None
    arriving = suite.entries if whole else suite.arriving
    leaving = () if whole else tuple(deb.filename for deb in suite.leaving)
    return SuiteChanges(
        suite.name, release, chunk_lists, leaving, tuple(pool_package(entry) for entry in arriving), whole
    )


def _link_index(live: PublishedSuite, index: Index, folder: Path) -> dict[str, Digest]:
    """Link an unchanged index."""
    result = {name: live.release.files[name] for name in listed(index)}
    for name in files(index):
        make_folder((folder / name).parent)
        link(live.folder / name, folder / name)
        _link_by_hash(folder / name, folder / name, result[name].sha256)
    return result


def _write_index(
    index: Index, chunks: Iterable[Chunk], folder: Path, date: int, chunk_cache: ChunkCache
) -> tuple[dict[str, Digest], list[tuple[str, int, str]]]:
    """Write every file of an index; return what Release lists of it, and its chunks as the catalog stores them."""
    packed: dict[str, list[bytes]] = {form: [] for form in index.forms}
    chunk_refs: list[tuple[str, int, str]] = []

    def plain() -> Iterator[bytes]:
        for chunk, contents in chunk_cache.pack(index.forms, chunks):
            chunk_refs.append(catalog.chunk_ref(chunk))
            for form, content in contents.items():
                packed[form].append(content)
            yield chunk.load()

    result = {index.path: _write_parts(folder / index.path, plain(), date) if index.plain else _digest(plain())}
    for form in index.forms:
        name = index.path + form
        result[name] = _write_parts(folder / name, FORMS[form].join(packed[form]), date)
    for name in files(index):
        _link_by_hash(folder / name, folder / name, result[name].sha256)
    return result, chunk_refs


def _write_parts(path: Path, parts: Iterable[bytes], date: int) -> Digest:
    """Write a new file in a folder without readers yet, and return its digest."""
    make_folder(path.parent)
    digest, size = hashlib.sha256(), 0
    with disk_errors(path):
        with path.open("wb") as file:
            for part in parts:
                digest.update(part)
                size += file.write(part)
        settle(path, date)
    return Digest(size, digest.hexdigest())


def _digest(parts: Iterable[bytes]) -> Digest:
    digest, size = hashlib.sha256(), 0
    for part in parts:
        digest.update(part)
        size += len(part)
    return Digest(size, digest.hexdigest())


@dataclass(frozen=True)
class _CachedLists:
    """The file lists of .debs: from the cache, or read now and stored."""

    published: RepositoryLayout
    candidate: RepositoryLayout
    state: Path

    def of(self, entries: Sequence[IndexEntry]) -> Iterator[bytes]:
        for start in range(0, len(entries), LISTS_AT_ONCE):
            some = entries[start : start + LISTS_AT_ONCE]
            known = read_cache.recall_lists(self.state, [entry.sha256 for entry in some])
            fresh = {e.sha256: _read_list(self.published, self.candidate, e) for e in some if e.sha256 not in known}
            read_cache.remember_lists(self.state, {sha256: read_cache.packed(names) for sha256, names in fresh.items()})
            known |= fresh
            yield from (known[entry.sha256] for entry in some)

    def ordered(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        with (
            disk_errors(self.candidate.path),
            TemporaryDirectory(dir=self.candidate.path, prefix=".sorting-") as folder,
        ):
            given, result = Path(folder, "given"), Path(folder, "result")
            with given.open("wb") as file:
                file.writelines(line + b"\n" for line in lines)
            words = ["sort", SORT_MEMORY, f"--temporary-directory={folder}", f"--output={result}", str(given)]
            try:
                process.run(words, extra_environment={"LC_ALL": "C"})
            except process.ProgramFailed as error:
                raise_if_disk_full(error, Path(folder))
                raise
            with result.open("rb") as file:
                for line in file:
                    yield line[:-1]


def _read_list(published: RepositoryLayout, candidate: RepositoryLayout, entry: IndexEntry) -> bytes:
    new = candidate.path / entry.filename
    path = new if new.exists() else published.path / entry.filename
    try:
        with path.open("rb") as file:
            return files_of(file.fileno(), members_of(file.fileno())[1])[0]
    except (OSError, BadArchive) as error:
        raise PublishError(f"cannot read the published {path}", str(error), RESTORE) from error


def _link_by_hash(source: Path, beside: Path, sha256: str) -> None:
    folder = beside.parent / "by-hash" / "SHA256"
    make_folder(folder)
    link(source, folder / sha256)


def _keep_generations(place: RepositoryLayout, candidate: RepositoryLayout, suite: NextSuite) -> None:
    """Link the index files of earlier publications by hash (Debian RepositoryFormat, Acquire-By-Hash)."""
    if suite.live is None:
        return
    stamps = [stamp for stamp in place.stamps(suite.name) if stamp <= suite.live.stamp]
    folder = candidate.indices(suite.name, suite.stamp)
    older = suite.settings.repository.generations - 1
    for stamp in stamps[-older:] if older else ():
        old = place.indices(suite.name, stamp)
        for name, digest in read_release(place, suite.name, stamp).present.items():
            _link_by_hash(old / name, folder / name, digest.sha256)


def _link_snapshot(place: RepositoryLayout, candidate: RepositoryLayout, suite: str, stamp: str) -> None:
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
