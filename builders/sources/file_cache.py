"""Files by digest: the cache in ``downloads/sha256``, into which each file comes whole and verified."""

import os
from contextlib import AbstractContextManager
from pathlib import Path

from builders.host.files import disk_errors, sha256_of, write_whole
from builders.sources.context import FetchContext, Reason, Unavailable


def cache_path(context: FetchContext, sha256: str) -> Path:
    """Return the path in the cache of the file with this digest."""
    return context.workspace.cache.downloads / "sha256" / sha256


def locked(context: FetchContext, sha256: str, name: str = "") -> AbstractContextManager[None]:
    """Lock a file of the cache; ``name`` says what is downloaded, by default the digest's beginning."""
    return context.locked(f"download-{sha256}", f"the download of {name or sha256[:12]}")


def cached(context: FetchContext, sha256: str) -> Path | None:
    """Return the cached file after verifying it, or None; a corrupted file is reported and removed."""
    if not cache_path(context, sha256).exists():
        return None
    with locked(context, sha256):
        return verified(context, sha256)


def verified(context: FetchContext, sha256: str) -> Path | None:
    """Do as `cached` for a file that the caller has locked."""
    path = cache_path(context, sha256)
    if not path.exists():
        return None
    with disk_errors(path):
        found = sha256_of(path)
        if found == sha256:
            return path
        context.log.warn(f"the cached file {path} is corrupted (its sha256 is {found}); it is removed")
        path.unlink()
    return None


def accept(file: Path, path: Path, sha256: str, location: str) -> None:
    """Move a downloaded file to ``path`` in the cache, with a note of the location that it came from.

    The caller holds the lock of ``path``. If the file's digest is wrong, it is removed; raises Unavailable.
    """
    with disk_errors(file):
        size, found = file.stat().st_size, sha256_of(file)
        if found != sha256:
            file.unlink()
            raise Unavailable([wrong_digest(location, sha256, found, f" ({size} bytes); it was removed")])
        with file.open("rb") as whole:
            os.fsync(whole.fileno())
        write_whole(path.with_suffix(".url"), location)
        file.replace(path)


def wrong_digest(location: str, expected: str, found: str, more: str = "") -> Reason:
    """Return the reason that refuses a file with the wrong digest."""
    return Reason(location, f"wrong digest: expected sha256 {expected}, got {found}{more}", wrong_bytes=True)


def origin(path: Path, otherwise: str) -> str:
    """Return the location that a cached file came from; ``otherwise`` if it is unknown, as if it was copied there."""
    try:
        text = path.with_suffix(".url").read_text(encoding="utf-8")
        return text if text and text.isprintable() else otherwise
    except (OSError, UnicodeDecodeError):
        return otherwise
