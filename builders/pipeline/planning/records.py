"""Records of finished builds, stored beside their .debs."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from builders.host.files import sha256_of, write_whole
from builders.host.workspace import Workspace
from builders.model.jobs import StepRecord
from builders.model.packages import DebFile, SourcePackage
from builders.model.source_tree import FetchedSource
from builders.model.target import Target

FORMAT = 2
RECORD = "record.json"

Fingerprint = Mapping[str, Any]
"""Everything that decides a build's result: nested mappings of plain values."""


@dataclass(frozen=True)
class Record:
    """A finished build: its fingerprint, its .debs, and the course of the job.

    ``ccache`` is the number of hits, and of hits and misses together. ``root_packages`` were installed in the root of
    the build (``name:architecture=version``). ``source`` is the source package of a recipe with ``keep_source``."""

    fingerprint: Fingerprint
    debs: tuple[DebFile, ...]
    sources: tuple[FetchedSource, ...]
    steps: tuple[StepRecord, ...]
    ccache: tuple[int, int]
    engine: str
    root_packages: tuple[str, ...]
    source: SourcePackage | None = None

    @property
    def published(self) -> tuple[DebFile, ...]:
        """The files to publish: the .debs, and the .dsc, which names the other files of the source package."""
        return (*self.debs, *((self.source.dsc,) if self.source else ()))

    @property
    def seconds(self) -> float:
        """Wall time of all steps."""
        return sum(step.seconds for step in self.steps)

    def moved(self, folder: Path) -> "Record":
        """Return the record of the same build after its files moved to ``folder``."""

        def moved(file: DebFile) -> DebFile:
            return replace(file, path=folder / file.path.name)

        source = SourcePackage(moved(self.source.dsc), tuple(map(moved, self.source.parts))) if self.source else None
        return replace(self, debs=tuple(map(moved, self.debs)), source=source)


def write_record(folder: Path, record: Record) -> None:
    """Write a build's record; it is the last file in a build's folder, so its presence means a whole build."""
    document = asdict(record) | {"format": FORMAT}
    document["debs"] = [_deb_out(deb) for deb in record.debs]
    # Absent if None, so that builds from before this key stay up to date.
    del document["source"]
    if record.source:
        document["source"] = [_deb_out(file) for file in record.source.files]
    write_whole(folder / RECORD, json.dumps(document, indent=1) + "\n")


def read_record(folder: Path) -> Record | None:
    """Return the record of a finished build, None if there is none or if its .debs have changed.

    It compares size and time of each .deb, which is quick; publishing compares digests. If only the time differs, as
    after a transfer by CI artifacts, it compares the digest.
    """
    try:
        document = json.loads((folder / RECORD).read_text())
        if document["format"] != FORMAT:
            return None
        debs = tuple(_deb_in(folder, entry) for entry in document["debs"])
        source = tuple(_deb_in(folder, entry) for entry in document.get("source", ()))
        entries = (*document["debs"], *document.get("source", ()))
        files = zip((*debs, *source), entries, strict=True)
        unchanged = all(_unchanged(file, entry["mtime_ns"]) for file, entry in files)
        return _record(document, debs, SourcePackage(source[0], source[1:]) if source else None) if unchanged else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # half-written, of an older format, or without a .deb: the same as never built


class Records:
    """The records of a workspace's finished builds, each read once: the view of one plan."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._found: dict[tuple[str, str], Record | None] = {}

    def of(self, recipe: str, target: Target) -> Record | None:
        """Return the record of a build, None where there is none."""
        key = (recipe, target.slug)
        if key not in self._found:
            self._found[key] = read_record(self._workspace.build(*key))
        return self._found[key]


def _record(document: Mapping[str, Any], debs: tuple[DebFile, ...], source: SourcePackage | None) -> Record:
    return Record(
        fingerprint=document["fingerprint"],
        debs=debs,
        sources=tuple(FetchedSource(**entry) for entry in document["sources"]),
        steps=tuple(StepRecord(**entry) for entry in document["steps"]),
        ccache=(document["ccache"][0], document["ccache"][1]),
        engine=document["engine"],
        root_packages=tuple(document["root_packages"]),
        source=source,
    )


def _unchanged(deb: DebFile, mtime_ns: int) -> bool:
    stat = deb.path.stat()
    if stat.st_size != deb.size or stat.st_mtime_ns == mtime_ns:
        return stat.st_size == deb.size
    if sha256_of(deb.path) != deb.sha256:
        return False
    with suppress(OSError):  # another user's file: the next run hashes it again
        os.utime(deb.path, ns=(stat.st_atime_ns, mtime_ns))
    return True


def _deb_out(deb: DebFile) -> dict[str, Any]:
    return asdict(deb) | {"path": deb.path.name, "mtime_ns": deb.path.stat().st_mtime_ns}


def _deb_in(folder: Path, document: Mapping[str, Any]) -> DebFile:
    fields = {name: value for name, value in document.items() if name != "mtime_ns"}
    return DebFile(**fields | {"path": folder / document["path"]})
