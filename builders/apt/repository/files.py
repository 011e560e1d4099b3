"""Files and folders of a repository: readable by any web server, hard-linked where possible, flushed to the disk."""

import errno
import os
import shutil
from collections.abc import Collection
from pathlib import Path

from builders.host import process
from builders.host.files import disk_error, disk_errors, remove_tree

FEW = 64
"""Up to this number, files are flushed one by one; for more, flushing their whole filesystem is faster."""
UNLINKABLE = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP)


def make_folder(path: Path | str) -> None:
    """Make a folder and its parents, mode 0755 whatever the umask; raises DiskError."""
    name = os.fspath(path)
    if not os.path.isdir(name):
        try:
            _make(name)
        except OSError as error:
            raise disk_error(error, Path(path)) from error


def _make(path: str) -> None:
    try:
        os.mkdir(path)
    except FileNotFoundError:
        _make(os.path.dirname(path))
        os.mkdir(path)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
        return
    os.chmod(path, 0o755)  # noqa: S103 - everybody may read it


def write_file(path: Path, content: bytes, date: int) -> None:
    """Write a new file in a folder without readers yet, dated ``date`` (seconds since 1970); raises DiskError."""
    make_folder(path.parent)
    with disk_errors(path):
        path.write_bytes(content)
        settle(path, date)


def settle(path: Path, date: int) -> None:
    """Give a finished file mode 0644 and the date that servers send to clients."""
    path.chmod(0o644)
    os.utime(path, (date, date))


def link(source: Path, target: Path) -> None:
    """Hard-link ``target`` to ``source``, or copy it where links are impossible; raises DiskError."""
    with disk_errors(target):
        try:
            os.link(source, target)
        except FileExistsError:
            return
        except OSError as error:
            if error.errno not in UNLINKABLE:
                raise
            shutil.copy2(source, target)


def move(source: Path, target: Path) -> None:
    """Put a file or folder in place by one rename, replacing an older one; raises DiskError.

    From another filesystem it is copied beside the target first.
    """
    make_folder(target.parent)
    if target.is_dir():
        remove_tree(target)
    with disk_errors(target):
        try:
            source.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            beside = target.with_name(f".{target.name}.new")
            remove_tree(beside) if beside.is_dir() else beside.unlink(missing_ok=True)
            if source.is_dir():
                shutil.copytree(source, beside, symlinks=True)
            else:
                shutil.copy2(source, beside)
            beside.replace(target)


def point(link_path: Path, target: str) -> None:
    """Point the symbolic link ``link_path`` to ``target`` by one rename; raises DiskError."""
    make_folder(link_path.parent)
    beside = link_path.with_name(f".{link_path.name}.new")
    with disk_errors(link_path):
        beside.unlink(missing_ok=True)
        beside.symlink_to(target)
        beside.replace(link_path)


def flush(root: Path, files: Collection[str]) -> None:
    """Return once ``files``, all below ``root``, and their folders are on the disk; raises DiskError."""
    if len(files) > FEW:
        process.run(["sync", "--file-system", str(root)])
        return
    folders = {str(folder) for file in files for folder in Path(file).parents if folder.is_relative_to(root)}
    with disk_errors(root):
        for path in (*files, *sorted(folders)):
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
