"""Files and folders of a repository: readable by any web server, linked where possible, flushed before they count."""

import errno
import os
import shutil
from collections.abc import Collection
from pathlib import Path

from builders import process
from builders.workspace import remove_tree, told

FEW = 64
"""Up to so many files are flushed to disk one by one; more are cheaper with their whole filesystem."""
UNLINKABLE = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, mode 0755 whatever the umask; raises DiskError."""
    if path.is_dir():
        return
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    with told(path):
        path.mkdir(parents=True, exist_ok=True)
        for folder in missing:
            folder.chmod(0o755)


def write_file(path: Path, content: bytes, date: int) -> None:
    """Write a new file in a folder that nobody reads yet, dated ``date`` (seconds since 1970); raises DiskError."""
    make_folder(path.parent)
    with told(path):
        path.write_bytes(content)
        settle(path, date)


def settle(path: Path, date: int) -> None:
    """Give a finished file mode 0644 and the date that servers tell clients."""
    path.chmod(0o644)
    os.utime(path, (date, date))


def link(source: Path, target: Path) -> None:
    """Make ``target`` the same file as ``source``, or its copy where links are impossible; raises DiskError."""
    with told(target):
        try:
            os.link(source, target)
        except FileExistsError:
            return
        except OSError as error:
            if error.errno not in UNLINKABLE:
                raise
            shutil.copy2(source, target)


def move(source: Path, target: Path) -> None:
    """Put a file or folder in place by one rename; what lay there goes. Raises DiskError.

    From another filesystem it is copied beside the target first.
    """
    make_folder(target.parent)
    if target.is_dir():
        remove_tree(target)
    with told(target):
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
    """Make the symbolic link ``link_path`` say ``target`` by one rename; raises DiskError."""
    make_folder(link_path.parent)
    beside = link_path.with_name(f".{link_path.name}.new")
    with told(link_path):
        beside.unlink(missing_ok=True)
        beside.symlink_to(target)
        beside.replace(link_path)


def flush(root: Path, files: Collection[Path]) -> None:
    """Return when ``files``, all below ``root``, and the folders that hold them are on the disk; raises DiskError."""
    if len(files) > FEW:
        process.run(["sync", "--file-system", str(root)])
        return
    with told(root):
        for path in {*files, *(file.parent for file in files)}:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
