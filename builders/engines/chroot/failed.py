"""Failed jobs' roots: their changes are kept and can be entered until the job's next run."""

import shutil
from pathlib import Path

from builders.engines.chroot.entry import CANNOT_ENTER, DOCTOR, ChrootEntry, enter_words
from builders.engines.roots import namespaces
from builders.errors import RootError
from builders.host import process
from builders.host.files import remove_tree
from builders.host.workspace import Workspace
from builders.model.jobs import BuildJob

FILE = "entry.json"


def folder(workspace: Workspace, job: str) -> Path:
    """Return the folder that keeps the root of the failed job named ``job``."""
    return workspace.path / "failed" / job.replace("/", "-")


def keep(workspace: Workspace, job: BuildJob, scratch: Path) -> None:
    """Move a failed job's changes aside, together with copies of those lower layers that end with this run."""
    target = folder(workspace, job.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    moved = {str(scratch): str(target)}
    passing = [layer.path.resolve() for layer in job.inputs if layer.path.is_relative_to(workspace.scratch)]
    for number, path in enumerate(passing):
        shutil.copytree(path, scratch / f"layer{number}", symlinks=True)
        moved[str(path)] = str(target / f"layer{number}")
    entry = ChrootEntry.read(scratch / FILE).elsewhere(moved)
    (scratch / FILE).unlink()
    shutil.move(scratch, target)
    entry.write(target / "entry.part")
    (target / "entry.part").rename(target / FILE)  # last: only with it a root counts as kept


def names(workspace: Workspace) -> list[str]:
    """Return the names of the failed jobs whose roots are kept."""
    return sorted(path.parent.name for path in (workspace.path / "failed").glob(f"*/{FILE}"))


def enter(workspace: Workspace, job: str) -> int:
    """Enter a failed job's root with an interactive shell (with a network) and return its status; raises RootError."""
    path = folder(workspace, job) / FILE
    again = "build again, then enter its new root"
    try:
        overlays = ChrootEntry.read(path).overlays
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RootError(f"the root of {job!r} cannot be entered", f"{path} is damaged: {error}", again) from error
    missing = [layer for overlay in overlays for layer in overlay.layers if not Path(layer).exists()]
    if missing:
        raise RootError(f"the root of {job!r} was removed", "\n".join(missing), again)
    status = process.interactive([*namespaces.prefix(network=True), *enter_words(path), "/bin/bash"])
    if status == CANNOT_ENTER:
        raise RootError(f"the root of {job!r} cannot be entered", "the reason is in the lines above", DOCTOR)
    return status


def forget(workspace: Workspace, job: str) -> None:
    """Remove a failed job's root; `FILE` is removed first, so that half a root is never entered."""
    path = folder(workspace, job)
    (path / FILE).unlink(missing_ok=True)
    remove_tree(path)
