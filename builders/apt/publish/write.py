"""Writing a candidate: a whole repository beside the published one, linked with it where nothing is new."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from builders.apt.indices.chunks import Piece
from builders.apt.indices.compression import FORMS
from builders.apt.indices.entry import Entry
from builders.apt.indices.kinds import Index, files
from builders.apt.indices.release import Digest
from builders.apt.keys.signing import SigningKey
from builders.apt.packages.ar_reader import BadArchive, members_of
from builders.apt.packages.file_list import files_of
from builders.apt.packages.intake import Taken
from builders.apt.publish.suite import NextSuite
from builders.apt.repository import layout
from builders.apt.repository.files import link, make_folder, point, settle, write_file
from builders.apt.repository.layout import Repository
from builders.apt.repository.publication import MEND, Live, digest_of, read_release
from builders.apt.state import catalog, read_cache
from builders.apt.state.catalog import News, held
from builders.apt.state.chunk_cache import Packer
from builders.errors import PublishError
from builders.host import process
from builders.host.files import disk_errors, raise_if_disk_full

SORT_MEMORY = "--buffer-size=16M"
LISTS_AT_ONCE = 500
"""So many .debs' files are held in memory."""


@dataclass(frozen=True)
class Candidate:
    """What is to be written: ``suites`` whole, of them ``changed`` anew, and the files ``root`` by name."""

    published: Repository
    staging: Repository
    suites: Sequence[NextSuite]
    changed: Sequence[NextSuite]
    root: Mapping[str, bytes]
    state: Path


def write(work: Candidate, taken: Iterable[Taken], key: SigningKey) -> list[News]:
    """Write the candidate and return what is to be remembered of it once it is published; raises DiskError."""
    date = max(suite.date for suite in work.suites)
    _write_pool(work, taken, date)
    packer, news = Packer(work.state), []
    for suite in work.suites:
        if suite in work.changed:
            news.append(_write_suite(work, suite, key, packer))
        elif suite.live:
            _link_snapshot(work.published, work.staging, suite.name, suite.live.stamp)
    _write_root(work, date)
    packer.save()
    return news


def _write_pool(work: Candidate, taken: Iterable[Taken], date: int) -> None:
    made: set[str] = set()
    with disk_errors(work.staging.path):
        for item in taken:
            for filename, copy in item.arriving:
                target = f"{work.staging.path}/{filename}"
                folder = target.rpartition("/")[0]
                if folder not in made:
                    make_folder(folder)
                    made.add(folder)
                os.utime(copy, (date, date))  # retention counts from here
                os.rename(copy, target)
    if work.published.pool.is_dir():
        make_folder(work.staging.pool)
        _link_pool(work.published.pool, work.staging.pool)


def _write_root(work: Candidate, date: int) -> None:
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


def _write_suite(work: Candidate, suite: NextSuite, key: SigningKey, packer: Packer) -> News:
    candidate = work.staging
    folder = candidate.indices(suite.name, suite.stamp)
    digests: dict[str, Digest] = {}
    outlines: dict[str, Sequence[tuple[str, int, str]]] = {}
    lists = _FileLists(work.published, candidate, work.state)
    for index in suite.indices():
        pieces = suite.pieces(index, packer, lists)
        if pieces is None and suite.live:
            digests |= _link_index(suite.live, index, folder)
            outlines |= suite.live.outline(index.path)
        elif pieces is not None:
            written, outlines[index.path] = _write_index(index, pieces, folder, suite.date, packer)
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
    return _news(suite, digest_of(content).sha256, outlines)


def _news(suite: NextSuite, release: str, outlines: catalog.Outlines) -> News:
    whole = suite.live is None or suite.live.outlines is None
    come = suite.entries if whole else suite.come
    gone = () if whole else tuple(deb.filename for deb in suite.gone)
    return News(suite.name, release, outlines, gone, tuple(held(entry) for entry in come), whole)


def _link_index(live: Live, index: Index, folder: Path) -> dict[str, Digest]:
    """Take an index over as it is published."""
    result = {}
    for name in files(index):
        make_folder((folder / name).parent)
        link(live.folder / name, folder / name)
        result[name] = live.release.files[name]
        _link_by_hash(folder / name, folder / name, result[name].sha256)
    return result


def _write_index(
    index: Index, pieces: Iterable[Piece], folder: Path, date: int, packer: Packer
) -> tuple[dict[str, Digest], list[tuple[str, int, str]]]:
    """Write every file of an index; return their digests by path, and what the catalog keeps of its pieces."""
    packed: dict[str, list[bytes]] = {form: [] for form in index.forms}
    marks: list[tuple[str, int, str]] = []

    def plain() -> Iterator[bytes]:
        for piece, contents in packer.pack(index.forms, pieces):
            marks.append(catalog.mark(piece))
            for form, content in contents.items():
                packed[form].append(content)
            if index.plain:
                yield piece.load()

    text = plain()
    result = {index.path: _write_parts(folder / index.path, text, date)} if index.plain else {}
    for _ in text:  # an index that has no plain file is packed all the same
        pass
    for form in index.forms:
        name = index.path + form
        result[name] = _write_parts(folder / name, FORMS[form].join(packed[form]), date)
    for name, digest in result.items():
        _link_by_hash(folder / name, folder / name, digest.sha256)
    return result, marks


def _write_parts(path: Path, parts: Iterable[bytes], date: int) -> Digest:
    """Write a new file in a folder that nobody reads yet, and return its digest."""
    make_folder(path.parent)
    digest, size = hashlib.sha256(), 0
    with disk_errors(path):
        with path.open("wb") as file:
            for part in parts:
                digest.update(part)
                size += file.write(part)
        settle(path, date)
    return Digest(size, digest.hexdigest())


@dataclass(frozen=True)
class _FileLists:
    """Gives the files of .debs: from the record, or read now where it lacks them, and then remembered."""

    published: Repository
    candidate: Repository
    state: Path

    def of(self, entries: Sequence[Entry]) -> Iterator[bytes]:
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


def _read_list(published: Repository, candidate: Repository, entry: Entry) -> bytes:
    new = candidate.path / entry.filename
    path = new if new.exists() else published.path / entry.filename
    try:
        with path.open("rb") as file:
            return files_of(file.fileno(), members_of(file.fileno())[1])
    except (OSError, BadArchive) as error:
        raise PublishError(f"cannot read the published {path}", str(error), MEND) from error


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
