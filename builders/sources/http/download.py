"""Downloads of files from the first URL that has the right bytes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from builders.host.apt_access import AptAccess
from builders.sources import file_cache
from builders.sources.context import FetchContext, Reason, Unavailable, shown


@dataclass(frozen=True)
class Download:
    """A file to download: its digest and URLs. Debian's are reached with apt's own ``access``."""

    name: str
    urls: Sequence[str]
    sha256: str
    access: AptAccess = field(default_factory=AptAccess)


def download(context: FetchContext, file: Download) -> Path:
    """Return the file from the cache; if missing, it is downloaded from the first URL with the right bytes.

    Raises Unavailable with a reason for each URL, DiskError, and Stopped.
    """
    path = file_cache.cache_path(context, file.sha256)
    reasons: list[Reason] = []
    with file_cache.locked(context, file.sha256, file.name):
        if file_cache.verified(context, file.sha256):
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


def _take(context: FetchContext, file: Download, url: str, path: Path) -> None:
    """Download the file from a URL to ``path``, verified; raises Unavailable."""
    if not context.may_open(url):
        raise Unavailable([Reason(shown(url), f"not in the cache as {path}, and --offline downloads nothing")])
    # Imported here: it takes 0.2 s, and most runs find everything in the cache.
    from builders.sources.http.transfer import Transfer

    transfer = Transfer(context, url, path, file.access)
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
