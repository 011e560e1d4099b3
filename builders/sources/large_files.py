"""Files that Git LFS keeps beside a repository: found by their pointers, fetched with git-lfs, cached by digest.

A pointer contains the file's SHA-256, so the digest or commit of the source pins the file too.
"""

import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from builders.errors import SourceError
from builders.host import process
from builders.host.files import disk_errors, raise_if_disk_full, write_whole
from builders.sources import file_cache
from builders.sources.context import FetchContext, Unavailable, shown
from builders.sources.kinds import git
from builders.sources.tree import Checkout, FoundPointer, TreeWriter, file_pieces, shortened

Parts = tuple[str, ...]
PLAIN = re.compile(r"[A-Za-z0-9_./+@%=~ -]+")
"""A path that git-lfs takes literally: without its wildcards, and the comma between paths."""
ABSENT = re.compile(r"missing object|[Oo]bject (does not exist|not found)|\[404\]")
"""Words of git-lfs about a file that the server does not have (or does not show to this user)."""
LACKS = "the server does not have what the pointers name"
OFFLINE = "not in the cache, and --offline downloads nothing"
LONGEST_INCLUDE = 60_000
"""The length of the list of paths in git-lfs's argument, far below the kernel's limit of 128 KiB."""


def fill_pointers(writer: TreeWriter, scratch: Path, context: FetchContext) -> None:
    """Write the files in place of their pointers, from the cache or with git-lfs from their repository.

    Raises SourceError that names the files which are not available.
    """
    reasons: dict[Checkout | None, str] = {}
    expected: dict[Checkout, dict[Parts, str]] = {}
    for parts, found in writer.pointers.items():
        if found.checkout and found.pointer.sha256 and not file_cache.cached(context, found.pointer.sha256):
            expected.setdefault(found.checkout, {})[parts] = found.pointer.sha256
    for number, (checkout, files) in enumerate(expected.items()):
        reasons[checkout] = _fetch(context, checkout, files, scratch / f"lfs{number}.git")
    for parts, found in list(writer.pointers.items()):
        if found.pointer.sha256 and (file := file_cache.cached(context, found.pointer.sha256)):
            writer.file(parts, file_pieces(file), executable=found.executable)
    if writer.pointers:
        raise _missing(writer.pointers, reasons)


def _fetch(context: FetchContext, checkout: Checkout, files: dict[Parts, str], repository: Path) -> str:
    """Fetch files into the cache; return the reason if some are not available."""
    url, server = checkout.url, context.mirrored(_server(checkout))
    if not context.may_open(url) or (server and not context.may_open(server)):
        return f"{shown(url)}: {OFFLINE}"
    if not process.find("git-lfs"):
        return "git-lfs, which would fetch them, is not installed (Debian's package: git-lfs)"
    # A repository of its own. Settings given to git-lfs here (lfs.storage) would also apply to a remote of this host.
    git.make_bare(repository, checkout.commit)
    write_whole(repository / "objects/info/alternates", f"{checkout.repository / 'objects'}\n")
    if server:
        process.capture(["git", f"--git-dir={repository}", "config", "lfs.url", server])
    paths = ["/".join(parts[len(checkout.into) :]) for parts in files]
    reason = ""
    with context.log.step(f"fetch {len(files)} files with git-lfs from {shown(url)}") as step:
        try:
            _ask(repository, url, checkout.commit, paths, git.listener(context, step))
        except process.ProgramFailed as error:
            raise_if_disk_full(error, repository)
            lacks = f"{LACKS}: " if ABSENT.search(error.completed.tail) else ""
            reason = f"{shown(url)}: {lacks}{git.said(error)}"
    storage = _storage(repository)
    for sha256 in set(files.values()):
        file = storage / sha256[:2] / sha256[2:4] / sha256
        if file.exists():
            own = repository / sha256
            with disk_errors(own):
                # Storage that the user shares between repositories keeps its file.
                file.rename(own) if file.is_relative_to(repository) else shutil.copyfile(file, own)
            reason = _accept(context, own, sha256, url) or reason
    return reason


def _storage(repository: Path) -> Path:
    """Return the folder in which git-lfs keeps files: in the repository, unless the user sets lfs.storage."""
    lines = process.capture(["git", f"--git-dir={repository}", "lfs", "env"]).splitlines()
    prefix = "LocalMediaDir="
    return Path(next(line.removeprefix(prefix) for line in lines if line.startswith(prefix)))


def _server(checkout: Checkout) -> str:
    """Return the server that the commit's .lfsconfig names (git-lfs-config(5)), or nothing."""
    with suppress(process.ProgramFailed):
        return git.query(checkout.repository, "config", f"--blob={checkout.commit}:.lfsconfig", "lfs.url").strip()
    return ""


def _ask(repository: Path, url: str, commit: str, paths: list[str], listen: Callable[[str], None]) -> None:
    include = ",".join(paths)
    only = all(PLAIN.fullmatch(path) for path in paths) and len(include) < LONGEST_INCLUDE
    process.run(
        [
            "git", f"--git-dir={repository}", *git.SLOW, "-c", "lfs.fetchrecentalways=false", "lfs", "fetch",
            f"--include={include if only else ''}", "--exclude=", url, commit,
        ],
        extra_environment={"GIT_TERMINAL_PROMPT": "0"},
        on_line=listen,
        timeout_s=git.CLONE_TIME_LIMIT_S,
    )  # fmt: skip


def _accept(context: FetchContext, file: Path, sha256: str, url: str) -> str:
    """Move a fetched file into the cache; return the reason if it is wrong."""
    path = file_cache.cache_path(context, sha256)
    with file_cache.locked(context, sha256), disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file_cache.accept(file, path, sha256, shown(url))
        except Unavailable as error:
            return str(error.reasons[0]).strip()
    return ""


def _missing(pointers: dict[Parts, FoundPointer], reasons: dict[Checkout | None, str]) -> SourceError:
    subjects = dict.fromkeys(found.subject for found in pointers.values())
    programs = " and ".join(dict.fromkeys(found.pointer.program for found in pointers.values()))
    lines = [_line("/".join(parts), found) for parts, found in pointers.items()]
    causes = _said(reasons[found.checkout] for found in pointers.values() if found.checkout in reasons)
    return SourceError(
        f"{' and '.join(subjects)}: {len(pointers)} files are missing; there are only pointers of {programs}",
        "\n".join([shortened(lines), *causes]),
        f"{_first(causes)}; or give each by a later source (file: with the pointer's path as name: and its sha256); in "
        "a folder of this machine, run git lfs pull; or, if the build needs no such file, name it under exclude: with "
        "a reason",
    )


def _first(causes: Sequence[str]) -> str:
    if any(LACKS in cause for cause in causes):
        return "ask upstream to push them (git lfs push --all), or for the right to read them"
    if any(OFFLINE in cause for cause in causes):
        return "run once without --offline"
    if not process.find("git-lfs"):
        return "fetch them: install git-lfs, and use git: for a source that is an archive or a file"
    return (
        "see what git-lfs says, and run again"
        if causes
        else "fetch them: use git: for a source that is an archive or a file"
    )


def _line(path: str, found: FoundPointer) -> str:
    pointer = found.pointer
    return f"{path}: {pointer.size} bytes, sha256 {pointer.sha256}" if pointer.sha256 else f"{path}: {pointer.program}"


def _said(reasons: Iterable[str]) -> list[str]:
    return [reason for reason in dict.fromkeys(reasons) if reason]
