"""The front of what CI needs: caches as a file, the matrix of builds, pipeline files."""

import os
import re
from functools import partial
from pathlib import Path

from builders.cli.app import open_project
from builders.engines import Engine
from builders.errors import InputError
from builders.host.log import size
from builders.maintenance import cache_archive, ci, engine_caches
from builders.pipeline.project import Project


def cache(*, export: str | None, bring: str | None, engine: str | None = None) -> None:
    """Show the caches, or carry them as one file; those that the buildx engine keeps too, where that one builds."""
    if export and bring:
        raise InputError("one thing at a time", "--export and --import do not go together")
    project = open_project()
    space = project.workspace
    runner = project.engines.get(engine)
    if export:
        take = partial(engine_caches.take, project, runner) if runner.caches_hidden else None
        with space.alone(cache=True):
            files, packed = cache_archive.export_caches(space, Path(export), project.log, take)
        project.log.note(f"{export}: {files} files, {size(packed)}")
    elif bring:
        with space.alone(cache=True), space.scratch_folder("give") as scratch:
            give = partial(engine_caches.give, project, runner, scratch) if runner.caches_hidden else None
            done = cache_archive.import_caches(space, Path(bring), project.log, give)
        too = "; added to the engine's own, too" if runner.caches_hidden else ""
        project.log.note(f"{bring}: {done.files} new files, {size(done.size)}; {done.known} were there already{too}")
    else:
        _show_caches(project, runner)


def _show_caches(project: Project, engine: Engine) -> None:
    rows = [
        (one.name, str(one.files), size(one.size), "yes" if one.carried else "no", one.reason)
        for one in cache_archive.usage(project.workspace)
    ]
    where = os.path.relpath(project.workspace.cache.path)
    project.log.table(f"caches in {where}", ("cache", "files", "size", "in --export", "what"), rows)
    carried = {cache.name for cache in engine_caches.CARRIED}
    known = carried | set(cache_archive.NOT_CARRIED)
    for place, sizes in engine.hidden_caches():
        hidden = [
            (name, text, "yes" if name in carried else "no", cache_archive.reason(name))
            for name, text in sizes
            if name in known
        ]
        project.log.table(f"caches in {place}", ("cache", "size", "in --export", "what"), hidden)


def matrix(
    recipe: list[str], target: list[str], runner: list[str], also: list[str], *, service: str, every: bool
) -> None:  # fmt: skip
    """Print the matrix of builds, alone on standard output."""
    if recipe and (also or every):
        told = "--recipe names all that is taken; --also and --every add to what is taken by default"
        raise InputError("one of the two", told)
    jobs = ci.jobs(open_project(), ci.service(service), ci.runners(runner), recipe, target, also=also, every=every)
    print(ci.matrix(service, jobs))


def files(
    runner: list[str], also: list[str], *, install: str | None, branch: str, check: bool, force: bool = False
) -> None:  # fmt: skip
    """Write the pipeline files, or only say whether they are as they would be written."""
    project, labels = open_project(), ci.runners(runner)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]*", branch):
        raise InputError(f"not the name of a branch: {branch!r}")
    for name in [install] if install else ci.SERVICES:
        on = ci.service(name)
        path = project.folder / (on.live if install else on.example)
        text = ci.pipeline_file(name, project, labels, branch, also)
        if check:
            if not path.is_file() or path.read_text() != text:
                raise InputError(
                    f"{path} is not up to date", fix="run ./inv ci-files with the options it was written by"
                )
            project.log.note(f"up to date: {path}")
        else:
            wrote = ci.write_file(path, text, force=force)
            project.log.note(f"{'wrote' if wrote else 'unchanged'}: {path}")
