"""Writing a source tree safely, and detecting later changes."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from builders.errors import SourceError
from builders.host.files import disk_errors
from builders.model.pointer import LARGEST, Pointer, is_annex_link, pointer_of

TREE_TIME_S = 946_684_800
"""The modification time of everything in a tree: 2000-01-01 UTC, in seconds since 1970.

With one time, trees are equal however the sources were packed, and make finds nothing out of date. Zip files cannot
represent years before 1980.
"""

DEEPEST = 200
"""The number of folders above a file; the tools that remove and copy trees end at about 1000."""
FOLDER_MODE = 0o755
UNSOUND = "do not use this source; a sound archive contains neither absolute paths nor '..'"


def clean(name: str, subject: str, fix: str = UNSOUND) -> tuple[str, ...]:
    """Return the parts of the relative path ``name``, without empty ones and ``.``.

    Raises SourceError for an absolute path and for ``..``; ``subject`` names the origin of the path.
    """
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise SourceError(
            f"{subject} is refused: it would write outside its folder",
            f"path: {name!r}",
            fix,
        )
    return parts


@dataclass(frozen=True)
class Checkout:
    """A commit that is being written below the folder ``into`` of the tree, and the URL that it came from."""

    repository: Path
    url: str
    commit: str
    into: tuple[str, ...]


@dataclass(frozen=True)
class FoundPointer:
    """A pointer in the tree, in place of a file; only a git source has a ``checkout``."""

    subject: str
    pointer: Pointer
    executable: bool
    checkout: Checkout | None


class TreeWriter:
    """Writes below ``root``, a folder of its own, and never through a symbolic link.

    Paths are given as clean parts. Later files replace earlier files, as with tar; a file that would replace a folder
    is refused. Modes are 0755 (folders, executables) and 0644. ``subject`` and ``checkout`` say which source is being
    written. ``pointers`` are the files that still stand for others, ``expected_folders`` those that another source must
    fill, each with its description; ``warnings`` is what the log must name.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.subject = "the source"
        self.checkout: Checkout | None = None
        self.files = 0
        self.pointers: dict[tuple[str, ...], FoundPointer] = {}
        self.expected_folders: dict[tuple[str, ...], str] = {}
        self.warnings: list[str] = []
        self._folders: set[tuple[str, ...]] = {()}
        self._links: list[tuple[tuple[str, ...], str, bool]] = []

    def folder(self, parts: tuple[str, ...]) -> None:
        """Make a folder and those above it; raises OSError (ENAMETOOLONG) for one below too many others."""
        if parts in self._folders:
            return
        refuse_depth(parts)
        self.folder(parts[:-1])
        path = self._path(parts)
        try:
            os.mkdir(path, 0o755)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                raise self._in_the_way(parts) from None
        self._folders.add(parts)

    def file(self, parts: tuple[str, ...], content: Iterable[bytes], *, executable: bool) -> None:
        """Write a file from its pieces."""
        self._clear(parts)
        # O_EXCL: an unexpected file, above all a symbolic link, is not written through.
        handle = os.open(
            self._path(parts), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o755 if executable else 0o644
        )
        size, head = 0, b""
        try:
            for piece in content:
                head = piece if size == 0 else head
                size += len(piece)
                write_all(handle, piece)
        finally:
            os.close(handle)
        self.files += 1
        if size <= LARGEST and size == len(head) and (pointer := pointer_of(head)):
            self.pointers[parts] = FoundPointer(self.subject, pointer, executable, self.checkout)

    def link(self, parts: tuple[str, ...], target: str, *, leave_out: bool = False) -> None:
        """Make a symbolic link; `check_links` checks its target later, and then may leave it out of the tree."""
        self._clear(parts)
        os.symlink(target, self._path(parts))
        self._links.append((parts, self.subject, leave_out))
        self.files += 1
        if is_annex_link(target):
            self.pointers[parts] = FoundPointer(self.subject, Pointer("git-annex"), False, self.checkout)

    def copy(self, parts: tuple[str, ...], origin: tuple[str, ...]) -> None:
        """Write a copy of ``origin``, an existing file or link of the tree (a hard link in tar)."""
        path = self._path(origin)
        if origin[:-1] not in self._folders or not os.path.lexists(path) or os.path.isdir(path):
            raise SourceError(
                f"{self.subject} is refused: it links to a file that it does not contain",
                f"{'/'.join(parts)!r} is a hard link to {'/'.join(origin)!r}",
                "repair the archive; or correct strip: or exclude: in the recipe, which may remove the other file",
            )
        if parts == origin:
            return
        if os.path.islink(path):
            self.link(parts, os.readlink(path))
        else:
            executable = bool(os.lstat(path).st_mode & 0o100)
            self.file(parts, file_pieces(path), executable=executable)

    def check_links(self) -> None:
        """Judge the symbolic links that lead out of the tree: those to leave out are removed, else SourceError.

        To be called when everything is written: only then is it known where links that lead over links end.
        """
        root = os.path.realpath(self.root)
        refused: dict[str, list[str]] = {}
        for parts, subject, leave_out in self._links:
            path = self._path(parts)
            if not os.path.islink(path):
                continue  # a later file replaced it
            end, target = os.path.realpath(path), os.readlink(path)
            if not os.path.isabs(target) and (end == root or end.startswith(root + "/")):
                continue
            if leave_out:
                os.unlink(path)
                self.warnings.append(left_out(subject, "/".join(parts), target))
            else:
                refused.setdefault(subject, []).append(f"{'/'.join(parts)!r} -> {target!r}")
        for subject, links in refused.items():
            raise SourceError(
                f"{subject} is refused: a symbolic link leads out of the tree",
                shortened(links),
                "if the build needs no such link, name it under exclude: in the recipe, with a reason; else do not use "
                "this source, or pack it without that link",
            )

    def is_empty(self, parts: tuple[str, ...]) -> bool:
        """Return whether the folder of ``parts`` contains nothing, or does not exist."""
        path = self._path(parts)
        return not os.path.lexists(path) or (os.path.isdir(path) and not os.listdir(path))

    def _clear(self, parts: tuple[str, ...]) -> None:
        """Make the folder of ``parts``, and remove an earlier file or link at its path."""
        if not parts or parts in self._folders:
            raise self._in_the_way(parts)
        self.pointers.pop(parts, None)
        self.folder(parts[:-1])
        path = self._path(parts)
        try:
            mode = os.lstat(path).st_mode
        except FileNotFoundError:
            return
        if stat.S_ISDIR(mode):
            raise self._in_the_way(parts)
        os.unlink(path)

    def _path(self, parts: tuple[str, ...]) -> str:
        return "/".join((str(self.root), *parts))

    def _in_the_way(self, parts: tuple[str, ...]) -> SourceError:
        return SourceError(
            f"{self.subject} is refused: a folder and a file have the same path",
            f"path: {'/'.join(parts) or '.'!r}",
            "unpack the sources into separate folders (unpack: in the recipe)",
        )


SHOWN = 20
"""The number of paths that a message names."""


def shortened(lines: list[str]) -> str:
    """Return the lines of a message, at most SHOWN and the number of the others."""
    more = [f"... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return "\n".join([*lines[:SHOWN], *more])


def left_out(subject: str, path: str, target: str) -> str:
    """Return the warning for a link that leads out of a local source, and is therefore not in the tree."""
    return f"{subject}: left out the link {path!r} -> {target!r}, which leads out of the tree (see exclude:)"


def refuse_depth(parts: tuple[str, ...]) -> None:
    """Raise OSError (ENAMETOOLONG) for a path with more folders than DEEPEST."""
    if len(parts) > DEEPEST:
        raise OSError(errno.ENAMETOOLONG, f"more than {DEEPEST} folders", "/".join(parts))


def file_pieces(path: str | Path) -> Iterator[bytes]:
    """Yield a file's content in pieces of 1 MiB."""
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            yield piece


def seal(root: Path) -> str:
    """Set the modes and times of everything below ``root``, and return its stamp (see `stamp`)."""
    with disk_errors(root):
        for path, status in _walk(str(root)):
            if not stat.S_ISLNK(status.st_mode):
                mode = 0o755 if status.st_mode & 0o100 else 0o644
                if stat.S_IMODE(status.st_mode) != mode:
                    os.chmod(path, mode)
            os.utime(path, (TREE_TIME_S, TREE_TIME_S), follow_symlinks=False)
        root.chmod(FOLDER_MODE)
        os.utime(root, (TREE_TIME_S, TREE_TIME_S))
    return stamp(root)


def stamp(root: Path) -> str:
    """Return the sha256 (hex) over names, modes, sizes, times and link targets of everything below ``root``.

    No content is read. All times in a sealed tree are equal, so that the time of a changed file shows the change.
    """
    digest = hashlib.sha256()
    start = len(str(root)) + 1
    with disk_errors(root):
        for path, status in _walk(str(root)):
            link = os.readlink(path) if stat.S_ISLNK(status.st_mode) else ""
            size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
            fields = f"{path[start:]}\0{status.st_mode:o}\0{size}\0{status.st_mtime_ns}\0{link}\0"
            digest.update(os.fsencode(fields))
    return digest.hexdigest()


def _walk(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield everything below ``folder``, ordered by name."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        yield entry.path, entry.stat(follow_symlinks=False)
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path)


def write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
