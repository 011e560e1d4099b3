"""Takes in .debs and source packages: each is copied, hashed and read once, many of them by several processes.

They are copied, never hard-linked: dpkg-deb overwrites a file of the same name in place, which would change the
published pool through a link.
"""

import marshal
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue

from builders.apt.indices.entry import IndexEntry
from builders.apt.packages import reader
from builders.apt.packages.reader import Reading
from builders.apt.repository.files import make_folder
from builders.apt.state import read_cache
from builders.apt.state.catalog import PoolPackage, pool_package
from builders.errors import PublishError
from builders.host import process
from builders.host.files import disk_errors, raise_if_disk_full
from builders.model.packages import DebFile

MANY = 1000
"""From this number of .debs on, processes are faster: threads share one interpreter."""

PART = 250
"""Number of .debs that a process reads and returns together: the results are in memory twice for a moment."""

ReadRequest = tuple[str, str, str, str]
"""The arguments of `reader.read`."""


@dataclass(frozen=True, slots=True)
class IncomingPackage:
    """One .deb or .dsc given to this publication; ``copy`` is its private copy, None where it is published already.

    ``stamp`` is the original's identity on the disk when it was read; it has an ``entry`` where it was read now.
    ``parts`` are the files of a source package that go into the pool: path in the pool and private copy.
    """

    source: str
    stamp: str
    pool_package: PoolPackage
    entry: IndexEntry | None = None
    copy: str | None = None
    parts: tuple[tuple[str, str], ...] = ()

    @property
    def arriving(self) -> tuple[tuple[str, str], ...]:
        """The files that go into the pool: path in the pool and private copy."""
        return ((self.pool_package.filename, self.copy), *self.parts) if self.copy else self.parts


def unchanged(
    debs: Sequence[Path | DebFile],
    known_files: dict[str, read_cache.KnownFile],
    find: Callable[[list[str]], dict[str, PoolPackage]],
) -> list[IncomingPackage | None]:
    """Return the published package for each given .deb whose file is unchanged; None for those that must be read.

    ``known_files`` are the files that earlier runs read, by absolute path; ``find`` returns published packages
    by path in the pool.
    """
    paths = [os.path.abspath(path_of(deb)) for deb in debs]
    there = find([known_files[path].filename for path in paths if path in known_files])
    return [_unchanged(deb, path, known_files.get(path), there) for deb, path in zip(debs, paths, strict=True)]


def _unchanged(
    deb: Path | DebFile, path: str, known: read_cache.KnownFile | None, there: dict[str, PoolPackage]
) -> IncomingPackage | None:
    published = there.get(known.filename) if known else None
    if known is None or published is None or published.sha256 != known.sha256:
        return None
    if isinstance(deb, DebFile) and deb.sha256 != known.sha256:
        return None
    try:
        current = read_cache.stamp(os.stat(path))
    except OSError:
        return None  # reading it reports the error
    return IncomingPackage(path, current, published) if current == known.stamp else None


Read = tuple[IncomingPackage, bytes | None, bytes]
"""A package that was read now, its packed file list, and its changelog as packed in it."""


def take(debs: Sequence[Path | DebFile], folder: Path, component: str) -> Iterator[Read]:
    """Read .debs and yield them in their order; copies each into ``folder``.

    Raises PublishError for an invalid .deb or one that differs from its DebFile, DiskError from copying.
    """
    if debs:
        make_folder(folder)
    requests: list[ReadRequest] = [
        (os.path.abspath(path_of(deb)), deb.sha256 if isinstance(deb, DebFile) else "", f"{folder}/{number}", component)
        for number, deb in enumerate(debs)
    ]
    count = os.cpu_count() or 1
    if len(requests) < MANY:
        with ThreadPoolExecutor(count) as pool:
            yield from map(_taken, requests, pool.map(lambda request: reader.read(*request), requests))
    else:
        yield from _read_by_processes(requests, folder, count)


def path_of(deb: Path | DebFile) -> Path:
    """Return the path of a given .deb."""
    return deb.path if isinstance(deb, DebFile) else deb


def _read_by_processes(requests: Sequence[ReadRequest], folder: Path, count: int) -> Iterator[Read]:
    """Yield in order what ``count`` processes read by turns; raises their errors, and ends them."""
    parts = [requests[start : start + PART] for start in range(0, len(requests), PART)]
    said: list[SimpleQueue[str]] = [SimpleQueue() for _ in range(count)]
    stopped = threading.Event()

    def run(first: int) -> None:
        def line(text: str) -> None:
            if stopped.is_set():
                raise InterruptedError
            if text.isdigit():
                said[first].put(text)

        job = folder / f"job{first}"
        try:
            with disk_errors(job):
                job.write_bytes(marshal.dumps([(number, parts[number]) for number in range(first, len(parts), count)]))
            process.run([sys.executable, "-m", "builders.apt.packages.reader", str(job)], on_line=line)
        except process.ProgramFailed as error:
            raise_if_disk_full(error, folder)
            raise
        finally:
            said[first].put("the end")

    with ThreadPoolExecutor(count) as pool:
        readers = [pool.submit(run, first) for first in range(count)]
        try:
            for number, part in enumerate(parts):
                if (text := said[number % count].get()) != str(number):
                    readers[number % count].result()
                    raise AssertionError(f"a reader printed {text!r} instead of {number}")
                yield from _handed_over(part, folder / f"job{number % count}.{number}")
        finally:
            stopped.set()


def _handed_over(requests: Sequence[ReadRequest], file: Path) -> Iterator[Read]:
    """Return what a process read; raises its error."""
    found, refusal = marshal.loads(file.read_bytes())  # noqa: S302 - written by Reef itself
    file.unlink()
    if refusal:
        kind, *texts = refusal
        raise reader.KINDS[kind](*texts)
    return map(_taken, requests, found)


def _taken(request: ReadRequest, reading: Reading) -> Read:
    stamp, package, version, architecture, filename, size, sha256, stanza, description, files, changelog, parts = (
        reading
    )
    entry = IndexEntry(
        package, sys.intern(version), sys.intern(architecture), filename, size, sha256, stanza, description, parts
    )
    copies = tuple((path, reader.part_copy(request[2], number)) for number, (path, _, _) in enumerate(parts))
    return IncomingPackage(request[0], stamp, pool_package(entry), entry, request[2], copies), files, changelog


def without_duplicates(incoming: Sequence[IncomingPackage], published: Iterable[IndexEntry]) -> list[IncomingPackage]:
    """Return the packages with each content once: what is published, or given twice, keeps its first path.

    ``published`` are at least all entries of the packages that were read. Raises PublishError where a name, version and
    architecture, or a pool path, would have two contents.
    """
    firsts: dict[tuple[str, str, str] | str, IndexEntry] = {}
    parts: dict[str, tuple[str, IndexEntry]] = {}
    for entry in published:
        firsts.setdefault(entry.identity, entry)
        firsts.setdefault(entry.filename, entry)
        for path, _, sha256 in entry.parts:
            parts.setdefault(path, (sha256, entry))
    result = []
    for item in incoming:
        if item.entry is None:
            result.append(item)
            continue
        other = firsts.get(item.entry.identity) or firsts.get(item.entry.filename)
        if other is None:
            firsts[item.entry.identity] = firsts[item.entry.filename] = item.entry
            _require_shared(item, item.entry, parts)
            result.append(item)
        elif other.sha256 == item.entry.sha256:
            result.append(replace(item, pool_package=pool_package(other), entry=other, copy=None, parts=()))
        else:
            raise _other_bytes(item, item.entry, other)
    return result


def _require_shared(item: IncomingPackage, given: IndexEntry, known: dict[str, tuple[str, IndexEntry]]) -> None:
    """Raise PublishError where a part of ``given`` is ``known`` with other bytes; else add its parts to ``known``."""
    for path, _, sha256 in given.parts:
        first, other = known.setdefault(path, (sha256, given))
        if first != sha256:
            raise PublishError(
                f"{path.rpartition('/')[2]} exists already with other bytes",
                f"published sha256 {first} {path} ({other})\ngiven sha256     {sha256} {item.source}",
                "its upstream sources changed: raise the recipe's version",
            )


def _other_bytes(item: IncomingPackage, given: IndexEntry, other: IndexEntry) -> PublishError:
    return PublishError(
        f"{given} exists already with other bytes",
        f"published sha256 {other.sha256} {other.filename} ({other})\ngiven sha256     {given.sha256} {item.source}",
        "raise the recipe's revision: a published version never changes",
    )
