"""Commits of git repositories, each cached as a bare repository that is whole or absent."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from builders.host import process
from builders.host.files import disk_errors, remove_tree, write_whole
from builders.host.log import Step
from builders.model.recipe import Git
from builders.sources.context import FetchContext, Reason, Stopped, Unavailable, redacted, shown

ATTEMPTS = 2
ONLY_ADVERTISED = (
    "does not allow request for unadvertised object",
    "dumb http transport does not support shallow",
    "does not support shallow",
)
"""Git's messages for a server that only serves branches and tags, not single commits."""
SLOW = ("-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60")
"""Ends a transfer below 1000 bytes a second for 60 seconds."""
QUIET = ("-c", "gc.auto=0", "-c", "maintenance.auto=0", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
"""Starts no program beside a fetch: no maintenance, and none of the user's hooks, which are for other repositories."""
AS_COMMITTED = "* -export-ignore -export-subst -text -eol -ident -filter -working-tree-encoding\n"
"""Attributes with which files are exported as they were committed, byte by byte."""
ALONE = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
"""No settings of the user or the machine, so that results are the same everywhere."""
STILL = {"GIT_ALLOW_PROTOCOL": "", "GIT_NO_LAZY_FETCH": "1"}
"""Only the cached repository is read: whatever its config contains, nothing is fetched and no helper runs."""
COUNTED = re.compile(r"\((\d+)/(\d+)\)")
SHA256_DIGITS = 64
CLONE_TIME_LIMIT_S = 4 * 3600.0
EXPORT_TIME_LIMIT_S = 1800.0


def cache_path(context: FetchContext, commit: str) -> Path:
    """Return the path in the cache of the bare repository with this commit."""
    return context.workspace.cache.downloads / "git" / f"{commit}.git"


def cached(context: FetchContext, commit: str) -> Path | None:
    """Return the cached repository after verifying it, or None; a corrupted repository is reported and removed."""
    if not cache_path(context, commit).exists():
        return None
    with _locked(context, commit):
        return _verified(context, commit)


def clone(context: FetchContext, name: str, way: Git) -> Path:
    """Return a bare repository with the commit: from the cache, or fetched into it.

    Only the commit is fetched; if the server does not serve single commits, all branches and tags are. Raises
    Unavailable, DiskError, HostError if git is not installed, and Stopped.
    """
    url = context.mirrored(way.url)
    with _locked(context, way.commit):
        if found := _verified(context, way.commit):
            return found
        path = cache_path(context, way.commit)
        if not context.may_open(url):
            raise Unavailable([Reason(shown(url), f"not in the cache as {path}, and --offline downloads nothing")])
        step_name = f"clone {name} from {shown(url)}"
        with context.workspace.cache.scratch_folder("git") as scratch, context.log.step(step_name) as step:
            fresh = scratch / "repository.git"
            _fetch(context, url, way.commit, fresh, step)
            write_whole(fresh / "reef-url", shown(url))
            with disk_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                fresh.rename(path)
        return path


def origin(repository: Path) -> str:
    """Return the URL that a cached repository came from."""
    return (repository / "reef-url").read_text(encoding="utf-8")


def export(repository: Path, commit: str, archive: Path) -> None:
    """Write the commit's files to the tar ``archive``, as they were committed, byte by byte."""
    write_whole(repository / "info" / "attributes", AS_COMMITTED)
    query(repository, "archive", "--format=tar", f"--output={archive}", commit)


def _locked(context: FetchContext, commit: str) -> AbstractContextManager[None]:
    return context.locked(f"git-{commit}", f"the clone of {commit[:12]}")


def _verified(context: FetchContext, commit: str) -> Path | None:
    path = cache_path(context, commit)
    if not path.exists():
        return None
    try:
        # Every file of the commit must exist, with the content of its name.
        query(path, "fsck", "--full", "--no-dangling", "--no-progress", commit)
    except process.ProgramFailed as error:
        context.log.warn(f"the cached repository {path} is corrupted; it is removed\n{said(error)}")
        remove_tree(path)
        return None
    return path


def _fetch(context: FetchContext, url: str, commit: str, fresh: Path, step: Step) -> None:
    """Create the bare repository ``fresh`` with only the commit; raises Unavailable."""
    listen = listener(context, step)
    make_bare(fresh, commit)
    url = _without_scheme(url)
    reason = ""
    for _ in range(ATTEMPTS):
        try:
            return ask(fresh, url, [f"{commit}:refs/heads/reef"], listen, "--depth=1")
        except process.ProgramFailed as error:
            reason = said(error)
        if any(text in reason for text in ONLY_ADVERTISED):
            return _fetch_all(url, commit, fresh, listen)
    raise Unavailable([Reason(shown(url), _explained(reason, commit))])


def make_bare(path: Path, commit: str) -> None:
    """Create a bare repository for objects named as ``commit`` is (git-init(1), --object-format)."""
    object_format = "sha256" if len(commit) == SHA256_DIGITS else "sha1"
    process.run(
        ["git", "init", "--quiet", "--bare", f"--object-format={object_format}", str(path)], extra_environment=ALONE
    )


def _without_scheme(url: str) -> str:
    """Return the path of a bundle on this machine, which git does not read as a URL (git-bundle(1))."""
    path = Path(unquote(urlsplit(url).path)) if url.startswith("file://") else Path(url)
    return str(path) if url.startswith("file://") and path.is_file() else url


def _explained(reason: str, commit: str) -> str:
    """Return git's reason, with words for those that name no cause."""
    if "non-commit object" in reason:
        return f"{commit} is a tag's own object, not a commit; git rev-parse '{commit}^{{commit}}' prints the commit"
    if "mismatched algorithms" in reason:
        return f"the repository's commits have another number of digits than {len(commit)} ({reason})"
    return reason


def _fetch_all(url: str, commit: str, fresh: Path, listen: Callable[[str], None]) -> None:
    """Fetch all branches and tags into a repository beside ``fresh``, and the commit from there."""
    everything = fresh.with_name("everything.git")
    make_bare(everything, commit)
    try:
        ask(everything, url, ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"], listen)
    except process.ProgramFailed as error:
        raise Unavailable([Reason(shown(url), said(error))]) from error
    try:
        ask(fresh, f"file://{everything}", [f"{commit}:refs/heads/reef"], listen, "--depth=1")
    except process.ProgramFailed as error:
        raise Unavailable([Reason(shown(url), f"no branch and no tag contains commit {commit}")]) from error


def ask(repository: Path, url: str, refs: list[str], listen: Callable[[str], None], *options: str) -> None:
    """Fetch ``refs`` from ``url``, with the user's settings of credentials and proxies; raises ProgramFailed."""
    process.run(
        [
            "git", f"--git-dir={repository}", *SLOW, *QUIET,
            "fetch", "--progress", "--no-tags", "--no-recurse-submodules", *options, "--", url, *refs,
        ],
        extra_environment={"GIT_TERMINAL_PROMPT": "0"},
        on_line=listen,
        timeout_s=CLONE_TIME_LIMIT_S,
    )  # fmt: skip


def listener(context: FetchContext, step: Step) -> Callable[[str], None]:
    """Return a listener that shows git's progress, and raises Stopped when the fetch is stopped."""

    def listen(line: str) -> None:
        if context.stop.is_set():
            raise Stopped
        found = COUNTED.search(line)
        if found:
            step.amount(int(found[1]), int(found[2]), line)
        else:
            step.line(line)

    return listen


def query(repository: Path, *arguments: str) -> str:
    """Return git's output on the repository, without the user's settings or a server; raises ProgramFailed."""
    argv = ["git", f"--git-dir={repository}", *arguments]
    return process.capture(argv, extra_environment=ALONE | STILL, timeout_s=EXPORT_TIME_LIMIT_S)


def said(error: process.ProgramFailed) -> str:
    """Return the cause in git's own words."""
    lines = error.completed.tail.splitlines()
    causes = [line for line in lines if line.startswith(("fatal:", "error:", "remote:", "ssh:"))]
    return redacted("; ".join((causes or lines)[-3:])) or error.what
