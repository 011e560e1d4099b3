"""What was built before: records beside the .debs, and fingerprints as readable documents."""

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
    """A finished build: its fingerprint, its .debs, and how it went (``ccache`` is hits, hits plus misses).

    ``root_packages`` were installed in the root that it was built in (``name:architecture=version``), ``source`` is
    the source package where the recipe keeps it."""

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
        """What the repository is given: the .debs, and the .dsc, which leads it to the rest of the source package."""
        return (*self.debs, *((self.source.dsc,) if self.source else ()))

    @property
    def seconds(self) -> float:
        """Wall time of all steps."""
        return sum(step.seconds for step in self.steps)

    def moved(self, folder: Path) -> "Record":
        """Return the record of the same build after its files moved to ``folder``."""

        def there(file: DebFile) -> DebFile:
            return replace(file, path=folder / file.path.name)

        source = SourcePackage(there(self.source.dsc), tuple(map(there, self.source.parts))) if self.source else None
        return replace(self, debs=tuple(map(there, self.debs)), source=source)


def write_record(folder: Path, record: Record) -> None:
    """Write a build's record; it is the last file of a build's folder, so its presence means a whole build."""
    document = asdict(record) | {"format": FORMAT}
    document["debs"] = [_deb_out(deb) for deb in record.debs]
    # Absent where there is none: what was built before sources could be kept stays built.
    del document["source"]
    if record.source:
        document["source"] = [_deb_out(file) for file in record.source.files]
    write_whole(folder / RECORD, json.dumps(document, indent=1) + "\n")


def read_record(folder: Path) -> Record | None:
    """Return the record of a finished build whose .debs lie there unchanged, None where there is none.

    Size and time of each .deb are compared here, which is quick; publishing compares digests. Where the time differs,
    as after a way through a CI's artifacts, the digest tells.
    """
    try:
        document = json.loads((folder / RECORD).read_text())
        if document["format"] != FORMAT:
            return None
        debs = tuple(_deb_in(folder, one) for one in document["debs"])
        source = tuple(_deb_in(folder, one) for one in document.get("source", ()))
        written = (*document["debs"], *document.get("source", ()))
        unchanged = all(_unchanged(d, o["mtime_ns"]) for d, o in zip((*debs, *source), written, strict=True))
        return _record(document, debs, SourcePackage(source[0], source[1:]) if source else None) if unchanged else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # half-written, older than this format, or a .deb is gone: as if never built


class Records:
    """The records of a workspace's finished builds, each read once: a view of one moment, for one plan."""

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
        sources=tuple(FetchedSource(**one) for one in document["sources"]),
        steps=tuple(StepRecord(**one) for one in document["steps"]),
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
    with suppress(OSError):  # a file of another user's: it is hashed again the next time
        os.utime(deb.path, ns=(stat.st_atime_ns, mtime_ns))
    return True


def _deb_out(deb: DebFile) -> dict[str, Any]:
    return asdict(deb) | {"path": deb.path.name, "mtime_ns": deb.path.stat().st_mtime_ns}


def _deb_in(folder: Path, document: Mapping[str, Any]) -> DebFile:
    fields = {name: value for name, value in document.items() if name != "mtime_ns"}
    return DebFile(**fields | {"path": folder / document["path"]})
