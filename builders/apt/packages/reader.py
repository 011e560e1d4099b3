"""Reads one .deb, or one source package, in one pass: what is indexed is what was copied. As a program it reads many:

    python -m builders.apt.packages.reader JOB

where JOB is a file written by `builders.apt.packages.intake`: numbered lists of .debs. The result of each list is a
file beside it, ``JOB.<number>``; a line with the number is printed once it is complete.
"""

import hashlib
import marshal
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from builders.apt.indices import deb822
from builders.apt.packages import ar_reader, changelogs, dsc, file_list
from builders.apt.repository import layout
from builders.apt.state import read_cache
from builders.errors import DiskError, PublishError, ReefError
from builders.host.files import disk_errors
from builders.model.packages import SOURCE

BLOCK = 1 << 20
REBUILD = "build it again (./inv build-arm)"
KINDS = {kind.__name__: kind for kind in (PublishError, DiskError)}


class Reading(NamedTuple):
    """The contents of a .deb: ``stamp`` is its identity on the disk when it was read, ``files`` its packed file list.

    ``changelog`` is its changelog as packed in it. For a source package this describes its .dsc; it has no file list
    and no changelog, and ``parts`` are the files that it names.
    """

    stamp: str
    package: str
    version: str
    architecture: str
    filename: str
    size: int
    sha256: str
    stanza: bytes
    description: bytes
    files: bytes | None
    changelog: bytes = b""
    parts: tuple[tuple[str, int, str], ...] = ()


def read(path: str, sha256: str, copy: str, component: str) -> Reading:
    """Copy the .deb or .dsc at ``path`` to the new file ``copy`` and return its contents.

    The files that a .dsc names are read beside it, and copied to `part_copy`. Raises PublishError for an invalid file,
    for one whose digest is not ``sha256`` where that is given, and for a part that differs from its .dsc; DiskError
    from copying.
    """
    with _copied(path, copy) as (facts, digest, handle):
        if sha256 and sha256 != digest:
            raise PublishError(
                f"{path} is not the file that was built and checked",
                f"recorded sha256 {sha256}\nfound sha256    {digest}",
                REBUILD,
            )
        if path.endswith(".dsc"):
            return _source(path, facts, digest, copy, component)
        try:
            control_member, data = ar_reader.members_of(handle)
            fields = deb822.fields_of(ar_reader.control_bytes(handle, control_member))
            package = fields["Package"]
            files, found = file_list.files_of(handle, data, changelogs.paths(package), changelogs.MOST_PACKED)
        except (ar_reader.BadArchive, deb822.BadControl) as error:
            raise PublishError(f"invalid .deb: {path}", str(error), REBUILD) from error
    filename = layout.pool_path(fields, layout.component_of(fields, component), path)
    added = (("Filename", filename), ("Size", str(facts.st_size)), ("SHA256", digest))
    description = fields["Description"]
    return Reading(
        read_cache.stamp(facts), fields["Package"], fields["Version"], fields["Architecture"], filename, facts.st_size,
        digest, deb822.stanza(fields, added), description.encode() if "\n" in description else b"",
        read_cache.packed(files), changelogs.chosen(found, package),
    )  # fmt: skip


def part_copy(copy: str, number: int) -> str:
    """Return the path of the copy of a source package's part; its .dsc was copied to ``copy``."""
    return f"{copy}.{number}"


def _source(path: str, facts: os.stat_result, digest: str, copy: str, component: str) -> Reading:
    if facts.st_size > dsc.MOST_SIZE:  # before it is read
        raise PublishError(
            f"invalid source package: {path}", f"it has {facts.st_size} bytes, more than {dsc.MOST_SIZE}", REBUILD
        )
    try:
        fields = dsc.fields_of(Path(copy).read_bytes())
        parts = dsc.parts_of(fields)
    except deb822.BadControl as error:
        raise PublishError(f"invalid source package: {path}", str(error), REBUILD) from error
    filename, *paths = layout.source_paths(fields, [part.name for part in parts], component, path)
    for number, part in enumerate(parts):
        _take_part(path, part, part_copy(copy, number))
    folder, _, name = filename.rpartition("/")
    first = replace(dsc.part_of(Path(copy)), name=name)
    return Reading(
        read_cache.stamp(facts), fields["Source"], fields["Version"], SOURCE, filename, facts.st_size, digest,
        dsc.stanza(fields, folder, [first, *parts]), b"", None, b"",
        tuple((place, part.size, part.digests["sha256"]) for place, part in zip(paths, parts, strict=True)),
    )  # fmt: skip


def _take_part(path: str, part: dsc.Part, copy: str) -> None:
    """Copy one part from beside the .dsc at ``path``; raises PublishError where it differs from its .dsc."""
    place = f"{os.path.dirname(path)}/{part.name}"
    with _copied(place, copy):
        pass
    found = replace(dsc.part_of(Path(copy)), name=part.name)
    if found != part:
        raise PublishError(
            f"{place} is not the file that {os.path.basename(path)} names",
            f"named: {part.size} bytes, sha256 {part.digests['sha256']}\n"
            f"found: {found.size} bytes, sha256 {found.digests['sha256']}",
            REBUILD,
        )


@contextmanager
def _copied(path: str, copy: str) -> Iterator[tuple[os.stat_result, str, int]]:
    """Copy ``path`` to the new file ``copy``; yield the original's earlier facts, its SHA-256 and the open copy."""
    try:
        # Non-blocking, so that a pipe of this name cannot block Reef.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _unreadable(path, str(error)) from error
    with _closing(handle), disk_errors(Path(copy)):
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise _unreadable(path, "it is not a regular file")
        target = os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with _closing(target):
            digest, size = hashlib.sha256(), 0
            while block := _block(handle, path, min(BLOCK, facts.st_size + 1)):
                digest.update(block)
                size += len(block)
                _write(target, block)
            os.fchmod(target, 0o644)
            if size != facts.st_size:
                raise _unreadable(path, "it grows or shrinks while it is read")
            yield facts, digest.hexdigest(), target


@contextmanager
def _closing(handle: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(handle)


def _block(handle: int, path: str, size: int) -> bytes:
    try:
        return os.read(handle, size)
    except OSError as error:
        raise _unreadable(path, str(error)) from error


def _write(handle: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(handle, view) :]


def _unreadable(path: str, why: str) -> PublishError:
    return PublishError(f"cannot read {path}", why, REBUILD)


def main() -> None:
    """Read the parts of a job and print the number of each once its result is complete. An error ends the job."""
    (job,) = sys.argv[1:]
    with open(job, "rb") as file:
        parts = marshal.load(file)  # noqa: S302 - written by Reef itself
    for number, requests in parts:
        found: list[tuple[object, ...]] = []
        refusal: tuple[str, str, str, str] | None = None
        try:
            for request in requests:
                found.append(tuple(read(*request)))
        except ReefError as error:
            refusal = (type(error).__name__, error.what, error.detail, error.fix)
        with open(f"{job}.{number}", "wb") as file:
            marshal.dump((found, refusal), file)
        print(number, flush=True)
        if refusal:
            return


if __name__ == "__main__":
    main()
