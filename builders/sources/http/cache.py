"""Files by digest: the cache in ``downloads/sha256``, and downloads into it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from builders.host.files import disk_errors, sha256_of
from builders.sources.context import FetchContext, Reason, Unavailable, shown


@dataclass(frozen=True)
class Download:
    """A file to download: its digest and URLs. ``proxies`` (by URL scheme) take precedence over the environment's."""

    name: str
    urls: Sequence[str]
    sha256: str
    proxies: Mapping[str, str] = field(default_factory=dict)


def cache_path(context: FetchContext, sha256: str) -> Path:
    """Return the path in the cache of the file with this digest."""
    return context.workspace.cache.downloads / "sha256" / sha256


def cached(context: FetchContext, sha256: str) -> Path | None:
    """Return the cached file after verifying it, or None; a corrupted file is reported and removed."""
    path = cache_path(context, sha256)
    if not path.exists():
        return None
    with context.locked(f"download-{sha256}", f"the download of {sha256[:12]}"):
        return _verified(context, path, sha256)


def origin(path: Path, otherwise: str) -> str:
    """Return the URL of a cached file; ``otherwise`` if it is unknown, as for a file that was copied there."""
    try:
        text = path.with_suffix(".url").read_text(encoding="utf-8")
        return text if text and text.isprintable() else otherwise
    except (OSError, UnicodeDecodeError):
        return otherwise


def download(context: FetchContext, file: Download) -> Path:
    """Return the file from the cache; if missing, it is downloaded from the first URL with the right bytes.

    Raises Unavailable with a reason for each URL, DiskError, and Stopped.
    """
    path = cache_path(context, file.sha256)
    reasons: list[Reason] = []
    with context.locked(f"download-{file.sha256}", f"the download of {file.name}"):
        if _verified(context, path, file.sha256):
            return path  # another run, or another source of this run, was first
        for url in dict.fromkeys(context.mirrored(url) for url in file.urls):
            try:
                _take(context, file, url, path)
                return path
            except Unavailable as error:
                reasons += error.reasons
                for reason in error.reasons:
                    if reason.wrong_bytes:
                        context.log.warn(str(reason).strip())
    raise Unavailable(reasons)


def _verified(context: FetchContext, path: Path, sha256: str) -> Path | None:
    if not path.exists():
        return None
    with disk_errors(path):
        found = sha256_of(path)
        if found == sha256:
            return path
        context.log.warn(f"the cached file {path} is corrupted (its sha256 is {found}); it is removed")
        path.unlink()
    return None


def _take(context: FetchContext, file: Download, url: str, path: Path) -> None:
    """Download the file from a URL to ``path``, verified; raises Unavailable."""
    if not context.may_open(url):
        raise Unavailable([Reason(shown(url), f"not in the cache as {path}, and --offline downloads nothing")])
    # Imported here: it takes 0.2 s, and most runs find everything in the cache.
    from builders.sources.http.transfer import Transfer

    transfer = Transfer(context, url, path, file.proxies)
    with context.log.step(f"download {file.name} from {urlsplit(url).hostname or 'this machine'}") as step:
        try:
            transfer.take(step)
            transfer.accept(file.sha256)
        except Unavailable as error:
            if not (transfer.continued and error.reasons[0].wrong_bytes):
                raise
            # The first half is of another time or server, and may be wrong.
            transfer.take(step)
            transfer.accept(file.sha256)
