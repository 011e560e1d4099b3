"""The command ``cache``: the use of the caches, and their export and import as one file."""

from functools import partial
from pathlib import Path

from builders.cli.app import open_project
from builders.engines import Engine
from builders.errors import InputError
from builders.host.log import size
from builders.maintenance import cache_archive, engine_caches
from builders.pipeline.project import Project


def cache(*, export: str | None, import_: str | None, engine: str | None = None) -> None:
    """Show, export or import the caches, with those inside the engine that builds."""
    if export and import_:
        raise InputError("--export and --import exclude each other", fix="run a command for each")
    project = open_project(settings_alone=True)
    space = project.workspace
    runner = project.engines.get(engine)
    if export:
        take = partial(engine_caches.take, project, runner) if runner.caches_hidden else None
        with space.alone(cache=True):
            files, packed = cache_archive.export_caches(space, Path(export), project.log, take)
        project.log.note(f"{export}: {files} files, {size(packed)}")
    elif import_:
        with space.alone(cache=True), space.scratch_folder("give") as scratch:
            give = partial(engine_caches.give, project, runner, scratch) if runner.caches_hidden else None
            added = cache_archive.import_caches(space, Path(import_), project.log, give)
        also = "; also added to the engine's caches" if runner.caches_hidden else ""
        project.log.note(f"{import_}: {added.files} new files, {size(added.size)}; {added.known} existed{also}")
    else:
        _show_caches(project, runner)


def _show_caches(project: Project, engine: Engine) -> None:
    rows = [
        (usage.name, str(usage.files), size(usage.size), "yes" if usage.carried else "no", usage.reason)
        for usage in cache_archive.usage(project.workspace)
    ]
    project.log.table(
        f"caches in {project.workspace.cache.path.absolute()}", ("cache", "files", "size", "in --export", "what"), rows
    )
    carried = {cache.name for cache in engine_caches.CARRIED}
    known = carried | set(cache_archive.NOT_CARRIED)
    for place, sizes in engine.hidden_caches():
        hidden = [
            (name, text, "yes" if name in carried else "no", cache_archive.reason(name))
            for name, text in sizes
            if name in known
        ]
        project.log.table(f"caches in {place}", ("cache", "size", "in --export", "what"), hidden)
