"""Export and import of the caches as one file, from a machine or CI job to the next.

The file is a tar compressed by zstd. Its last member contains the number of files, their size and their digest, so that
a truncated or damaged file is recognized. Each name begins with the kind of the file; other names are refused.
"""

import hashlib
import io
import json
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import zstandard

from builders.errors import InputError
from builders.host.files import disk_errors, write_whole
from builders.host.log import Log, Step, size
from builders.host.workspace import Workspace

FORMAT = 2
END = "reef-cache.json"
LEVEL = 3
"""zstd's default: most files are already compressed."""
LARGEST_END = 4096
NOT_CARRIED = {
    "apt": "Debian packages; as fast from the mirror",
    "debian-index": "Debian's lists of packages, fetched again each day",
}
"""Cache mounts that are not exported, and why."""
REASONS = {"sources": "downloaded sources, by digest", "ccache": "compiled files"}
OF_THE_MOMENT = re.compile(r"(^|/)(tmp|lock)/|\.(lock|part|part\.json)$|\.tmp\.|(^|/)inode-cache")
"""Temporary files of a running ccache, git or download."""
DOWNLOAD = re.compile(r"sources/sha256/([0-9a-f]{64})(\.url)?")
CLONE = re.compile(
    r"(sources/git/([0-9a-f]{40}|[0-9a-f]{64})\.git)/"
    r"(HEAD|packed-refs|shallow|reef-url|refs/heads/[A-Za-z0-9_-]+|objects/[0-9a-f]{2}/([0-9a-f]{38}|[0-9a-f]{62})"
    r"|objects/pack/[A-Za-z0-9-]+\.(pack|idx|rev))"
)
"""Only the data of a clone, nothing that git executes or follows: no config, hooks, alternates or promisors."""
SHA1_DIGITS = 40
CONFIG = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
CONFIG_SHA256 = "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectformat = sha256\n"
"""The config of an imported clone, as `git init --bare` writes it, by the object format."""
MOUNT = re.compile(r"mounts/[A-Za-z0-9][A-Za-z0-9._-]*/.+")
NOT_OURS = (tarfile.TarError, zstandard.ZstdError, EOFError, FileExistsError, NotADirectoryError, IsADirectoryError)
"""Errors of unpacking a file that `export_caches` did not write, or that was changed since."""
OTHER = "export it again: ./inv cache --export FILE"


@dataclass(frozen=True)
class CacheUsage:
    """The use of a cache: its purpose, the number and size (bytes) of its files, and whether they are exported."""

    name: str
    reason: str
    files: int
    size: int
    carried: bool


@dataclass(frozen=True)
class Imported:
    """The result of an import: number and bytes of new files, and number of files that existed."""

    files: int
    size: int
    known: int


def usage(workspace: Workspace) -> list[CacheUsage]:
    """Return the use of each cache; of exported caches, only files that would be exported count."""
    found = []
    mounts = sorted(path for path in workspace.cache.mounts.glob("*") if path.is_dir())
    for name, folder in [("sources", workspace.cache.downloads), *((path.name, path) for path in mounts)]:
        carried = name not in NOT_CARRIED
        top = "sources" if name == "sources" else f"mounts/{name}"
        sizes = [path.stat().st_size for inner, path in _files(folder, top) if not carried or _exported(inner)]
        found.append(CacheUsage(name, reason(name), len(sizes), sum(sizes), carried))
    return found


def reason(name: str) -> str:
    """Return the purpose of the cache ``name``."""
    return NOT_CARRIED.get(name) or REASONS.get(name, "kept between builds")


def export_caches(
    workspace: Workspace, path: Path, log: Log, take: Callable[[Path], Sequence[Path]] | None = None
) -> tuple[int, int]:
    """Export the caches to the file ``path``, whole or not at all; return the number of files and its size in bytes.

    ``take`` copies the caches inside an engine into a given folder, and returns the folders with the layout of
    `Cache.mounts`. The caller excludes builds. Raises InputError if there is nothing to export, or no folder for
    ``path``; DiskError, and the errors of ``take``.
    """
    if path.is_dir() or not path.parent.is_dir():
        wrong = f"{path} is a folder" if path.is_dir() else f"no such folder: {path.parent}"
        raise InputError(wrong, fix="name a file in a folder that exists")
    with workspace.scratch_folder("export") as scratch:
        found = _carried(workspace, take(scratch / "taken") if take else ())
        if not found:
            raise InputError(
                "the caches contain nothing to export", fix="build something first; ./inv cache shows them"
            )
        fresh = scratch / "cache"
        with log.step(f"pack the caches into {path}") as step:
            files = _pack(found, fresh, step)
        with disk_errors(path):
            # It may be on another disk: copied into its folder, then renamed.
            beside = path.with_name(f".{path.name}.{os.getpid()}")
            try:
                shutil.move(fresh, beside)
                beside.replace(path)
            finally:
                beside.unlink(missing_ok=True)
            return files, path.stat().st_size


def import_caches(workspace: Workspace, path: Path, log: Log, give: Callable[[Path], None] | None = None) -> Imported:
    """Add the files in ``path`` to the caches; existing files stay unchanged.

    ``give`` adds a folder with the layout of `Cache.mounts` to the caches inside an engine. Nothing is added unless the
    whole file is sound. The caller excludes builds. Raises InputError for a missing, damaged, truncated or other file,
    DiskError, and the errors of ``give``.
    """
    if not path.is_file():
        raise InputError(
            f"not a file: {path}" if path.exists() else f"no such file: {path}",
            fix="./inv cache --export FILE writes such a file",
        )
    with workspace.cache.scratch_folder("import") as scratch:
        with log.step(f"unpack the caches from {path}") as step, disk_errors(scratch):
            try:
                names = _unpack(path, scratch, step)
            except NOT_OURS as error:
                raise InputError(f"{path} is damaged, or not an export of caches", str(error), OTHER) from error
        if give and (scratch / "mounts").exists():
            give(scratch / "mounts")
        return _merge(scratch, names, workspace)


def _files(folder: Path, top: str) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield f"{top}/{path.relative_to(folder)}", path


def _exported(name: str) -> bool:
    known = DOWNLOAD.fullmatch(name) or CLONE.fullmatch(name) or MOUNT.fullmatch(name)
    return bool(known) and not OF_THE_MOMENT.search(name) and name.split("/")[1] not in NOT_CARRIED


def _carried(workspace: Workspace, taken: Sequence[Path]) -> list[tuple[str, Path]]:
    """Return the files to export, by name; of equal names, which mean equal content, the first."""
    found = dict(_files(workspace.cache.downloads, "sources"))
    for folder in (workspace.cache.mounts, *taken):
        found = dict(_files(folder, "mounts")) | found
    return sorted((name, path) for name, path in found.items() if _exported(name))


def _pack(found: Sequence[tuple[str, Path]], fresh: Path, step: Step) -> int:
    total, digests = 0, hashlib.sha256()
    with disk_errors(fresh), fresh.open("wb") as file:
        engine = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True, threads=-1)
        with engine.stream_writer(file) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
            for number, (name, path) in enumerate(found):
                step.amount(number, len(found), name)
                info = tarfile.TarInfo(name)
                with path.open("rb") as content:
                    summed = _Summed(content)
                    facts = os.fstat(content.fileno())
                    info.size, info.mtime = facts.st_size, int(facts.st_mtime)
                    tar.addfile(info, cast(IO[bytes], summed))
                total += info.size
                digests.update(_line(name, summed.digest.hexdigest()))
            end = json.dumps(
                {"format": FORMAT, "files": len(found), "bytes": total, "sha256": digests.hexdigest()}
            ).encode()
            info = tarfile.TarInfo(END)
            info.size = len(end)
            tar.addfile(info, io.BytesIO(end))
    return len(found)


class _Summed:
    """A file, and the digest of the bytes read from it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.digest = file, hashlib.sha256()

    def read(self, most: int) -> bytes:
        piece = self.file.read(most)
        self.digest.update(piece)
        return piece


class _Plain:
    """The content of a compressed file; raises EOFError if it ends before its checksum."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.engine, self.left = file, zstandard.ZstdDecompressor().decompressobj(), b""

    def read(self, most: int) -> bytes:
        while not self.left and not self.engine.eof:
            piece = self.file.read(1 << 14)
            if not piece:
                raise EOFError("it is truncated")
            self.left = self.engine.decompress(piece)
        piece, self.left = self.left[:most], self.left[most:]
        return piece


def _line(name: str, digest: str) -> bytes:
    return f"{digest}  {name}\n".encode()


def _unpack(path: Path, scratch: Path, step: Step) -> list[str]:
    """Unpack to ``scratch`` and return the names; raises InputError for members that `export_caches` does not write."""
    names: list[str] = []
    total, digests, end = 0, hashlib.sha256(), b""
    with path.open("rb") as file:
        plain = cast(IO[bytes], _Plain(file))
        tar = tarfile.open(fileobj=plain, mode="r|")  # noqa: SIM115 - it holds nothing
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            if content is None or end:
                raise InputError(f"{path} is not an export of caches", f"unexpected member {member.name!r}", OTHER)
            if member.name == END:
                end = content.read(LARGEST_END)
                continue
            if ".." in member.name.split("/") or not _exported(member.name):
                raise InputError(f"{path} is not an export of caches", f"unexpected name {member.name!r}", OTHER)
            step.amount(len(names), None, member.name)
            digests.update(_line(member.name, _write(path, scratch / member.name, member, content)))
            names.append(member.name)
            total += member.size
        while plain.read(1 << 20):
            pass  # the checksum comes last
    if not end:
        raise InputError(f"{path} is truncated", f"its end is missing after {len(names)} files", OTHER)
    _require_whole(path, end, len(names), total, digests.hexdigest())
    return names


def _write(archive: Path, target: Path, member: tarfile.TarInfo, content: IO[bytes]) -> str:
    """Write a file and return its digest."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with target.open("xb") as file:
        while piece := content.read(1 << 20):
            digest.update(piece)
            file.write(piece)
    os.utime(target, (member.mtime, member.mtime))  # ccache removes files by their time
    download = DOWNLOAD.fullmatch(member.name)
    if download and not download[2] and digest.hexdigest() != download[1]:
        raise InputError(f"{archive} is damaged", f"{member.name} has the sha256 {digest.hexdigest()}", OTHER)
    return digest.hexdigest()


def _require_whole(path: Path, end: bytes, files: int, total: int, digest: str) -> None:
    try:
        document = json.loads(end)
        known = document["format"] == FORMAT
        expected, expected_digest = (document["files"], document["bytes"]), document["sha256"]
    except (ValueError, KeyError, TypeError):
        known, expected, expected_digest = False, (0, 0), ""
    if not known:
        raise InputError(f"{path} was written by another version of Reef", fix=OTHER)
    if expected != (files, total):
        detail = f"expected {expected[0]} files, {size(expected[1])}; found {files} files, {size(total)}"
        raise InputError(f"{path} is damaged", detail, OTHER)
    if digest != expected_digest:
        raise InputError(f"{path} is damaged", "its content was changed after it was written", OTHER)


def _merge(scratch: Path, names: list[str], workspace: Workspace) -> Imported:
    """Move new files into the caches: a clone as a whole, others file by file.

    Existing counters of ccache (its files ``stats``) stay: ccache counts a folder again when it cleans it.
    """
    places = {"sources": workspace.cache.downloads, "mounts": workspace.cache.mounts}
    files = total = 0
    units: dict[str, list[str]] = {}
    for name in names:
        clone = CLONE.fullmatch(name)
        units.setdefault(clone[1] if clone else name, []).append(name)
    for unit, inner in units.items():
        top, _, rest = unit.partition("/")
        target = places[top] / rest
        if target.exists():
            continue
        files += len(inner)
        total += sum((scratch / name).stat().st_size for name in inner)
        with disk_errors(target):
            if clone := CLONE.fullmatch(inner[0]):
                write_whole(scratch / unit / "config", CONFIG if len(clone[2]) == SHA1_DIGITS else CONFIG_SHA256)
                for name in ("objects", "refs"):  # without them, git recognizes no repository
                    (scratch / unit / name).mkdir(exist_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            (scratch / unit).rename(target)
    return Imported(files, total, len(names) - files)
