"""The front of what CI needs: caches as a file, the matrix of builds, pipeline files."""

import os
from pathlib import Path

from builders import caches
from builders.cli import open_project
from builders.errors import InputError
from builders.log import size


def cache(*, export: str | None, bring: str | None) -> None:
    """Show the caches, or carry them as one file."""
    if export and bring:
        raise InputError("one thing at a time", "--export and --import do not go together")
    project = open_project()
    space = project.workspace
    if export or bring:
        space.refuse_while_busy()
    if export:
        files, packed = caches.export(space, Path(export), project.log)
        project.log.note(f"{export}: {files} files, {size(packed)}")
    elif bring:
        done = caches.bring(space, Path(bring), project.log)
        project.log.note(f"{bring}: {done.files} new files, {size(done.size)}; {done.known} were there already")
    else:
        rows = [
            (one.name, str(one.files), size(one.size), "yes" if one.carried else "no", one.reason)
            for one in caches.held(space)
        ]
        where = os.path.relpath(space.path / "cache")
        project.log.table(f"caches in {where}", ("cache", "files", "size", "in --export", "what"), rows)
