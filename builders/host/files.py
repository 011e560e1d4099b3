"""Files on the machine's disk: written whole or not at all, hashed, removed; refusals become DiskErrors."""

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
"""What programs print when a disk is full; the second is apt's text, before it downloads packages."""


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an operating system's refusal about ``path`` into a DiskError that says what to do."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, path) from error


def raise_if_disk_full(error: process.ProgramFailed, folder: Path) -> None:
    """Raise DiskError where a program failed for want of space; it says so in its last lines."""
    if any(words in error.completed.tail for words in DISK_FULL):
        raise disk_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)), folder) from error


def disk_error(error: OSError, path: Path) -> DiskError:
    """Return the DiskError that tells a user of ``error``, which was met at or below ``path``."""
    where = error.filename or path
    import sqlite3  # slow to import, and few runs fail

    in_database = getattr(error.__cause__, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or in_database:
        return DiskError(
            f"no space left on the disk of {where}",
            str(error),
            "free some space (./inv clean --help says what can go), then run the same command again",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return DiskError(
            f"no permission to use {where}",
            str(error),
            _ownership(Path(os.fsdecode(where))),
        )
    return DiskError(f"cannot use {where}", str(error), "mend it, then run the same command again")


def _ownership(where: Path) -> str:
    """Return what to do about a path that may not be written: about the part of it that is there."""
    there = next(one for one in (where, *where.parents) if os.path.exists(one) or one == one.parent)
    if "artifacts" in where.parts:
        folder = Path(*where.parts[: where.parts.index("artifacts") + 1])
        return (
            f"make it yours (a run as root may have made it: sudo chown -R $USER {shlex.quote(str(folder))}), or "
            "choose another folder with artifacts: in reef.yml"
        )
    return f"make it yours (a run as root may have made it: sudo chown $USER {shlex.quote(str(there))})"


def write_whole(path: Path, content: bytes | str) -> None:
    """Write ``path`` so that a reader finds the old content or the new, never a part; raises DiskError."""
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


def remove_tree(path: Path) -> None:
    """Remove a folder and all below it; files that belong to a user namespace's ids are removed from inside one."""
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
    """Return the SHA-256 (hex) of a document of plain values, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
