"""Folders with the numbered versions of a model, as TensorFlow Serving reads them: ``digits/3/model.tflite``."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from builders.errors import InputError
from builders.host.files import disk_errors, sha256_of

NUMBER = re.compile(r"[0-9]{1,18}")
BLOCK = 4096
"""Bytes of a block on a board's disk, of which a file takes whole ones."""


class ModelFault(InputError):
    """A folder does not hold a model that can be put on boards."""


@dataclass(frozen=True)
class ModelFile:
    """A file of a version: its path in the version's folder, and its size."""

    path: str
    size: int


@dataclass(frozen=True)
class ModelVersion:
    """A version of a model; its content never changes under the same number."""

    number: int
    folder: Path
    files: tuple[ModelFile, ...]

    @property
    def room(self) -> int:
        """The bytes that it takes on a disk."""
        return sum(-(-file.size // BLOCK) * BLOCK for file in self.files)

    @cached_property
    def manifest(self) -> str:
        """A line for each file: its SHA-256, its size and its path; raises DiskError."""
        return "".join(f"{self._sha256(file)} {file.size} {file.path}\n" for file in self.files)

    @property
    def digest(self) -> str:
        """The SHA-256 of the manifest, which stands for the whole content."""
        return hashlib.sha256(self.manifest.encode()).hexdigest()

    def _sha256(self, file: ModelFile) -> str:
        with disk_errors(self.folder / file.path):
            return sha256_of(self.folder / file.path)


@cache
def model_versions(folder: Path) -> Mapping[int, ModelVersion]:
    """Return the versions in a folder by their numbers; it is read once in a process, so all boards get the same.

    Other names than numbers are no versions. Raises ModelFault for a folder without versions, and for links, devices
    and unprintable names in a version.
    """
    if not folder.is_dir():
        raise ModelFault(f"no such folder: {folder}")
    found: dict[int, ModelVersion] = {}
    with disk_errors(folder):
        names = sorted(path.name for path in folder.iterdir() if NUMBER.fullmatch(path.name))
    for name in names:
        if int(name) in found:
            raise ModelFault(f"version {int(name)} is a duplicate: {folder / name} and {found[int(name)].folder}")
        found[int(name)] = ModelVersion(int(name), folder / name, tuple(_files(folder / name)))
    if not found:
        raise ModelFault(f"{folder} has no versions; a version is a folder whose name is a number, such as {folder}/1")
    return dict(sorted(found.items()))


def _files(folder: Path) -> Iterator[ModelFile]:
    """Yield the files of a version, in the order of a manifest."""
    with disk_errors(folder):
        files = sorted(_walk(folder, ""), key=lambda file: file.path.encode())
    if not files:
        raise ModelFault(f"{folder} has no files")
    yield from files


def _walk(folder: Path, prefix: str) -> Iterator[ModelFile]:
    if folder.is_symlink() or not folder.is_dir():
        raise ModelFault(f"{folder} is no folder; links are not followed")
    for entry in os.scandir(folder):
        if not entry.name.isprintable():
            raise ModelFault(f"{entry.path!r}: its name has characters that cannot be printed")
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/")
        elif entry.is_file(follow_symlinks=False):
            yield ModelFile(f"{prefix}{entry.name}", entry.stat().st_size)
        else:
            kind = "a link: links are not followed" if entry.is_symlink() else "neither a file nor a folder"
            raise ModelFault(f"{entry.path} is {kind}")
