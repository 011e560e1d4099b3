"""Folders and machines that rsync reaches.

rsync writes every file beside its path and renames it, symbolic links too (3.1 and later): no reader sees a partial
file. What a killed run transferred of a large file is in ``.rsync-partial``, and the next run resumes it. Only rsync's
own protocol is used, no shell: an account restricted to rsync (rrsync) is enough.
"""

import os
import re
import shlex
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath

from builders.apt.upload.store import File, RemoteFile
from builders.errors import HostError, InputError, PublishError
from builders.host import process
from builders.host.files import disk_errors
from builders.host.log import Step
from builders.model.settings import Folder, Rsync

PARTIAL = ".rsync-partial"
SILENCE_S = 120
"""Seconds without a byte after which a connection counts as lost."""
LONGEST_S = 24 * 3600
LISTED = re.compile(r"([-dlrwxst]{10}) +(\d+) (\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) (.+)")
SNAPSHOT = re.compile(r"(snapshots/[^/]+)/([^/]+)/(.+)")
MISSING = 23
"""rsync's status where something was not transferred: here, that the destination does not exist yet."""
FILE_IO = 11
"""rsync's status for errors with files; the other side's messages about them do not always arrive."""
ROOM = "free some space there, then run ./inv upload-apt again"
REASONS = (
    ("Host key verification failed", "the machine's host key is unknown or has changed",
     "connect once by hand and compare it, or name a file with known_hosts:"),
    ("Permission denied (publickey", "the account does not accept the key",
     "add its public half to authorized_keys there, or name another with identity: or the agent"),
    ("Could not resolve hostname", "no such machine", "correct to: in reef.yml"),
    ("No space left on device", "the disk there is full", ROOM),
    ("Disk quota exceeded", "the quota there is used up", ROOM),
    ("Read-only file system", "the disk there is read-only", "repair it, then run ./inv upload-apt again"),
    ("Permission denied (13)", "the account may not write or read there", "make the folder the account's own"),
    ("Operation not permitted (1)", "the account may not write there", "make the folder the account's own"),
    ("rsync: command not found", "rsync is not installed there", "install it there"),
    ("rsync: not found", "rsync is not installed there", "install it there"),
    ('] mkdir "', "its parent folder does not exist", "make it there, or correct the destination in reef.yml"),
)  # fmt: skip
UNSAID = "either its parent folder does not exist, or the disk there is full or broken"
"""The meaning of `FILE_IO` where the other side's messages did not arrive."""
LATER = "what arrived stays; run ./inv upload-apt again to resume"


@dataclass(frozen=True)
class RsyncStore:
    """A destination that rsync fills with files from the folder ``root``."""

    root: Path
    name: str
    target: str
    """Folder, or ``user@host:folder``, with a trailing slash."""
    ssh: tuple[str, ...] = ()
    links: bool = True
    local: Path | None = None
    """The destination's folder on this machine, to make if necessary."""

    def listing(self) -> dict[str, RemoteFile]:
        """Return everything at the destination: of a file its time in seconds since 1970, of a link its target."""
        argv = self._argv("--recursive", "--links", "--list-only", "--no-human-readable", self.target)
        try:
            text = process.capture(argv, timeout_s=LONGEST_S, extra_environment={"TZ": "UTC"})
        except process.ProgramFailed as error:
            if error.completed.returncode == MISSING and "change_dir" in error.detail and "(2)" in error.detail:
                return {}
            raise self._error(error) from error
        return {name: held for name, held in map(_listed, text.splitlines()) if held}

    def differing(self, files: Sequence[File], held: Mapping[str, RemoteFile]) -> list[File]:
        """Return the files whose size, time or link differs at the destination."""
        return [file for file in files if not _same(file, held.get(file.key))]

    def put(self, files: Sequence[File], step: Step) -> None:
        """Upload files; files of a snapshot become hard links where the snapshot before has the same bytes."""
        done = 0
        if self.local:
            with disk_errors(self.local):  # rsync itself makes one level only
                self.local.mkdir(parents=True, exist_ok=True)

        def count(line: str) -> None:
            nonlocal done
            if line.startswith("+ "):
                done += 1
                step.amount(done, len(files), line[2:])

        inside = {file.key: match for file in files if self.links and (match := SNAPSHOT.fullmatch(file.key))}
        rest = [file.key for file in files if file.key not in inside]
        if rest or inside:
            self._send([*rest, *sorted({f"{m[1]}/{m[2]}/" for m in inside.values()})], count)
        for (suite, stamp), some in groupby(inside.values(), key=lambda match: (match[1], match[2])):
            folder = f"{suite}/{stamp}/"
            before = [name for name in sorted(p.name for p in (self.root / suite).iterdir()) if name < stamp][-1:]
            link = [f"--link-dest=../{name}/" for name in before]
            self._send([match[3] for match in some], count, folder, "--hard-links", *link)

    def discard_unfinished(self, files: Sequence[File]) -> str:  # noqa: ARG002 - other kinds use it
        """Do nothing: rsync resumes partial files."""
        return ""

    def carry(self, suite: str, old: str, new: str) -> None:
        """Hard-link the indices by hash of the publication ``old`` into the publication ``new``."""
        there = f"{self.target}snapshots/{suite}/"
        with tempfile.TemporaryDirectory(prefix="reef-carry-") as scratch:
            only = ("--include=*/", "--include=/**/by-hash/SHA256/*", "--exclude=*", "--prune-empty-dirs")
            self._run(self._argv("--recursive", "--times", *only, f"{there}{old}/", f"{scratch}/"))
            options = ("--recursive", "--times", "--ignore-existing", f"--link-dest=../{old}/")
            self._run(self._argv(*options, f"{scratch}/", f"{there}{new}/"))

    def delete(self, keys: Collection[str]) -> None:
        """Remove files, and the folders that are then empty; rsync protects all that the rules do not include."""
        folders = {str(folder) for key in keys for folder in PurePosixPath(key).parents} - {"."}
        rules = [*(f"/{folder}/" for folder in sorted(folders)), *(f"/{key}" for key in sorted(keys))]
        with tempfile.TemporaryDirectory(prefix="reef-empty-") as empty:
            argv = self._argv("--recursive", "--delete", "--include-from=-", "--exclude=*", f"{empty}/", self.target)
            self._run(argv, text="\n".join(rules))

    def read(self, keys: Collection[str]) -> dict[str, bytes]:
        """Return files' contents."""
        if not keys:
            return {}
        with tempfile.TemporaryDirectory(prefix="reef-read-") as scratch:
            options = ("--copy-links", "--ignore-missing-args", "--files-from=-")
            self._run(self._argv(*options, self.target, f"{scratch}/"), text="\n".join(keys))
            paths = {key: Path(scratch) / key for key in keys}
            return {key: path.read_bytes() for key, path in paths.items() if path.is_file()}

    def unsound(self, files: Sequence[File]) -> list[str]:
        """Return the keys of files with other bytes at the destination: both sides hash them."""
        wrong: list[str] = []
        argv = self._argv("--checksum", "--dry-run", *self._form(), "--files-from=-", "--out-format=+ %n",
                          f"{self.root}/", self.target)  # fmt: skip
        self._run(argv, text="\n".join(file.key for file in files), on_line=wrong.append)
        known = {file.key for file in files}
        return [line[2:] for line in wrong if line[2:] in known]

    def _send(self, keys: Sequence[str], count: Callable[[str], None], folder: str = "", *options: str) -> None:
        argv = self._argv(*self._form(), *options, "--files-from=-", f"--partial-dir={PARTIAL}", "--out-format=+ %n",
                          f"{self.root}/{folder}", f"{self.target}{folder}")  # fmt: skip
        self._run(argv, text="\n".join(keys), on_line=count)

    def _form(self) -> tuple[str, ...]:
        kind = "--links" if self.links else "--copy-links"
        return (kind, "--times", "--omit-dir-times", "--perms", "--chmod=D755,F644")

    def _argv(self, *words: str) -> list[str]:
        shell = ["--rsh", shlex.join(self.ssh)] if self.ssh else []
        return ["rsync", "--protect-args", f"--timeout={SILENCE_S}", *shell, *words]

    def _run(self, argv: Sequence[str], *, text: str = "", on_line: Callable[[str], None] | None = None) -> None:
        try:
            process.run(argv, input_text=text, on_line=on_line, timeout_s=LONGEST_S)
        except process.ProgramFailed as error:
            raise self._error(error) from error

    def _error(self, error: process.ProgramFailed) -> PublishError:
        for sign, why, fix in REASONS:
            if sign in error.detail:
                return PublishError(f"{self.name}: {why}", error.completed.tail or error.detail, fix)
        if error.completed.returncode == FILE_IO:
            words = [line for line in error.detail.splitlines() if line.startswith("rsync: ")]
            if words:
                return PublishError(f"{self.name}: {words[0].removeprefix('rsync: ')}", error.completed.tail, LATER)
            return PublishError(f"{self.name}: {UNSAID}", error.completed.tail, f"check it there; {LATER}")
        return PublishError(f"{self.name}: the upload failed", error.completed.tail or error.detail, LATER)


def _listed(line: str) -> tuple[str, RemoteFile | None]:
    match = LISTED.fullmatch(line)
    if match is None or match[1].startswith("d"):
        return "", None
    name, _, link = match[4].partition(" -> ")
    if match[1].startswith("l"):
        return name, RemoteFile(0, f"-> {link}")
    return name, RemoteFile(int(match[2]), match[3])


def _same(file: File, held: RemoteFile | None) -> bool:
    if held is None:
        return False
    if file.link:
        return held.tag == f"-> {file.link}"
    return held == RemoteFile(file.size, _time(file.mtime))


def _time(moment: int) -> str:
    return time.strftime("%Y/%m/%d %H:%M:%S", time.gmtime(moment))


def rsync_store(destination: Folder | Rsync, root: Path, base: Path) -> RsyncStore:
    """Return the store for a destination in the project folder ``base``; raises HostError without the programs."""
    for program in ("rsync", *(["ssh"] if isinstance(destination, Rsync) else [])):
        if not process.find(program):
            package = {"ssh": "openssh-client"}.get(program, program)
            raise HostError(f"{program} is not installed", f"needed to upload to {destination.name}",
                            f"sudo apt-get install {package}")  # fmt: skip
    name = f"{destination.name} ({destination.path if isinstance(destination, Folder) else destination.to})"
    if isinstance(destination, Folder):
        path = _below(base, destination.path)
        return RsyncStore(root, name, f"{path}/", links=destination.links, local=path)
    host, _, folder = destination.to.rpartition(":") if "]:" in destination.to else destination.to.partition(":")
    return RsyncStore(root, name, f"{host}:{folder.rstrip('/')}/", _ssh(destination, base), links=destination.links)


def require_apart(destination: Folder, root: Path, base: Path) -> None:
    """Raise InputError for a destination that is, contains or is in the published folder ``root``."""
    path, ours = _below(base, destination.path).resolve(), root.resolve()
    if path.is_relative_to(ours) or ours.is_relative_to(path):
        raise InputError(f"{destination.name} would be uploaded over the repository itself",
                         f"path: {destination.path}, repository: {ours}", "choose a folder beside it")  # fmt: skip


def _below(base: Path, name: str) -> Path:
    return Path(os.path.abspath(base / Path(name).expanduser()))


def _ssh(destination: Rsync, base: Path) -> tuple[str, ...]:
    """Return the ssh command: it never prompts, and gives up where nobody answers."""
    words = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=15",
             "-o", "ServerAliveCountMax=4"]  # fmt: skip
    if destination.port:
        words += ["-p", str(destination.port)]
    if destination.identity:
        words += ["-i", str(_below(base, destination.identity)), "-o", "IdentitiesOnly=yes"]
    if destination.known_hosts:
        # ssh accepts several files here, separated by blanks, and replaces what follows a %.
        path = str(_below(base, destination.known_hosts)).replace("%", "%%")
        words += ["-o", f'UserKnownHostsFile="{path}"']
    return tuple(words)
