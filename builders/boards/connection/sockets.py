"""The folder of connections' sockets. Their paths are limited to some 100 characters (unix(7)), so it is in /tmp."""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builders.host.files import remove_tree

PREFIX = "reef-ssh-"
STALE_S = 86400
"""Age, in seconds, at which a folder that nobody locks is removed."""


@contextmanager
def sockets_folder() -> Iterator[Path]:
    """Give a private folder, which is removed at the end; folders of killed runs are removed first."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        _remove_if_left(path)
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        descriptor = os.open(name, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield Path(name)
        finally:
            os.close(descriptor)


def _remove_if_left(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # another user's, or just removed
        return
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or time.time() - status.st_mtime < STALE_S:
            return
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove_tree(path)
    except BlockingIOError:
        return
    finally:
        os.close(descriptor)
