"""Local folders as sources: code of the recipe's own repository, and checkouts in development."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from builders.errors import SourceError
from builders.sources.exclusion import Exclusion, Parts
from builders.sources.tree import TreeWriter, file_pieces, left_out, refuse_depth

ABSENT = "absent"
"""The digest of a folder that does not exist."""


def tree_digest(folder: Path, exclude: Sequence[str] = (), excluded: Exclusion | None = None) -> str:
    """Return ``tree:<sha256>`` over names, executable bits, link targets and contents below ``folder``, or ABSENT.

    The paths ``exclude``, what ``excluded`` covers, all files and folders named ``.git``, and links to absolute paths
    are left out: those lead to other places on each machine. Raises SourceError for unreadable files, devices and
    pipes.
    """
    return _read(folder, exclude, excluded or Exclusion(), None, ()) if folder.is_dir() else ABSENT


def copy_folder(folder: Path, exclude: Sequence[str], excluded: Exclusion, writer: TreeWriter, into: Parts) -> str:
    """Copy ``folder`` to ``into`` of the tree and return the digest of the copied content, as `tree_digest` does.

    Links that lead out of the tree are left out, with a warning.
    """
    return _read(folder, exclude, excluded, writer, into)


def _read(folder: Path, exclude: Sequence[str], excluded: Exclusion, writer: TreeWriter | None, into: Parts) -> str:
    paths = frozenset(PurePosixPath(path).parts for path in exclude)
    digest = hashlib.sha256()
    for parts, status in _walk(folder, (), lambda parts: parts in paths or excluded.covers(parts)):
        path = folder.joinpath(*parts)
        kind, content = _kind(path, status), hashlib.sha256()
        pieces = _hashed(path, content)
        if kind == "folder":
            if writer:
                writer.folder(into + parts)
        elif kind == "link":
            target = os.readlink(path)
            if os.path.isabs(target):
                if writer:
                    writer.warnings.append(left_out(writer.subject, "/".join(parts), target))
                continue
            content.update(os.fsencode(target))
            if writer:
                writer.link(into + parts, target, leave_out=True)
        elif writer:
            writer.file(into + parts, pieces, executable=kind == "program")
        else:
            for _ in pieces:
                pass
        digest.update(os.fsencode(f"{'/'.join(parts)}\0{kind}\0{content.hexdigest()}\0"))
    return f"tree:{digest.hexdigest()}"


def _walk(folder: Path, above: Parts, is_left_out: Callable[[Parts], bool]) -> Iterator[tuple[Parts, os.stat_result]]:
    try:
        with os.scandir(folder) as found:
            entries = sorted((entry for entry in found if entry.name != ".git"), key=lambda entry: entry.name)
        for entry in entries:
            path = (*above, entry.name)
            if is_left_out(path):
                continue
            refuse_depth(path)
            yield path, entry.stat(follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), path, is_left_out)
    except OSError as error:
        raise _unreadable(Path(error.filename or folder), error) from error


def _kind(path: Path, status: os.stat_result) -> str:
    if stat.S_ISDIR(status.st_mode):
        return "folder"
    if stat.S_ISLNK(status.st_mode):
        return "link"
    if stat.S_ISREG(status.st_mode):
        return "program" if status.st_mode & 0o100 else "file"
    raise SourceError(
        f"a local source contains a device, pipe or socket: {path}",
        fix="remove it, or name it under exclude: in the recipe; a source contains only files, folders and links",
    )


def _hashed(path: Path, content: "hashlib._Hash") -> Iterator[bytes]:
    """Yield a file's content in pieces, and hash them."""
    pieces = file_pieces(path)
    try:
        for piece in pieces:
            content.update(piece)
            yield piece
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> SourceError:
    return SourceError(f"a local source cannot be read: {path}", str(error), _fix(error))


def _fix(error: OSError) -> str:
    if error.errno == errno.ENAMETOOLONG:
        return "name a folder above it under exclude: in the recipe, or shorten the path"
    return "make it readable, remove it, or name it under exclude: in the recipe"
