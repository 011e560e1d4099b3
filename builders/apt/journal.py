"""What a run is bringing into the repository: written before, gone after, so that a killed run's leavings are known."""

import json
from pathlib import Path

from builders.apt.layout import Repository
from builders.apt.live import read_live
from builders.workspace import remove_tree, told


def recover(repository: Path, state: Path) -> None:
    """Discard what a killed run brought into the repository without publishing it; raises DiskError."""
    journal, place = journal_file(state), Repository(repository.absolute())
    if not journal.exists():
        return
    lives = [live for name in place.suites() if (live := read_live(place, name))]
    published = {entry.filename for live in lives for entry in live.entries}
    published |= {str(place.snapshot(live.suite, live.stamp).relative_to(place.path)) for live in lives}
    with told(place.path):
        # Never a .deb of an earlier publication: what lay in the pool before does not arrive (`stage`).
        for name in _listed(journal.read_text()) - published:
            path = place.path / name
            remove_tree(path) if path.is_dir() else path.unlink(missing_ok=True)
        journal.unlink()


def journal_file(state: Path) -> Path:
    """Return the file that lists, as JSON, the paths that are arriving."""
    return state / "publishing.json"


def _listed(text: str) -> set[str]:
    """Return the journal's paths; it is written whole, so anything else is not ours and names nothing."""
    try:
        names = json.loads(text)
    except json.JSONDecodeError:
        return set()
    return {n for n in names if isinstance(n, str) and n.startswith(("pool/", "snapshots/")) and ".." not in n}
