"""Removing parts of ``artifacts/`` and of the cache, so that a partly removed folder is never used."""

import os
from contextlib import suppress
from pathlib import Path

from builders.errors import InputError
from builders.host.files import disk_errors, remove_tree
from builders.host.log import size
from builders.host.workspace import Workspace
from builders.pipeline.project import Project
from builders.pipeline.virtual_board.named import named_boards

CLEANABLE = {
    "scratch": "unfinished work of runs that were killed",
    "failed": "kept roots of failed jobs",
    "roots": "build roots",
    "trees": "unpacked sources",
    "downloads": "downloaded sources",
    "caches": "ccache and Debian packages",
    "logs": "logs",
    "builds": "built packages",
    "virtual": "images and saved states of virtual boards; boards that were made from them cannot start again",
    "virtual-boards": "this project's virtual boards, with all that is on them",
    "images": "this project's images and containers in Docker engines, and unused roots there",
}
IN_CACHE = {"roots", "trees", "downloads", "caches", "virtual"}
"""Parts in the cache, which other projects may use."""
ATTRIBUTES = {"caches": "mounts", "virtual-boards": "virtual_boards"}
"""Parts whose folder has another name in `Workspace` or `Cache`."""
MARKERS = {
    "roots": ("*/manifest.yml",),
    "trees": ("*.json",),
    "downloads": ("git/*.git/HEAD",),
    "builds": ("*/*/record.json",),
    "virtual": ("*/manifest.yml",),
    "virtual-boards": ("*/board.yml",),
}
"""Completion markers of each part; removed first, so that a partly removed folder is never used."""


def clean(project: Project, what: list[str]) -> None:
    """Remove the parts ``what`` and report the freed space; the published repository is never touched.

    If it is interrupted, later runs ignore the rest. Raises InputError for an unknown part, and BusyError while another
    run of the project is at work; for a part of the cache, of any project that shares it.
    """
    for name in what:
        if name not in CLEANABLE:
            known = ", ".join(f"{key} ({text})" for key, text in CLEANABLE.items())
            raise InputError(f"unknown part: {name!r}", f"known: {known}", "name one of these with --what")
    space = project.workspace
    with space.alone(cache=not IN_CACHE.isdisjoint(what)):
        space.sweep()
        for name in what:
            if name == "images":
                for engine in project.engines.all():
                    for removed in engine.clean():
                        project.log.note(f"removed {removed}")
                continue
            if name == "virtual-boards":
                for board in named_boards(project):
                    board.remove()
            folder = folder_of(space, name)
            freed = _bytes_below(folder)
            if name == "failed":
                _forget_failed(project)
            _remove(folder, MARKERS.get(name, ()))
            project.log.note(f"removed {os.path.relpath(folder)}: {CLEANABLE[name]} ({size(freed)})")


def folder_of(space: Workspace, name: str) -> Path:
    """Return the folder of a part of ``artifacts/`` or of the cache."""
    if name == "failed":
        return space.path / "failed"
    found: Path = getattr(space.cache if name in IN_CACHE else space, ATTRIBUTES.get(name, name))
    return found


def _remove(folder: Path, markers: tuple[str, ...]) -> None:
    for pattern in markers:
        for marker in folder.glob(pattern):
            with disk_errors(marker):
                marker.unlink()
    remove_tree(folder)


def _forget_failed(project: Project) -> None:
    for engine in project.engines.all():
        for job in engine.kept_roots():
            with disk_errors(project.workspace.path / "failed"):
                engine.forget(job)


def _bytes_below(folder: Path) -> int:
    """Return the bytes on disk of a folder; what several names share by hard links counts once."""
    seen = {}
    for path in folder.rglob("*") if folder.is_dir() else ():
        with suppress(OSError):  # another user's, in a root that was made in a user namespace
            stat = path.lstat()
            seen[stat.st_dev, stat.st_ino] = stat.st_blocks * 512
    return sum(seen.values())
