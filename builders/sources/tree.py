"""Writing a source tree safely, and detecting later changes."""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from builders.errors import SourceError
from builders.host.files import disk_errors

TREE_TIME_S = 946_684_800
"""The modification time of everything in a tree: 2000-01-01 UTC, in seconds since 1970.

With one time, trees are equal however the sources were packed, and make finds nothing out of date. Zip files cannot
represent years before 1980.
"""

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


class TreeWriter:
    """Writes below ``root``, a folder of its own, and never through a symbolic link.

    Paths are given as clean parts. Later files replace earlier files, as with tar; a file that would replace a folder
    is refused. Modes are 0755 (folders, executables) and 0644.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.subject = "the source"
        self.files = 0
        self._folders: set[tuple[str, ...]] = {()}
        self._links: list[tuple[tuple[str, ...], str]] = []

    def folder(self, parts: tuple[str, ...]) -> None:
        """Make a folder and those above it."""
        if parts in self._folders:
            return
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
        try:
            for piece in content:
                write_all(handle, piece)
        finally:
            os.close(handle)
        self.files += 1

    def link(self, parts: tuple[str, ...], target: str) -> None:
        """Make a symbolic link; `check_links` checks its target later."""
        self._clear(parts)
        os.symlink(target, self._path(parts))
        self._links.append((parts, self.subject))
        self.files += 1

    def copy(self, parts: tuple[str, ...], origin: tuple[str, ...]) -> None:
        """Write a copy of ``origin``, an existing file or link of the tree (a hard link in tar)."""
        path = self._path(origin)
        if origin[:-1] not in self._folders or not os.path.lexists(path) or os.path.isdir(path):
            raise SourceError(
                f"{self.subject} is refused: it links to a file that it does not contain",
                f"{'/'.join(parts)!r} is a hard link to {'/'.join(origin)!r}",
                "repair the archive, or correct its strip: in the recipe, which may remove the other file",
            )
        if parts == origin:
            return
        if os.path.islink(path):
            self.link(parts, os.readlink(path))
        else:
            executable = bool(os.lstat(path).st_mode & 0o100)
            self.file(parts, file_pieces(path), executable=executable)

    def check_links(self) -> None:
        """Raise SourceError where a symbolic link leads out of the tree.

        To be called when everything is written: only then is it known where links that lead over links end.
        """
        root = os.path.realpath(self.root)
        for parts, subject in self._links:
            path = self._path(parts)
            if not os.path.islink(path):
                continue  # a later file replaced it
            end = os.path.realpath(path)
            if os.path.isabs(os.readlink(path)) or (end != root and not end.startswith(root + "/")):
                raise SourceError(
                    f"{subject} is refused: a symbolic link leads out of the tree",
                    f"{'/'.join(parts)!r} -> {os.readlink(path)!r}",
                    "do not use this source, or pack it without that link",
                )

    def _clear(self, parts: tuple[str, ...]) -> None:
        """Make the folder of ``parts``, and remove an earlier file or link at its path."""
        if not parts or parts in self._folders:
            raise self._in_the_way(parts)
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
