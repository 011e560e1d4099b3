"""Files by digest: the cache under ``downloads/sha256`` and the way into it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from builders.host.files import disk_errors, sha256_of
from builders.sources.context import NotHad, Reason, Run, shown


@dataclass(frozen=True)
class Wanted:
    """A file by its digest, and where it may be had; ``proxies`` (scheme -> proxy) go before the environment's."""

    name: str
    urls: Sequence[str]
    sha256: str
    proxies: Mapping[str, str] = field(default_factory=dict)


def cache_path(run: Run, sha256: str) -> Path:
    """Return where the file with this digest lies when it is in the cache."""
    return run.workspace.cache.downloads / "sha256" / sha256


def cached(run: Run, sha256: str) -> Path | None:
    """Return the cached file after hashing it, or None; a corrupted one is told of and removed."""
    path = cache_path(run, sha256)
    if not path.exists():
        return None
    with run.locked(f"download-{sha256}", f"the download of {sha256[:12]}"):
        return _verified(run, path, sha256)


def origin(path: Path, otherwise: str) -> str:
    """Return the URL that a cached file came from; ``otherwise`` where it was put there by hand, or damaged."""
    try:
        text = path.with_suffix(".url").read_text(encoding="utf-8")
        return text if text and text.isprintable() else otherwise
    except (OSError, UnicodeDecodeError):
        return otherwise


def download(run: Run, wanted: Wanted) -> Path:
    """Return the wanted file from the cache, filled from the first of its URLs that gives the right bytes.

    Raises NotHad with a reason for each URL, DiskError, and Stopped when the run is given up.
    """
    path = cache_path(run, wanted.sha256)
    reasons: list[Reason] = []
    with run.locked(f"download-{wanted.sha256}", f"the download of {wanted.name}"):
        if _verified(run, path, wanted.sha256):
            return path  # another run, or another source of this one, was first
        for url in dict.fromkeys(run.mirrored(url) for url in wanted.urls):
            try:
                _take(run, wanted, url, path)
                return path
            except NotHad as trouble:
                reasons += trouble.reasons
                for reason in trouble.reasons:
                    if reason.wrong_bytes:
                        run.log.warn(str(reason).strip())
    raise NotHad(reasons)


def _verified(run: Run, path: Path, sha256: str) -> Path | None:
    if not path.exists():
        return None
    with disk_errors(path):
        found = sha256_of(path)
        if found == sha256:
            return path
        run.log.warn(f"the cached file {path} is corrupted (its sha256 is {found}); it is removed")
        path.unlink()
    return None


def _take(run: Run, wanted: Wanted, url: str, path: Path) -> None:
    """Take the file from one URL to ``path``, verified; raises NotHad."""
    if not run.may_open(url):
        raise NotHad([Reason(shown(url), f"not in the cache as {path}, and --offline downloads nothing")])
    # Imported here: the web costs 0.2 s to import, and most runs find everything in the cache.
    from builders.sources.http.transfer import Transfer

    transfer = Transfer(run, url, path, wanted.proxies)
    with run.log.step(f"download {wanted.name} from {urlsplit(url).hostname or 'this machine'}") as step:
        try:
            transfer.take(step)
            transfer.accept(wanted.sha256)
        except NotHad as trouble:
            if not (transfer.continued and trouble.reasons[0].wrong_bytes):
                raise
            # The first half came from another time or another server: it may be the half that is wrong.
            transfer.take(step)
            transfer.accept(wanted.sha256)
