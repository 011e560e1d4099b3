"""The gate to publication: verdicts on the files of a build, and on their installation on the target's CPU.

Both run once for equal bytes, checks and rules; the second also once for each revision that boards may have.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from builders import checks
from builders.engines import Engine
from builders.errors import CheckError
from builders.host.files import document_digest, sha256_of
from builders.model.context import Context
from builders.model.packages import DEBUG_SUFFIX, DebFile, Report
from builders.model.recipe import Recipe
from builders.pipeline.planning.plan import BuildTarget
from builders.pipeline.planning.records import Record
from builders.pipeline.project import Project

ACCEPT = (
    "ask the builder of the packages; or accept each fault with its reason, by accept: in a recipe or, beside --deb, "
    "by --accept CHECK:MATCH=REASON (Reef's docs/prebuilt.md)"
)


def static_report(build_target: BuildTarget, record: Record, folder: Path) -> Report:
    """Return the verdicts on a build's .debs that need no installation; they are stored beside the .debs."""
    path = folder / "static-report.json"
    known = checks.read_report(path, build_target.recipe, build_target.target, record.debs)
    if known:
        return known
    lintian = folder / "lintian.log"
    output = lintian.read_text(errors="replace") if lintian.exists() else ""
    recipe, target = build_target.recipe, build_target.target
    report = Report(recipe.name, target, checks.inspect(recipe, target, record.debs, output))
    checks.write_report(report, recipe, record.debs, path)
    return report


def require_passed(reports: Sequence[Report], *, prebuilt: bool = False) -> None:
    """Raise CheckError with every failed verdict, if there is one; ``prebuilt`` if nothing was compiled."""
    failed = [report for report in reports if not report.passed]
    if failed:
        raise CheckError(
            "checks failed; nothing is published",
            "\n".join(checks.failures(report) for report in failed),
            ACCEPT if prebuilt else "correct the recipe and run build-arm again",
        )


def all_prebuilt(build_targets: Iterable[BuildTarget]) -> bool:
    """Return whether somebody else built all the packages."""
    return all(build_target.recipe.build.prebuilt for build_target in build_targets)


def require_sound(file: DebFile, recipe: str) -> None:
    """Raise CheckError if a file of a package has changed since it was built."""
    found = sha256_of(file.path)
    if found != file.sha256:
        raise CheckError(
            f"{file.path} has changed since it was built",
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
    """Return the verdicts of installing from ``candidate`` on the target CPU, and whether this run made them.

    The upgrade is tested from the newest published revision below, or from a made-up revision if there is none. Raises
    the errors of the engine, and PublishError if the published repository cannot be read.
    """
    from builders.apt import api as apt  # slow to import, and an up-to-date build publishes nothing

    recipe, target = build_target.recipe, build_target.target
    previous = _previous(project, build_target, record, suffix)
    path = _report_path(project, build_target, previous)
    if known := _known(path, build_target, record, real=bool(previous)):
        return known, False
    upgrade_from = _upgrade_from(_ours(record), previous, scratch / "older" / target.slug / recipe.name)
    job = checks.install_job(
        recipe, target, record.debs, candidate, upgrade_from=upgrade_from,
        component=project.settings.repository.component, published_suite=apt.suffixed(target.suite.name, suffix),
        pool=project.workspace.apt.absolute() / "pool",
    )  # fmt: skip
    result = project.engines.run(engine, job, scratch / "checked" / target.slug / recipe.name)
    report = Report(recipe.name, target, checks.read_install(recipe, target, result.output, upgrade_from), result.steps)
    checks.write_report(report, recipe, record.debs, path)
    return report, True


def already_passed(project: Project, build_target: BuildTarget, record: Record, *, suffix: str) -> bool:
    """Whether an earlier run made the verdicts of `install_test`, and all passed."""
    previous = _previous(project, build_target, record, suffix)
    return _known(_report_path(project, build_target, previous), build_target, record, real=bool(previous)) is not None


def _ours(record: Record) -> list[DebFile]:
    return [deb for deb in record.debs if not deb.package.endswith(DEBUG_SUFFIX)]


def _previous(project: Project, build_target: BuildTarget, record: Record, suffix: str) -> tuple[DebFile, ...]:
    """Return the .debs of the newest published revision below, none if they cannot be installed any more."""
    from builders.apt import api as apt  # slow to import, and an up-to-date build publishes nothing

    release = build_target.target.suite.name
    names: dict[str, set[str]] = {}  # packages that somebody else built have versions of their own
    for deb in _ours(record):
        names.setdefault(deb.version, set()).add(deb.package)
    # Packages of trixie-<suffix> are promoted to trixie without another test: its boards upgrade from both.
    found = tuple(
        deb
        for version, packages in names.items()
        for deb in apt.previous_revision(
            project.workspace.apt, dict.fromkeys((apt.suffixed(release, suffix), release)), packages,
            architecture=build_target.target.architecture.debian, below=version, state=apt.state_folder(project),
        )
    )  # fmt: skip
    return found if _installable(build_target.recipe, found) else ()


def _installable(recipe: Recipe, published: tuple[DebFile, ...]) -> bool:
    """Return whether apt can install published packages beside the newest ones of other recipes.

    Portable packages need libraries of the same runtime. Of another recipe apt takes the newest packages, and those
    of an older runtime no more, which a board with the older ones upgrades together.
    """
    repack = recipe.build.repack
    if repack is None or len(recipe.build.recipes) == 1:  # the runtime's
        return True
    return all(deb.version.endswith(f"~portable{repack.runtime_version}") for deb in published)


def _upgrade_from(ours: list[DebFile], previous: tuple[DebFile, ...], folder: Path) -> Path:
    """Fill ``folder`` with the revision to upgrade from, either published or made up, and return the folder.

    It never holds some of both: a new package may have files that another package of the published revision holds.
    """
    from builders.apt import api as apt  # slow to import, and an up-to-date build publishes nothing

    if previous:
        apt.copy_from_pool(previous, folder)
    for file in [] if previous else ours:
        checks.make_older_revision(file, folder, ours)
    return folder


def _known(path: Path, build_target: BuildTarget, record: Record, *, real: bool) -> Report | None:
    """Return the report of an earlier run if all passed; a failure may have come from the network, and is tested again.

    If no published revision exists any more (not ``real``), a report on an upgrade from one counts as well.
    """
    paths = [path] if real else [path, *sorted(path.parent.glob(f"{path.stem}-*.json"))]
    found = (checks.read_report(each, build_target.recipe, build_target.target, record.debs) for each in paths)
    return next((report for report in found if report and report.passed), None)


def _report_path(context: Context, build_target: BuildTarget, previous: tuple[DebFile, ...]) -> Path:
    name = f"install-report-{_checks_digest(build_target)}"
    if previous:
        name += f"-{document_digest(sorted(deb.sha256 for deb in previous))[:12]}"
    return context.workspace.build(*build_target.key) / f"{name}.json"


def _checks_digest(build_target: BuildTarget) -> str:
    """Return a digest of the recipe's own checks with all their files.

    The report itself holds `checks.report.RULES`, the number of Reef's own part of the test.
    """
    folder = build_target.recipe.folder / "checks"
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".pyc"]
    digests = {str(path.relative_to(folder)): sha256_of(path) for path in files}
    return document_digest([[check.model_dump(mode="json") for check in build_target.recipe.checks], digests])[:12]
