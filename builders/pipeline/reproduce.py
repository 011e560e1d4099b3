"""Builds a second time and compares both builds of the same input, down to the files inside their .debs."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from builders import deb, sources
from builders.engines import Engine
from builders.errors import BuildError
from builders.host.files import remove_tree
from builders.host.workspace import Workspace
from builders.model.deb_file import members
from builders.model.jobs import JobResult
from builders.model.packages import DebFile, SourcePackage
from builders.model.source_tree import SourceTree
from builders.pipeline.build import kept_source, require_unchanged, run_build
from builders.pipeline.build_locks import build_locked
from builders.pipeline.planning import records
from builders.pipeline.planning.plan import BuildTarget
from builders.pipeline.project import Project


def verify(project: Project, build_targets: Sequence[BuildTarget], *, engine: str | None = None) -> None:
    """Build each again in roots made for this run, without caches, and compare the .debs byte by byte.

    Raises BuildError with the files that differ.
    """
    with project.workspace.in_use(), project.workspace.scratch_folder("verify") as scratch:
        fresh = Workspace(scratch / "artifacts", project=project.workspace.path)
        try:
            for build_target in build_targets:
                _verify_one(project, build_target, project.engines.get(engine, fresh), fresh)
        finally:
            # In a user namespace roots hold files of other users; remove_tree can remove these.
            remove_tree(fresh.path)


def _verify_one(project: Project, build_target: BuildTarget, engine: Engine, fresh: Workspace) -> None:
    with build_locked(project, *build_target.key):  # no other run may replace the build during the comparison
        record = records.read_record(project.workspace.build(*build_target.key))
        if record is None:
            raise BuildError(f"cannot verify {build_target}", "it is not built", "run build-arm first")
        tree = sources.fetch(build_target.recipe, project, offline=False)
        evidence = project.workspace.logs / "verify" / build_target.recipe.name / build_target.target.slug
        remove_tree(evidence)
        scratch = fresh.path.parent / f"{build_target.recipe.name}-{build_target.target.slug}"
        scratch.mkdir()
        result = _second_build(project, build_target, engine, tree, fresh=fresh, scratch=scratch, evidence=evidence)
        differing = compare(record.debs, deb.collect(result.output))
        differing += compare_sources(record.source, kept_source(build_target, result))
        moved = sorted(set(record.root_packages) ^ set(result.root_packages))
        if differing:
            require_unchanged(build_target, tree)  # a change of the files explains the difference
            evidence.parent.mkdir(parents=True, exist_ok=True)
            result.output.rename(evidence)
            raise _not_reproduced(build_target, [*differing, f"the second build: {evidence}"], moved)
        remove_tree(scratch)
    more = " and the source package" if record.source else ""
    project.log.note(f"verified: {build_target}, {len(record.debs)} .debs{more} byte-identical")


def _second_build(
    project: Project,
    build_target: BuildTarget,
    engine: Engine,
    tree: SourceTree,
    *,
    fresh: Workspace,
    scratch: Path,
    evidence: Path,
) -> JobResult:
    """Build in the workspace ``fresh``; the logs of a failed build go to ``evidence``."""
    try:
        return run_build(project, build_target, engine, tree, scratch)
    except BuildError as error:
        if not fresh.logs.exists():
            raise
        # The failed build's folder is removed with this run's scratch folder; only its logs can stay.
        evidence.parent.mkdir(parents=True, exist_ok=True)
        fresh.logs.rename(evidence)
        raise BuildError(
            f"the second build of {build_target}, in fresh roots, failed",
            f"{error.what}\n{error.detail}".replace(str(fresh.logs), str(evidence)),
            "build it with --force; if that fails too, enter its root with ./inv shell",
        ) from error


def _not_reproduced(build_target: BuildTarget, differing: Sequence[str], moved: Sequence[str]) -> BuildError:
    """Return the error for two builds that differ; ``moved`` are the packages in only one of their roots."""
    what = f"two builds of {build_target} differ"
    fix = "compare them (diffoscope shows more), then fix times, paths, the order of files, or inputs from outside"
    if moved:
        packages = ["Debian changed between the two builds; packages in only one of their roots:"]
        packages += [f"  {name}" for name in moved]
        fix = (
            "./inv clean --what roots (built in Docker: --what images), then build with --force --verify: both builds "
            "then have equal roots"
        )
        return BuildError(what, "\n".join([*differing, *packages]), fix)
    return BuildError(what, "\n".join(differing), fix)


def compare(first: Sequence[DebFile], second: Sequence[DebFile]) -> list[str]:
    """Return a line for each .deb that differs between two builds, and for each file inside; empty if all are equal."""
    lines = []
    others = {file.package: file for file in second}
    for file in first:
        other = others.pop(file.package, None)
        if other is None:
            lines.append(f"{file.package}: only in the first build")
        elif file.sha256 != other.sha256:
            lines.append(f"{file.package}: sha256 {file.sha256[:16]} and {other.sha256[:16]}")
            lines += [f"  {name}" for name in _differing_members(file.path, other.path)]
    return lines + [f"{name}: only in the second build" for name in others]


def compare_sources(first: SourcePackage | None, second: SourcePackage | None) -> list[str]:
    """Return a line for each file of a source package that differs between two builds; empty if all are equal."""
    old, new = (
        {file.path.name: file.sha256[:16] for file in source.files} if source else {} for source in (first, second)
    )
    names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    return [f"{name}: sha256 {old.get(name, 'absent')} and {new.get(name, 'absent')}" for name in names]


def _differing_members(first: Path, second: Path) -> list[str]:
    def facts(path: Path) -> dict[str, tuple[object, ...]]:
        return {
            str(entry.name): (entry.mode, entry.mtime, str(entry.linkname), hashlib.sha256(content or b"").hexdigest())
            for entry, content in members(path)
        }

    old, new = facts(first), facts(second)
    names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    return names or ["the files inside are equal; the control archive or the compression differs"]
