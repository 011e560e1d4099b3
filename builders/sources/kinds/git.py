"""Single commits of git repositories, each cached as a bare repository that is whole or absent.

Submodules are not supported: their folders stay empty, and a warning says so; name each as a source of its own.
"""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from builders.host import process
from builders.host.files import disk_errors, remove_tree, write_whole
from builders.host.log import Step
from builders.model.recipe import Git
from builders.sources.context import NotHad, Reason, Run, Stopped, redacted, shown

ATTEMPTS = 2
ONLY_ADVERTISED = (
    "does not allow request for unadvertised object",
    "dumb http transport does not support shallow",
    "does not support shallow",
)
"""What git says of a server that gives branches and tags only, never a commit by its name."""
SLOW = ("-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60")
"""A transfer below 1000 bytes a second for 60 seconds is given up."""
AS_COMMITTED = "* -export-ignore -export-subst -text -eol -ident -filter -working-tree-encoding\n"
"""Attributes that give a commit's files out byte by byte as they were committed."""
ALONE = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
"""No settings of the user or the machine: for what must give the same result everywhere."""
STILL = {"GIT_ALLOW_PROTOCOL": "", "GIT_NO_LAZY_FETCH": "1"}
"""What is cached is asked alone: whatever a repository's own config says, nothing is fetched, no helper is run."""
COUNTED = re.compile(r"\((\d+)/(\d+)\)")
CLONE_TIME_LIMIT_S = 4 * 3600.0
EXPORT_TIME_LIMIT_S = 1800.0


def cache_path(run: Run, commit: str) -> Path:
    """Return where the bare repository with this commit lies when it is in the cache."""
    return run.workspace.cache.downloads / "git" / f"{commit}.git"


def cached(run: Run, commit: str) -> Path | None:
    """Return the cached repository after git has checked it, or None; a corrupted one is told of and removed."""
    if not cache_path(run, commit).exists():
        return None
    with _locked(run, commit):
        return _verified(run, commit)


def clone(run: Run, name: str, way: Git) -> Path:
    """Return a bare repository that holds the wanted commit: from the cache, or fetched into it.

    Only that commit is asked for; a server that gives no single commits is asked for all. Raises NotHad, DiskError,
    HostError where git is not installed, and Stopped when the run is given up.
    """
    url = run.mirrored(way.url)
    with _locked(run, way.commit):
        if found := _verified(run, way.commit):
            return found
        path = cache_path(run, way.commit)
        if not run.may_open(url):
            raise NotHad([Reason(shown(url), f"not in the cache as {path}, and --offline downloads nothing")])
        step_name = f"clone {name} from {shown(url)}"
        with run.workspace.cache.scratch_folder("git") as scratch, run.log.step(step_name) as step:
            fresh = scratch / "repository.git"
            _fetch(run, url, way.commit, fresh, step)
            write_whole(fresh / "reef-url", shown(url))
            with disk_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                fresh.rename(path)
        return path


def origin(repository: Path) -> str:
    """Return the URL that a cached repository came from."""
    return (repository / "reef-url").read_text(encoding="utf-8")


def export(run: Run, repository: Path, commit: str, archive: Path) -> None:
    """Write the commit's files to the tar ``archive``, byte by byte as they were committed."""
    write_whole(repository / "info" / "attributes", AS_COMMITTED)
    if ".gitmodules" in _git(repository, "ls-tree", "--name-only", commit).splitlines():
        run.log.warn(f"{origin(repository)} has submodules, which stay empty; name each as a source of its own")
    _git(repository, "archive", "--format=tar", f"--output={archive}", commit)


def _locked(run: Run, commit: str) -> AbstractContextManager[None]:
    return run.locked(f"git-{commit}", f"the clone of {commit[:12]}")


def _verified(run: Run, commit: str) -> Path | None:
    path = cache_path(run, commit)
    if not path.exists():
        return None
    try:
        # From the commit on: every file must be there, and be what its name says.
        _git(path, "fsck", "--full", "--no-dangling", "--no-progress", commit)
    except process.ProgramFailed as error:
        run.log.warn(f"the cached repository {path} is corrupted; it is removed\n{_said(error)}")
        remove_tree(path)
        return None
    return path


def _fetch(run: Run, url: str, commit: str, fresh: Path, step: Step) -> None:
    """Make the bare repository ``fresh`` with the wanted commit alone; raises NotHad."""
    listen = _listener(run, step)
    process.run(["git", "init", "--quiet", "--bare", str(fresh)], extra_environment=ALONE)
    trouble = ""
    for _ in range(ATTEMPTS):
        try:
            return _ask(fresh, url, [f"{commit}:refs/heads/reef"], listen, "--depth=1")
        except process.ProgramFailed as error:
            trouble = _said(error)
        if any(text in trouble for text in ONLY_ADVERTISED):
            return _fetch_all(url, commit, fresh, listen)
    raise NotHad([Reason(shown(url), trouble)])


def _fetch_all(url: str, commit: str, fresh: Path, listen: Callable[[str], None]) -> None:
    """Fetch all branches and tags to a place beside ``fresh``, and the wanted commit from there."""
    everything = fresh.with_name("everything.git")
    process.run(["git", "init", "--quiet", "--bare", str(everything)], extra_environment=ALONE)
    try:
        _ask(everything, url, ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"], listen)
    except process.ProgramFailed as error:
        raise NotHad([Reason(shown(url), _said(error))]) from error
    try:
        _ask(fresh, f"file://{everything}", [f"{commit}:refs/heads/reef"], listen, "--depth=1")
    except process.ProgramFailed as error:
        raise NotHad([Reason(shown(url), f"no branch and no tag holds commit {commit}")]) from error


def _ask(repository: Path, url: str, wanted: list[str], listen: Callable[[str], None], *options: str) -> None:
    process.run(
        [
            "git", f"--git-dir={repository}", *SLOW, "-c", "gc.auto=0", "-c", "maintenance.auto=0",
            "fetch", "--progress", "--no-tags", *options, "--", url, *wanted,
        ],
        extra_environment={"GIT_TERMINAL_PROMPT": "0"},
        on_line=listen,
        timeout_s=CLONE_TIME_LIMIT_S,
    )  # fmt: skip


def _listener(run: Run, step: Step) -> Callable[[str], None]:
    """Return what moves the step's bar with git's progress lines, and gives up with the run."""

    def listen(line: str) -> None:
        if run.stop.is_set():
            raise Stopped
        found = COUNTED.search(line)
        if found:
            step.amount(int(found[1]), int(found[2]), line)
        else:
            step.line(line)

    return listen


def _git(repository: Path, *arguments: str) -> str:
    """Ask the repository something, without the user's git settings or any server; raises ProgramFailed."""
    argv = ["git", f"--git-dir={repository}", *arguments]
    return process.capture(argv, extra_environment=ALONE | STILL, timeout_s=EXPORT_TIME_LIMIT_S)


def _said(error: process.ProgramFailed) -> str:
    """Return what git itself names as the cause."""
    lines = error.completed.tail.splitlines()
    causes = [line for line in lines if line.startswith(("fatal:", "error:", "remote:", "ssh:"))]
    return redacted("; ".join((causes or lines)[-3:])) or error.what
