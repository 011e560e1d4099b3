"""Making a recipe's source tree, whole or absent: fetched, verified, unpacked, edited."""

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from builders.errors import SourceError
from builders.host.files import disk_errors, write_whole
from builders.host.log import Log
from builders.model.context import Context
from builders.model.recipe import Archive, DebianPool, Git, Local, PythonWheel, Recipe, SingleFile, Source
from builders.model.source_tree import FetchedSource, SourceTree
from builders.sources.context import FetchContext
from builders.sources.edits import apply_edits
from builders.sources.exclusion import Exclusion, Parts
from builders.sources.kinds.archive import unpack
from builders.sources.kinds.folder import copy_folder
from builders.sources.kinds.submodules import GitSource, require_submodules, warn_of_empty
from builders.sources.large_files import fill_pointers
from builders.sources.manifest import describe, digest_of, kind_of, manifest_path
from builders.sources.tree import TreeWriter, clean, file_pieces, seal, stamp

if TYPE_CHECKING:
    from builders.sources.acquire import Acquired


JUDGED = 1
"""Raised when a tree that was accepted before can be refused: trees of another number are made again."""


def fetch(recipe: Recipe, context: Context, *, offline: bool) -> SourceTree:
    """Return the recipe's source tree, made unless it exists.

    For a finished tree, only the metadata of its files is read, without a network. Otherwise the sources are fetched in
    parallel (offline only from the cache and this machine) and verified. They are unpacked in the recipe's order, later
    sources over earlier ones, and edited, in a scratch folder that is then renamed. Two runs that need the same tree
    make it once. If the recipe keeps its source package, a second tree without the edits is made. Raises SourceError,
    DiskError, and HostError if git is needed and not installed.
    """
    document = describe(recipe)
    digest = digest_of(document)
    path = context.workspace.cache.trees / f"{recipe.name}-{digest[:12]}"
    fetching = FetchContext.of(context, offline=offline)
    with fetching.locked(f"tree-{path.name}", f"the sources of {recipe.name}"):
        tree = _finished(recipe, path, document, context.log)
        if tree is None:
            with context.log.step(f"sources of {recipe.name}"):
                tree = _made(recipe, path, document, fetching)
    if recipe.keep_source:
        original = fetch(recipe.unedited(), context, offline=offline)
        return replace(tree, original=original.path)
    return tree


def _finished(recipe: Recipe, path: Path, document: dict[str, object], log: Log) -> SourceTree | None:
    """Return the tree that an earlier run made, if it is unchanged since."""
    try:
        manifest = json.loads(manifest_path(path).read_text(encoding="utf-8"))
        sources = tuple(FetchedSource(**source) for source in manifest["sources"])
        same, stamped = manifest["document"] == document, manifest["stamp"]
        judged = manifest.get("judged", 0)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        log.warn(f"the manifest {manifest_path(path)} cannot be read; the tree is made again")
        return None
    if judged != JUDGED:
        return None
    if not same or not path.is_dir() or stamp(path) != stamped:
        log.warn(f"the source tree {path} was changed after it was made; it is made again")
        return None
    return SourceTree(recipe.name, path, digest_of(document), sources)


def _made(recipe: Recipe, path: Path, document: dict[str, object], context: FetchContext) -> SourceTree:
    from builders.sources.acquire import acquire_all  # slow to import, and a finished tree needs none of it

    obtained = acquire_all(recipe, context)
    with context.workspace.cache.scratch_folder(f"tree-{path.name}") as scratch:
        fresh = scratch / "tree"
        with disk_errors(scratch):
            fresh.mkdir()
            sources = _unpacked(obtained, fresh, scratch, context)
        _check_unchanged(sources, document)
        apply_edits(recipe, fresh)
        manifest = {
            "recipe": recipe.name,
            "digest": digest_of(document),
            "document": document,
            "sources": [vars(source) for source in sources],
            "judged": JUDGED,
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


def _unpacked(
    obtained: list["Acquired"], fresh: Path, scratch: Path, context: FetchContext
) -> tuple[FetchedSource, ...]:
    writer = TreeWriter(fresh)
    sources: list[FetchedSource] = []
    exclusions = [Exclusion(acquired.source.excluded) for acquired in obtained]
    for acquired, excluded in zip(obtained, exclusions, strict=True):
        writer.subject = _subject(acquired.source)
        with context.log.step(f"unpack {acquired.source.name}"), _path_lengths(writer):
            sources += _place(acquired, writer, scratch, context, excluded)
        if not isinstance(acquired.way, Local) and (unmatched := excluded.unmatched()):
            writer.warnings.append(f"{writer.subject}: exclude: matches nothing: {', '.join(unmatched)}")
    require_submodules(writer)
    fill_pointers(writer, scratch, context)
    writer.check_links()
    for acquired, excluded in zip(obtained, exclusions, strict=True):
        warn_of_empty(writer, _place_of(acquired.source), _subject(acquired.source), excluded)
    for warning in writer.warnings:
        context.log.warn(warning)
    return tuple(sources)


@contextmanager
def _path_lengths(writer: TreeWriter) -> Iterator[None]:
    """Raise SourceError for a path that no disk takes."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise SourceError(
            f"{writer.subject} contains a path that is too long",
            f"{error.strerror}: {error.filename!r}",
            "name the path, or a folder above it, under exclude: in the recipe",
        ) from error


def _subject(source: Source) -> str:
    return f"source {source.name!r}"


def _place(
    acquired: "Acquired", writer: TreeWriter, scratch: Path, context: FetchContext, excluded: Exclusion
) -> list[FetchedSource]:
    """Put a source into the tree and return it, with the submodules that were fetched."""
    into = _place_of(acquired.source)
    writer.folder(into)
    name, more = acquired.source.name, list[FetchedSource]()
    if isinstance(acquired.way, Git):
        source = GitSource(context, name, writer, excluded, scratch, acquired.way.submodules)
        url = context.mirrored(acquired.way.url)
        more = list(source.place(acquired.path, url, acquired.way.commit, into))
        digest = f"git:{acquired.way.commit}"
    else:
        digest = _written(acquired, acquired.way, writer, into, excluded)
    return [FetchedSource(name, kind_of(acquired.way), acquired.location, digest), *more]


def _written(
    acquired: "Acquired",
    way: Archive | DebianPool | PythonWheel | SingleFile | Local,
    writer: TreeWriter,
    into: Parts,
    excluded: Exclusion,
) -> str:
    """Write a source that is no git repository; return its digest in the form of FetchedSource."""
    match way:
        case Archive() | DebianPool():
            unpack(acquired.path, writer, into, way.strip, excluded.covers)
            return f"sha256:{way.sha256}"
        case PythonWheel():
            unpack(acquired.path, writer, into, 0, excluded.covers)
            return f"sha256:{way.sha256}"
        case SingleFile():
            place = (*into, *clean(way.name, f"name: of source {acquired.source.name!r}"))
            writer.file(place, file_pieces(acquired.path), executable=way.executable)
            return f"sha256:{way.sha256}"
        case Local():
            return copy_folder(acquired.path, way.exclude, excluded, writer, into)
        case _:
            assert_never(way)


def _place_of(source: Source) -> Parts:
    return clean(source.unpack, f"unpack: of source {source.name!r}", "use a folder inside the tree")


def _check_unchanged(sources: tuple[FetchedSource, ...], document: dict[str, object]) -> None:
    known = json.dumps(document)
    for source in sources:
        if source.kind == "local" and source.digest not in known:
            raise SourceError(
                f"source {source.name!r} was changed while it was copied",
                f"folder: {source.location}",
                "run the same command again when no program writes there",
            )
