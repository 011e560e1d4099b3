"""Making a recipe's source tree: had, verified, unpacked, edited; whole or absent."""

import json
from dataclasses import replace
from pathlib import Path
from typing import assert_never

from builders.errors import SourceError
from builders.host.files import disk_errors, write_whole
from builders.host.log import Log
from builders.host.workspace import Workspace
from builders.model.recipe import Archive, DebianPool, File, Git, Local, Recipe, Source
from builders.model.settings import Settings
from builders.model.source_tree import FetchedSource, SourceTree
from builders.sources.acquire import Obtained, obtain_all
from builders.sources.context import Run
from builders.sources.edits import apply_edits
from builders.sources.kinds import git
from builders.sources.kinds.archive import unpack
from builders.sources.kinds.folder import copy_folder
from builders.sources.manifest import describe, digest_of, kind_of
from builders.sources.tree import TreeWriter, clean, file_pieces, seal, stamp


def fetch(recipe: Recipe, workspace: Workspace, settings: Settings, log: Log, *, offline: bool) -> SourceTree:
    """Return the recipe's source tree, made unless it already is there.

    A finished tree costs one look at each of its files, and no network. Otherwise every source is had (in parallel;
    offline only from the cache and this machine), verified, unpacked in the recipe's order, later ones over earlier
    ones, and edited, in a scratch folder that takes its place in one step. Two runs that want one tree make it once.
    Where the recipe keeps its source package there is a second tree, without the edits. Raises SourceError, DiskError,
    and HostError where git is wanted and not installed.
    """
    document = describe(recipe)
    digest = digest_of(document)
    path = workspace.cache.trees / f"{recipe.name}-{digest[:12]}"
    run = Run(workspace, settings, log, offline)
    with run.locked(f"tree-{path.name}", f"the sources of {recipe.name}"):
        tree = _finished(recipe, path, document, log)
        if tree is None:
            with log.step(f"sources of {recipe.name}"):
                tree = _made(recipe, path, document, run)
    if recipe.keep_source:
        original = fetch(recipe.unedited(), workspace, settings, log, offline=offline)
        return replace(tree, original=original.path)
    return tree


def manifest_path(tree: Path) -> Path:
    """Return where a tree's manifest lies: written after the tree stands, to be removed before it falls."""
    return Path(f"{tree}.json")


def _finished(recipe: Recipe, path: Path, document: dict[str, object], log: Log) -> SourceTree | None:
    """Return the tree that an earlier run made, if it still is as that run left it."""
    try:
        manifest = json.loads(manifest_path(path).read_text(encoding="utf-8"))
        sources = tuple(FetchedSource(**source) for source in manifest["sources"])
        same, stamped = manifest["document"] == document, manifest["stamp"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        log.warn(f"the manifest {manifest_path(path)} cannot be read; the tree is made again")
        return None
    if not same or not path.is_dir() or stamp(path) != stamped:
        log.warn(f"the source tree {path} is no longer as it was made; it is made again")
        return None
    return SourceTree(recipe.name, path, digest_of(document), sources)


def _made(recipe: Recipe, path: Path, document: dict[str, object], run: Run) -> SourceTree:
    obtained = obtain_all(recipe, run)
    with run.workspace.cache.scratch_folder(f"tree-{path.name}") as scratch:
        fresh = scratch / "tree"
        with disk_errors(scratch):
            fresh.mkdir()
            sources = _unpacked(obtained, fresh, scratch, run)
        _check_unchanged(sources, document)
        apply_edits(recipe, fresh)
        manifest = {
            "recipe": recipe.name,
            "digest": digest_of(document),
            "document": document,
            "sources": [vars(source) for source in sources],
            "stamp": seal(fresh),
        }
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            manifest_path(path).unlink(missing_ok=True)
            if path.exists():
                path.rename(scratch / "old")
            fresh.rename(path)
        write_whole(manifest_path(path), json.dumps(manifest, indent=2) + "\n")
    return SourceTree(recipe.name, path, digest_of(document), sources)


def _unpacked(obtained: list[Obtained], fresh: Path, scratch: Path, run: Run) -> tuple[FetchedSource, ...]:
    writer = TreeWriter(fresh)
    sources = []
    for had in obtained:
        writer.subject = f"source {had.source.name!r}"
        with run.log.step(f"unpack {had.source.name}"):
            digest = _place(had, writer, scratch, run)
        sources.append(FetchedSource(had.source.name, kind_of(had.way), had.location, digest))
    writer.check_links()
    return tuple(sources)


def _place(had: Obtained, writer: TreeWriter, scratch: Path, run: Run) -> str:
    """Put one source into the tree and return its digest as FetchedSource wants it."""
    into = _place_of(had.source)
    writer.folder(into)
    match had.way:
        case Archive() | DebianPool():
            unpack(had.path, writer, into, had.way.strip)
            return f"sha256:{had.way.sha256}"
        case File():
            place = (*into, *clean(had.way.name, f"name: of source {had.source.name!r}"))
            writer.file(place, file_pieces(had.path), executable=had.way.executable)
            return f"sha256:{had.way.sha256}"
        case Git():
            archive = scratch / "commit.tar"
            git.export(run, had.path, had.way.commit, archive)
            unpack(archive, writer, into, 0)
            archive.unlink()
            return f"git:{had.way.commit}"
        case Local():
            return copy_folder(had.path, writer, into)
        case _:
            assert_never(had.way)


def _place_of(source: Source) -> tuple[str, ...]:
    return clean(source.unpack, f"unpack: of source {source.name!r}", "write a folder inside the tree in the recipe")


def _check_unchanged(sources: tuple[FetchedSource, ...], document: dict[str, object]) -> None:
    known = json.dumps(document)
    for source in sources:
        if source.digest not in known:
            raise SourceError(
                f"source {source.name!r} was changed while it was copied",
                f"folder: {source.location}",
                "run the same command again when nobody writes there",
            )
