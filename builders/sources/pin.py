"""The pins of sources that have none yet: a file's SHA-256, a git repository's commit."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from debian.debian_support import Version

from builders.errors import SourceError, nearest
from builders.host import process
from builders.host.apt_access import AptAccess
from builders.host.files import disk_errors, sha256_of
from builders.model.context import Context
from builders.sources import file_cache
from builders.sources.context import FetchContext, Unavailable, redacted, shown
from builders.sources.kinds.archive import BROKEN, member_names

LIST_TIME_S = 120.0
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
RELEASE = re.compile(r"(?:.*[^0-9.])?(\d+(?:\.\d+)+)")
"""A tag that names a release and nothing later: ``v1.2.3``, ``1.2``, ``name-1.2``, but not ``v1.2-rc1``."""


@dataclass(frozen=True)
class PinnedCommit:
    """A commit, and the tag or branch that led to it; ``version`` is empty unless the tag names a release."""

    commit: str
    ref: str
    version: str = ""


def pin_url(url: str, context: Context) -> str:
    """Return the SHA-256 of the file at ``url``, which is then in the cache. Raises SourceError, DiskError."""
    from builders.sources.http.transfer import Transfer  # slow to import

    fetching = FetchContext.of(context, offline=False)
    address = urlsplit(url)
    name, place = address.path.rpartition("/")[2], address.hostname or "this machine"
    with context.workspace.cache.scratch_folder("pin") as scratch:
        transfer = Transfer(fetching, fetching.mirrored(url), scratch / "file", AptAccess())
        try:
            with context.log.step(f"download {name or 'a file'} from {place}") as step:
                transfer.take(step)
        except Unavailable as error:
            raise SourceError(
                f"cannot fetch {shown(url)}", "\n".join(map(str, error.reasons)),
                "check the URL, the network and the proxy (http_proxy, https_proxy)",
            ) from error  # fmt: skip
        with disk_errors(transfer.part):
            sha256 = sha256_of(transfer.part)
        with file_cache.locked(fetching, sha256):
            if not file_cache.verified(fetching, sha256):
                file_cache.accept(transfer.part, file_cache.cache_path(fetching, sha256), sha256, shown(url))
    return sha256


def pin_commit(url: str, ref: str, context: Context) -> PinnedCommit:
    """Return the commit of ``ref`` (a tag, branch or commit); without it, of the newest release's tag, else of HEAD.

    Raises SourceError, HostError if git is not installed.
    """
    if COMMIT.fullmatch(ref):
        return PinnedCommit(ref, ref)
    listed = _listed(FetchContext.of(context, offline=False).mirrored(url))
    tags = {name.removeprefix("refs/tags/"): commit for name, commit in listed.items() if name.startswith("refs/tags/")}
    heads = {name.removeprefix("refs/heads/"): commit for name, commit in listed.items() if "/heads/" in name}
    if ref:
        if ref not in tags | heads:
            raise SourceError(
                f"{shown(url)} has no tag or branch {ref!r}", nearest(ref, tags | heads), "name one of these after #"
            )
        return PinnedCommit((heads | tags)[ref], ref, _release(ref) if ref in tags else "")
    releases = [tag for tag in tags if _release(tag)]
    if releases:
        newest = max(releases, key=lambda tag: Version(_release(tag)))
        return PinnedCommit(tags[newest], newest, _release(newest))
    if "HEAD" not in listed:
        raise SourceError(f"{shown(url)} is empty", "it has no commit", "name another repository")
    return PinnedCommit(listed["HEAD"], "HEAD")


def _release(tag: str) -> str:
    found = RELEASE.fullmatch(tag)
    return found[1] if found else ""


def _listed(url: str) -> dict[str, str]:
    """Return the commits of a remote repository by their refs; of an annotated tag, the commit that it names."""
    try:
        text = process.capture(
            ["git", "ls-remote", "--", url], extra_environment={"GIT_TERMINAL_PROMPT": "0"}, timeout_s=LIST_TIME_S
        )
    except process.ProgramFailed as error:
        raise SourceError(
            f"cannot list {shown(url)}",
            redacted(error.completed.tail.strip()),
            "check the URL and the network; the URL of an archive ends with .tar.gz, .tar.xz, .zip or the like",
        ) from error
    found = {}
    for line in text.splitlines():  # the commit of a tag follows the tag itself, as refs/tags/NAME^{}
        commit, _, name = line.partition("\t")
        found[name.removesuffix("^{}")] = commit
    return found


def cached_path(sha256: str, context: Context) -> Path:
    """Return the path of a pinned file in the cache."""
    return file_cache.cache_path(FetchContext.of(context, offline=True), sha256)


def has_one_folder(sha256: str, context: Context) -> bool:
    """Return whether all members of a cached archive are in one folder, which is removed when it is unpacked."""
    path = cached_path(sha256, context)
    try:
        names = list(member_names(path))
    except (*BROKEN, OSError):
        return True  # unpacking reports a file that is no archive
    heads = {name.removeprefix("./").partition("/")[0] for name in names if name.strip("./")}
    return len(heads) == 1 and any("/" in name.removeprefix("./").rstrip("/") for name in names)
