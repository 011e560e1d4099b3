"""Files on this machine: atomic writes, digests, removal; errors of the operating system become DiskErrors."""

import errno
import hashlib
import json
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builders.errors import DiskError
from builders.host import process

DISK_FULL = (os.strerror(errno.ENOSPC), "You don't have enough free space in")
"""Messages of programs on a full disk; apt prints the second before it downloads packages."""


READ_ONLY = "mount that file system writable, or choose another folder in reef.yml"


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an OSError about ``path`` into a DiskError with advice."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, path) from error


def raise_if_disk_full(error: process.ProgramFailed, folder: Path) -> None:
    """Raise DiskError if a program's last lines say that the disk is full."""
    if any(words in error.completed.tail for words in DISK_FULL):
        raise disk_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)), folder) from error


def disk_error(error: OSError, path: Path) -> DiskError:
    """Return the DiskError for ``error``, which occurred at or below ``path``."""
    place = error.filename or path
    import sqlite3  # slow to import, and few runs fail

    in_database = getattr(error.__cause__, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or in_database:
        return DiskError(
            f"no space left on the disk of {place}",
            str(error),
            "free some space (./inv clean --help lists removable parts), then run the same command again",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return DiskError(
            f"no permission to use {place}",
            str(error),
            READ_ONLY if error.errno == errno.EROFS else _ownership(Path(os.fsdecode(place))),
        )
    return DiskError(f"cannot use {place}", str(error), "correct that, then run the same command again")


def _ownership(place: Path) -> str:
    """Return the advice on a path that is not writable; it names an existing folder."""
    existing = next(path for path in (place, *place.parents) if os.path.exists(path) or path == path.parent)
    if "artifacts" in place.parts:
        folder = Path(*place.parts[: place.parts.index("artifacts") + 1])
        return (
            f"take ownership (a run as root may have made it): sudo chown -R $USER {shlex.quote(str(folder))}; or "
            "choose another folder with artifacts: in reef.yml"
        )
    return f"take ownership (a run as root may have made it): sudo chown $USER {shlex.quote(str(existing))}"


def write_whole(path: Path, content: bytes | str) -> None:
    """Write ``path`` atomically: a reader finds the old or the new content. Raises DiskError."""
    data = content.encode() if isinstance(content, str) else content
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file another name, as a copy on another disk; a name that exists stays. Raises DiskError."""
    with disk_errors(target):
        try:
            os.link(source, target)
        except FileExistsError:
            return
        except OSError:
            shutil.copyfile(source, target)


def remove_tree(path: Path) -> None:
    """Remove a folder with its content; files of a user namespace's other ids are removed from inside a namespace."""
    if not path.exists():
        return
    try:
        shutil.rmtree(path)
    except PermissionError:
        process.run(["unshare", "--user", "--map-root-user", "--map-auto", "rm", "-rf", "--", str(path)])
    except OSError as error:
        raise disk_error(error, path) from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def document_digest(document: object) -> str:
    """Return the SHA-256 (hex) of a document of plain values, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
