"""Acquiring a recipe's sources: each from the cache, or from the first place that provides it."""

import queue
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from builders.errors import HostError, SourceError
from builders.host import apt_access, debian_mirror
from builders.model.recipe import Archive, DebianPool, Git, Local, PythonWheel, Recipe, SingleFile, Source, Way
from builders.sources import file_cache
from builders.sources.context import FetchContext, Reason, Stopped, Unavailable, shown
from builders.sources.http.download import Download, download
from builders.sources.kinds import git, wheel

PARALLEL = 4
FAREWELL_S = 2.0
"""Seconds that a stopped fetch waits for the end of its downloads."""


@dataclass(frozen=True)
class Acquired:
    """A source on this machine: ``path`` is an archive, a bare repository or a folder, depending on ``way``."""

    source: Source
    way: Way
    path: Path
    location: str


def acquire_all(recipe: Recipe, context: FetchContext) -> list[Acquired]:
    """Return all sources of the recipe, verified, in the recipe's order; up to four are fetched at once.

    Raises one SourceError that names all unavailable sources, with the places that were tried. Other errors (DiskError,
    an interrupt) stop the downloads; the next run resumes them.
    """
    tasks: queue.SimpleQueue[int] = queue.SimpleQueue()
    results: queue.SimpleQueue[tuple[int, Acquired | BaseException]] = queue.SimpleQueue()
    for number in range(len(recipe.sources)):
        tasks.put(number)

    def work() -> None:
        while not context.stop.is_set():
            try:
                number = tasks.get_nowait()
            except queue.Empty:
                return
            try:
                results.put((number, acquire(recipe.sources[number], recipe, context)))
            except BaseException as error:  # raised in the main thread
                results.put((number, error))

    # Daemons, so that an interrupted run does not wait for a server that no longer answers.
    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(PARALLEL, len(recipe.sources)))]
    for thread in threads:
        thread.start()
    try:
        return _gathered(recipe, context, results)
    except BaseException:
        context.stop.set()
        for thread in threads:
            thread.join(FAREWELL_S)
        raise


def _gathered(
    recipe: Recipe, context: FetchContext, results: "queue.SimpleQueue[tuple[int, Acquired | BaseException]]"
) -> list[Acquired]:
    acquired: dict[int, Acquired] = {}
    failed: dict[int, Unavailable] = {}
    for _ in recipe.sources:
        number, result = results.get()
        if isinstance(result, Acquired):
            acquired[number] = result
        elif isinstance(result, Unavailable):
            failed[number] = result
        else:
            raise result
    if failed:
        raise _unavailable(recipe, context, {recipe.sources[n].name: failed[n].reasons for n in sorted(failed)})
    return [acquired[number] for number in sorted(acquired)]


def acquire(source: Source, recipe: Recipe, context: FetchContext) -> Acquired:
    """Return a source from the cache, else from the first place in the recipe's order that provides it.

    Raises Unavailable with the reason of every place.
    """
    for way in source.ways:
        if isinstance(way, Local):
            break  # a folder in development takes precedence over the cached ways after it
        if found := _cached(source, way, context):
            return found
    reasons: list[Reason] = []
    for way in source.ways:
        if context.stop.is_set():
            raise Stopped
        try:
            return _fetched(source, way, recipe, context)
        except Unavailable as error:
            reasons += error.reasons
    raise Unavailable(reasons)


def _cached(
    source: Source, way: Archive | DebianPool | SingleFile | PythonWheel | Git, context: FetchContext
) -> Acquired | None:
    if isinstance(way, Git):
        repository = git.cached(context, way.commit)
        return Acquired(source, way, repository, git.origin(repository)) if repository else None
    path = file_cache.cached(context, way.sha256)
    if path is None:
        return None
    if isinstance(way, PythonWheel):
        return Acquired(source, way, path, way.purl)
    otherwise = way.path if isinstance(way, DebianPool) else shown((way.urls or [_pool(way)])[0])
    return Acquired(source, way, path, file_cache.origin(path, otherwise))


def _fetched(source: Source, way: Way, recipe: Recipe, context: FetchContext) -> Acquired:
    match way:
        case Archive() | DebianPool() | SingleFile():
            file = _download_of(source, way, context)
            path = download(context, file)
            return Acquired(source, way, path, file_cache.origin(path, shown(file.urls[0])))
        case PythonWheel():
            return Acquired(source, way, wheel.download(context, source.name, way), way.purl)
        case Git():
            path = git.clone(context, source.name, way)
            return Acquired(source, way, path, git.origin(path))
        case Local():
            return Acquired(source, way, _folder(way, recipe, context), way.path)
        case _:
            assert_never(way)


def _download_of(source: Source, way: Archive | DebianPool | SingleFile, context: FetchContext) -> Download:
    if isinstance(way, Archive | SingleFile) and way.urls:
        return Download(source.name, way.urls, way.sha256)
    path = _pool(way)
    try:
        mirror = debian_mirror.chosen(context.settings.debian_mirror)
        access = apt_access.access(mirror)
    except HostError as error:
        raise Unavailable([Reason(path, str(error).replace("\n", "; "))]) from error
    return Download(source.name, [f"{mirror.url}/{path}"], way.sha256, access)


def _pool(way: Archive | DebianPool | SingleFile) -> str:
    """Return the path of a file on the Debian mirror; empty for an archive, which has URLs."""
    match way:
        case DebianPool():
            return way.path
        case SingleFile():
            return way.pool or ""
        case Archive():
            return ""


def _folder(way: Local, recipe: Recipe, context: FetchContext) -> Path:
    folder = recipe.folder / way.path
    if not folder.is_dir():
        raise Unavailable([Reason(way.path, f"no such folder: {folder}")])
    for place in (context.workspace.path, context.workspace.cache.path):
        if place.resolve().is_relative_to(folder.resolve()):
            raise Unavailable([Reason(way.path, f"{folder} contains {place}, into which it would be copied")])
    return folder


def _unavailable(recipe: Recipe, context: FetchContext, reasons: dict[str, list[Reason]]) -> SourceError:
    names = ", ".join(reasons)
    what = (
        f"cannot fetch source {names!r} of {recipe.name}"
        if len(reasons) == 1
        else f"cannot fetch {len(reasons)} sources of {recipe.name}: {names}"
    )
    detail = "\n".join("\n".join([f"{name}:", *map(str, found)]) for name, found in reasons.items())
    if all(source.local for source in recipe.sources if source.name in reasons):
        return SourceError(
            what, detail, "correct the path (relative to the recipe's folder), or use --source NAME=FOLDER"
        )
    ways = [way for source in recipe.sources if source.name in reasons for way in source.ways]
    return SourceError(what, detail, _advice(context, ways, [r for found in reasons.values() for r in found]))


def _advice(context: FetchContext, ways: Sequence[Way], reasons: Sequence[Reason]) -> str:
    place = context.workspace.cache.downloads / "sha256"
    if context.offline:
        return f"run once without --offline, or copy each file to {place}/<its sha256> from another machine"
    wrong = (
        "if upstream replaced the file on purpose, review the new file and change the sha256 in the recipe; otherwise "
        "do not use it: the server or a proxy changed it"
    )
    if all(reason.wrong_bytes for reason in reasons):
        return wrong
    checks = []
    if any(not isinstance(way, PythonWheel) for way in ways):
        checks.append(
            "check the URLs, the network and the proxy (http_proxy, https_proxy); or replace the URL with mirrors: in "
            "reef.yml"
        )
    if any(isinstance(way, PythonWheel) for way in ways):
        checks.append(
            "check the name and version of the Python package, and pip's settings of index, proxy and certificates "
            f"({sys.executable} -m pip config list)"
        )
    advice = "; ".join(
        [
            *checks,
            f"or copy each file to {place}/<its sha256> and run with --offline",
            "or name a folder with the unpacked source: --source NAME=FOLDER",
        ]
    )
    if any(reason.wrong_bytes for reason in reasons):
        return f"for a wrong digest, {wrong}; for the others, {advice}"
    return advice
