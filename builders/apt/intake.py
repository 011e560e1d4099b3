"""Taking .debs in: one pass copies, hashes and reads each, so that what is indexed is what lies in the pool.

They are copied, never hard-linked: dpkg-deb writes over a file of the same name in place, which would reach through
a link into the published pool.
"""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path

from builders.apt import archive, control, filelist, layout, seen
from builders.apt.index import Entry
from builders.apt.tree import make_folder
from builders.errors import PublishError
from builders.products import DebFile
from builders.workspace import told

BLOCK = 1 << 20
REBUILD = "build it again (invoke build-arm)"


@dataclass(frozen=True)
class Taken:
    """One .deb given to this publication; ``copy`` is its private copy, None where it is published already.

    ``stamp`` is the original's identity on disk when it was read, ``files`` what it installs (`filelist`) where that
    was read.
    """

    source: Path
    stamp: str
    entry: Entry
    copy: Path | None
    files: bytes | None = None


@dataclass(frozen=True)
class Known:
    """What need not be read again: .debs seen earlier (by absolute path) and published (by path in the pool)."""

    seen: Mapping[str, seen.Seen]
    published: Mapping[str, Entry]

    def find(self, deb: Path | DebFile) -> Taken | None:
        """Return the published .deb that ``deb`` still is, judged by its facts on disk."""
        path = os.path.abspath(path_of(deb))
        memory = self.seen.get(path)
        entry = self.published.get(memory.filename) if memory else None
        if memory is None or entry is None or entry.sha256 != memory.sha256:
            return None
        if isinstance(deb, DebFile) and deb.sha256 != memory.sha256:
            return None
        try:
            current = seen.stamp(os.stat(path))
        except OSError:
            return None  # reading it tells why
        return Taken(Path(path), current, entry, None) if current == memory.stamp else None


def take(debs: Iterable[Path | DebFile], folder: Path, component: str, known: Known) -> list[Taken]:
    """Read every given .deb that is not known, leaving a copy in ``folder`` (made if needed), in the given order.

    Raises PublishError for a file that is no sound .deb or differs from its DebFile record, DiskError from copying.
    """
    found = [(deb, known.find(deb)) for deb in debs]
    fresh = [deb for deb, taken in found if taken is None]
    if fresh:
        make_folder(folder)
    copies = [folder / str(number) for number in range(len(fresh))]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        read = iter(list(pool.map(_read, fresh, copies, repeat(component))))
    return [taken or next(read) for _, taken in found]


def path_of(deb: Path | DebFile) -> Path:
    """Return where a given .deb lies."""
    return deb.path if isinstance(deb, DebFile) else deb


def _read(deb: Path | DebFile, copy: Path, component: str) -> Taken:
    path = Path(os.path.abspath(path_of(deb)))
    facts, digest = _copied(path, copy)
    if isinstance(deb, DebFile) and deb.sha256 != digest:
        raise PublishError(
            f"{path} is not the file that was built and checked",
            f"recorded sha256 {deb.sha256}\nfound sha256    {digest}",
            REBUILD,
        )
    try:
        fields = control.fields_of(archive.control_bytes(copy))
        files = filelist.files_of(copy)
    except (archive.BadArchive, control.BadControl) as error:
        raise PublishError(f"not a sound .deb: {path}", str(error), REBUILD) from error
    filename = layout.pool_path(fields, layout.component_of(fields, component), str(path))
    size = copy.stat().st_size
    added = (("Filename", filename), ("Size", str(size)), ("SHA256", digest))
    entry = Entry(
        fields["Package"], fields["Version"], fields["Architecture"],
        filename, size, digest, control.stanza(fields, added), _long(fields["Description"]),
    )  # fmt: skip
    return Taken(path, seen.stamp(facts), entry, copy, files)


def _long(description: str) -> bytes:
    return description.encode() if "\n" in description else b""


def _copied(path: Path, copy: Path) -> tuple[os.stat_result, str]:
    """Copy ``path`` to the new file ``copy`` and return the original's facts, taken before, and the SHA-256."""
    try:
        # Non-blocking, so that a pipe under this name cannot hold us for ever.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _unreadable(path, str(error)) from error
    with _closing(handle), told(copy), copy.open("xb", buffering=0) as target:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise _unreadable(path, "it is not a regular file")
        digest = hashlib.sha256()
        while block := _block(handle, path, min(BLOCK, facts.st_size + 1)):
            digest.update(block)
            _write(target.fileno(), block)
        os.fchmod(target.fileno(), 0o644)
    return facts, digest.hexdigest()


@contextmanager
def _closing(handle: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(handle)


def _block(handle: int, path: Path, size: int) -> bytes:
    try:
        return os.read(handle, size)
    except OSError as error:
        raise _unreadable(path, str(error)) from error


def _write(handle: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(handle, view) :]


def _unreadable(path: Path, why: str) -> PublishError:
    return PublishError(f"cannot read {path}", why, REBUILD)


def settled(taken: Sequence[Taken], published: Iterable[Entry]) -> list[Taken]:
    """Return ``taken`` with each content once: what is published, or given twice, stays where it is first.

    Raises PublishError where one name, version and architecture, or one pool path, would have two contents.
    """
    firsts: dict[tuple[str, str, str] | str, Entry] = {}
    for entry in published:
        firsts.setdefault(entry.identity, entry)
        firsts.setdefault(entry.filename, entry)
    result = []
    for item in taken:
        other = firsts.get(item.entry.identity) or firsts.get(item.entry.filename)
        if other is None:
            firsts[item.entry.identity] = firsts[item.entry.filename] = item.entry
            result.append(item)
        elif other.sha256 == item.entry.sha256:
            result.append(replace(item, entry=other, copy=None))
        else:
            raise _other_bytes(item, other)
    return result


def _other_bytes(given: Taken, other: Entry) -> PublishError:
    return PublishError(
        f"{given.entry} exists already with other bytes",
        f"published sha256 {other.sha256} {other.filename} ({other})\n"
        f"given sha256     {given.entry.sha256} {given.source}",
        "raise the recipe's revision: a published version never changes",
    )
