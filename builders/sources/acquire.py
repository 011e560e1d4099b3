"""Having a recipe's sources on this machine: each from the cache, or from the first place that gives it."""

import queue
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from builders.errors import HostError, SourceError
from builders.host import debian_mirror
from builders.model.recipe import Archive, DebianPool, File, Git, Local, Recipe, Source, Way
from builders.sources.context import NotHad, Reason, Run, Stopped, shown
from builders.sources.http import cache
from builders.sources.kinds import git

PARALLEL = 4
FAREWELL_S = 2.0
"""So long a run that is given up waits for its downloads to leave in order."""


@dataclass(frozen=True)
class Obtained:
    """A source on this machine: ``path`` is an archive, a bare repository or a folder, as ``way`` says."""

    source: Source
    way: Way
    path: Path
    location: str


def obtain_all(recipe: Recipe, run: Run) -> list[Obtained]:
    """Return every source of the recipe, verified, in the recipe's order; up to four are had at once.

    Raises one SourceError that names all sources which cannot be had, with each place tried; what else goes wrong
    (DiskError, an interrupt) ends the other downloads, whose parts stay for the next run.
    """
    tasks: queue.SimpleQueue[int] = queue.SimpleQueue()
    results: queue.SimpleQueue[tuple[int, Obtained | BaseException]] = queue.SimpleQueue()
    for number in range(len(recipe.sources)):
        tasks.put(number)

    def work() -> None:
        while not run.stop.is_set():
            try:
                number = tasks.get_nowait()
            except queue.Empty:
                return
            try:
                results.put((number, obtain(recipe.sources[number], recipe, run)))
            except BaseException as error:  # it travels on in the main thread
                results.put((number, error))

    # Daemons: an interrupted run must not wait for a server that has stopped answering.
    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(PARALLEL, len(recipe.sources)))]
    for thread in threads:
        thread.start()
    try:
        return _gathered(recipe, run, results)
    except BaseException:
        run.stop.set()
        for thread in threads:
            thread.join(FAREWELL_S)
        raise


def _gathered(
    recipe: Recipe, run: Run, results: "queue.SimpleQueue[tuple[int, Obtained | BaseException]]"
) -> list[Obtained]:
    had: dict[int, Obtained] = {}
    failed: dict[int, NotHad] = {}
    for _ in recipe.sources:
        number, result = results.get()
        if isinstance(result, Obtained):
            had[number] = result
        elif isinstance(result, NotHad):
            failed[number] = result
        else:
            raise result
    if failed:
        raise _not_had(recipe, run, {recipe.sources[n].name: failed[n].reasons for n in sorted(failed)})
    return [had[number] for number in sorted(had)]


def obtain(source: Source, recipe: Recipe, run: Run) -> Obtained:
    """Return one source: what is in the cache goes before what must be fetched, the recipe's order decides the rest.

    Raises NotHad with the reason of every place.
    """
    ways = [source.way, *(kinds.way for kinds in source.alternatives)]
    for way in ways:
        if isinstance(way, Local):
            break  # it holds what its owner is at: nothing that stands after it may go before it
        if found := _cached(source, way, run):
            return found
    reasons: list[Reason] = []
    for way in ways:
        if run.stop.is_set():
            raise Stopped
        try:
            return _fetched(source, way, recipe, run)
        except NotHad as trouble:
            reasons += trouble.reasons
    raise NotHad(reasons)


def _cached(source: Source, way: Archive | DebianPool | File | Git, run: Run) -> Obtained | None:
    if isinstance(way, Git):
        repository = git.cached(run, way.commit)
        return Obtained(source, way, repository, git.origin(repository)) if repository else None
    path = cache.cached(run, way.sha256)
    otherwise = shown(way.urls[0]) if isinstance(way, Archive | File) else way.path
    return Obtained(source, way, path, cache.origin(path, otherwise)) if path else None


def _fetched(source: Source, way: Way, recipe: Recipe, run: Run) -> Obtained:
    match way:
        case Archive() | DebianPool() | File():
            wanted = _wanted(source, way, run)
            path = cache.download(run, wanted)
            return Obtained(source, way, path, cache.origin(path, shown(wanted.urls[0])))
        case Git():
            path = git.clone(run, source.name, way)
            return Obtained(source, way, path, git.origin(path))
        case Local():
            return Obtained(source, way, _folder(way, recipe, run), way.path)
        case _:
            assert_never(way)


def _wanted(source: Source, way: Archive | DebianPool | File, run: Run) -> cache.Wanted:
    if isinstance(way, Archive | File):
        return cache.Wanted(source.name, way.urls, way.sha256)
    if run.settings.debian_mirror:
        return cache.Wanted(source.name, [f"{run.settings.debian_mirror.rstrip('/')}/{way.path}"], way.sha256)
    try:
        host = debian_mirror.host_mirror()
    except HostError as error:
        raise NotHad([Reason(way.path, str(error).replace("\n", "; "))]) from error
    url = f"{host.url}/{way.path}"
    return cache.Wanted(source.name, [url], way.sha256, _proxies(host.apt_options))


def _proxies(options: Sequence[str]) -> dict[str, str]:
    """Return the proxies through which apt reaches its mirror (URL scheme -> proxy), from lines of apt.conf."""
    found = [re.match(r'(?i)Acquire::(https?)::Proxy "([^"]+)";', line) for line in options]
    return {m[1].lower(): m[2] for m in found if m and m[2].upper() != "DIRECT"}


def _folder(way: Local, recipe: Recipe, run: Run) -> Path:
    folder = recipe.folder / way.path
    if not folder.is_dir():
        raise NotHad([Reason(way.path, f"no such folder: {folder}")])
    for place in (run.workspace.path, run.workspace.cache.path):
        if place.resolve().is_relative_to(folder.resolve()):
            raise NotHad([Reason(way.path, f"{folder} holds {place}, into which it would be copied")])
    return folder


def _not_had(recipe: Recipe, run: Run, reasons: dict[str, list[Reason]]) -> SourceError:
    names = ", ".join(reasons)
    what = (
        f"source {names!r} of {recipe.name} cannot be had"
        if len(reasons) == 1
        else f"{len(reasons)} sources of {recipe.name} cannot be had: {names}"
    )
    detail = "\n".join("\n".join([f"{name}:", *map(str, found)]) for name, found in reasons.items())
    if all(source.local for source in recipe.sources if source.name in reasons):
        return SourceError(what, detail, "correct the path (it begins at the recipe's folder), or --source NAME=FOLDER")
    return SourceError(what, detail, _advice(run, [r for found in reasons.values() for r in found]))


def _advice(run: Run, reasons: Sequence[Reason]) -> str:
    place = run.workspace.cache.downloads / "sha256"
    if run.offline:
        return f"run once without --offline, or copy each file to {place}/<its sha256> from a machine that has it"
    advice = (
        "check the network and the proxy (http_proxy, https_proxy); or name another address with mirrors: in reef.yml; "
        f"or copy each file to {place}/<its sha256> and run with --offline; or give a folder that holds the unpacked "
        "source: --source NAME=FOLDER"
    )
    if any(reason.wrong_bytes for reason in reasons):
        advice += (
            "\nwhere the digest is wrong: if upstream replaced the file on purpose, look at the new one and write its "
            "sha256 in the recipe; else that server, or a proxy before it, gives something else"
        )
    return advice
