"""The paths that a run is bringing into the repository: after a kill, the next run knows what to discard."""

import json
import os
from pathlib import Path

from builders.apt.repository.layout import RepositoryLayout
from builders.apt.repository.publication import read_live
from builders.host.files import disk_errors, remove_tree


def recover(repository: Path, state: Path) -> None:
    """Discard what a killed run brought into the repository without publishing it; raises DiskError."""
    journal, place = journal_file(state), RepositoryLayout(repository.absolute())
    with disk_errors(journal):
        if not journal.exists():
            return
    lives = [live for name in place.suites() if (live := read_live(place, name))]
    published = {path for live in lives for entry in live.entries for path in (*entry.paths, entry.changelog)}
    published |= {str(place.snapshot(live.suite, live.stamp).relative_to(place.path)) for live in lives}
    with disk_errors(place.path):
        # Never a .deb of an earlier publication: what was in the pool before does not arrive (`stage`).
        for name in _listed(journal.read_text()) - published:
            if name.startswith("snapshots/"):
                remove_tree(place.path / name)
            else:
                _discard(place, name, published)
        journal.unlink()


def _discard(place: RepositoryLayout, name: str, published: set[str]) -> None:
    """Remove a file of the pool, or the files of a pool folder that are not ``published``."""
    for folder, folders, files in os.walk(place.path / name, topdown=False):
        beside = os.path.relpath(folder, place.path)
        for file in files:
            if f"{beside}/{file}" not in published:
                os.unlink(f"{folder}/{file}")
        for inner in folders:
            if not any(os.scandir(f"{folder}/{inner}")):
                os.rmdir(f"{folder}/{inner}")
    path = place.path / name
    if path.is_dir():
        if not any(path.iterdir()):
            path.rmdir()
    else:
        path.unlink(missing_ok=True)


def journal_file(state: Path) -> Path:
    """Return the file that lists the arriving paths, as JSON."""
    return state / "publishing.json"


def _listed(text: str) -> set[str]:
    """Return the journal's paths. It is written whole, so any other content is not Reef's and names nothing."""
    try:
        names = json.loads(text)
    except json.JSONDecodeError:
        return set()
    return {n for n in names if isinstance(n, str) and n.startswith(("pool/", "snapshots/")) and ".." not in n}
