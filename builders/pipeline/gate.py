"""The gate to publication: verdicts on the files of a build, and on installing them on the target's CPU.

Both are made once for equal bytes, checks and rules; the second also for each revision that boards may have.
"""

from collections.abc import Sequence
from pathlib import Path

from builders import checks
from builders.engines import Engine
from builders.errors import CheckError
from builders.host.files import document_digest, sha256_of
from builders.model.packages import DebFile, Report
from builders.pipeline.planning.plan import BuildTarget
from builders.pipeline.planning.records import Record
from builders.pipeline.project import Project


def static_report(build_target: BuildTarget, record: Record, folder: Path) -> Report:
    """Return the verdicts on a build's .debs that need no board, judged once and kept beside them."""
    path = folder / "static-report.json"
    known = checks.read_report(path, build_target.recipe.name, build_target.target, record.debs)
    if known:
        return known
    lintian = folder / "lintian.log"
    output = lintian.read_text(errors="replace") if lintian.exists() else ""
    recipe, target = build_target.recipe, build_target.target
    report = Report(recipe.name, target, checks.inspect(recipe, target, record.debs, output))
    checks.write_report(report, record.debs, path)
    return report


def require_passed(reports: Sequence[Report]) -> None:
    """Raise CheckError with every failed verdict, if there is one."""
    failed = [report for report in reports if not report.passed]
    if failed:
        raise CheckError(
            "checks failed; nothing is published",
            "\n".join(checks.failures(report) for report in failed),
            "mend the recipe and run build-arm again",
        )


def require_sound(file: DebFile, recipe: str) -> None:
    """Raise CheckError where a file of a package is no longer the bytes that were built."""
    found = sha256_of(file.path)
    if found != file.sha256:
        raise CheckError(
            f"{file.path} is not the file that was built",
            f"recorded sha256 {file.sha256}, found {found}",
            f"build it again: ./inv build-arm --force --recipe {recipe}",
        )


def install_test(
    project: Project,
    build_target: BuildTarget,
    record: Record,
    *,
    candidate: Path,
    suffix: str,
    engine: Engine,
    scratch: Path,
) -> tuple[Report, bool]:
    """Return the verdicts of installing from ``candidate`` on the target CPU, and whether that was done just now.

    It is upgraded from the newest revision before it that boards of the suite may have, and where none was published
    from a made-up one. Raises what the engine raises, PublishError from reading what is published.
    """
    from builders.apt import api as apt  # slow to import, and an up-to-date build publishes nothing

    recipe, target = build_target.recipe, build_target.target
    before = _before(project, build_target, record, suffix)
    path = _report_path(project, build_target, before)
    if known := _known(path, build_target, record, real=bool(before)):
        return known, False
    older = _older(_ours(record), before, scratch / "older" / target.slug / recipe.name)
    job = checks.install_job(
        recipe, target, record.debs, candidate, upgrade_from=older, component=project.settings.repository.component,
        published_suite=apt.suffixed(target.suite.name, suffix), pool=project.workspace.apt.absolute() / "pool",
    )  # fmt: skip
    result = project.engines.run(engine, job, scratch / "checked" / target.slug / recipe.name)
    report = Report(recipe.name, target, checks.read_install(recipe, target, result.output, older), result.steps)
    checks.write_report(report, record.debs, path)
    return report, True


def already_passed(project: Project, build_target: BuildTarget, record: Record, *, suffix: str) -> bool:
    """Tell whether `install_test` would only repeat what an earlier run found."""
    before = _before(project, build_target, record, suffix)
    return _known(_report_path(project, build_target, before), build_target, record, real=bool(before)) is not None


def _ours(record: Record) -> list[DebFile]:
    return [deb for deb in record.debs if not deb.package.endswith("-dbgsym")]


def _before(project: Project, build_target: BuildTarget, record: Record, suffix: str) -> tuple[DebFile, ...]:
    """Return the newest published revision before this one."""
    from builders.apt import api as apt  # slow to import, and an up-to-date build publishes nothing

    release = build_target.target.suite.name
    # What is tried in a suite of its own first comes to the boards of the release by promotion, untried.
    return apt.previous_revision(
        project.workspace.apt, dict.fromkeys((apt.suffixed(release, suffix), release)),
        {deb.package for deb in _ours(record)}, architecture=build_target.target.architecture.debian,
        below=record.debs[0].version, state=apt.state_folder(project),
    )  # fmt: skip


def _older(ours: list[DebFile], before: tuple[DebFile, ...], folder: Path) -> Path:
    """Put what is to be upgraded into ``folder``: what was published, or all of it made up.

    Never some of both: a new package may hold files that the real revision has elsewhere.
    """
    from builders.apt import api as apt  # slow to import, and an up-to-date build publishes nothing

    if before:
        apt.copy_from_pool(before, folder)
    for file in [] if before else ours:
        checks.older_revision(file, folder)
    return folder


def _known(path: Path, build_target: BuildTarget, record: Record, *, real: bool) -> Report | None:
    """Return what an earlier run found, if that was no fault: a mirror may have been the reason of one.

    Where no published revision is there any more (``real``), one that was upgraded from before will do.
    """
    paths = [path] if real else [path, *sorted(path.parent.glob(f"{path.stem}-*.json"))]
    found = (checks.read_report(one, build_target.recipe.name, build_target.target, record.debs) for one in paths)
    return next((report for report in found if report and report.passed), None)


def _report_path(project: Project, build_target: BuildTarget, before: tuple[DebFile, ...]) -> Path:
    name = f"install-report-{_checks_digest(build_target)}"
    if before:
        name += f"-{document_digest(sorted(deb.sha256 for deb in before))[:12]}"
    return project.workspace.build(*build_target.key) / f"{name}.json"


def _checks_digest(build_target: BuildTarget) -> str:
    """Return a digest of the recipe's own checks with all their files.

    Reef's part of the install check is covered by `checks.RULES`, which stands in the report.
    """
    folder = build_target.recipe.folder / "checks"
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".pyc"]
    digests = {str(path.relative_to(folder)): sha256_of(path) for path in files}
    return document_digest([[check.model_dump(mode="json") for check in build_target.recipe.checks], digests])[:12]
