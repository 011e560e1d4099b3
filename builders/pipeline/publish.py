"""Publishing: builds are staged, installed on their target's CPU, read by real apt, and then switched to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from builders import checks
from builders.apt import api as apt
from builders.engines import Engine
from builders.errors import InputError
from builders.model.packages import DebFile, Publication, Report, Verdict
from builders.pipeline.build_locks import builds_locked
from builders.pipeline.gate import (
    all_prebuilt,
    already_passed,
    install_test,
    require_passed,
    require_sound,
    static_report,
)
from builders.pipeline.planning import records
from builders.pipeline.planning.plan import BuildTarget
from builders.pipeline.planning.records import Record
from builders.pipeline.prebuilt import require_same_bytes
from builders.pipeline.project import Project
from builders.pipeline.together import published_together, require_newest


@dataclass(frozen=True)
class Checked:
    """A published build: both its reports, and whether this run installed it on the target CPU."""

    build_target: BuildTarget
    record: Record
    static: Report
    installed: Report
    fresh: bool

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        return self.static.verdicts + self.installed.verdicts


def publish(
    project: Project,
    build_targets: Sequence[BuildTarget],
    *,
    engine: str | None = None,
    suffix: str = "",
    phase: int = 100,
) -> tuple[list[Publication], list[Checked]]:
    """Publish those of ``build_targets`` that are built: stage, install and run them on the target CPU, then switch.

    With ``suffix`` they go into ``trixie-<suffix>`` instead of ``trixie``. ``phase`` percent of the boards upgrade to
    them, until `apt.phase` raises it. Raises InputError if nothing is built, CheckError for a failed verdict,
    PublishError from the repository.
    """
    runner = project.engines.get(engine)  # an unknown name is an error before the locks
    with apt.locked(project), builds_locked(project, build_targets):
        require_same_bytes(project, build_targets, suffix)
        ready = _ready(project, build_targets)
        for build_target, record, _ in ready:  # before the first long act
            if not already_passed(project, build_target, record, suffix=suffix):
                runner.check(checks.board_root(build_target.target))
                require_newest(project, build_target, record, suffix=suffix)
        debs: dict[str, list[DebFile]] = {}
        for build_target, record, _ in ready:
            debs.setdefault(apt.suffixed(build_target.target.suite.name, suffix), []).extend(record.published)
        with apt.staged(_serving(project, ready), debs, phase=phase) as candidate:
            ready = _beside(project, ready, suffix=suffix)
            checked = _install_tested(project, ready, candidate, suffix=suffix, engine=runner)
            reports = apt.ask_clients(project, candidate)
            return apt.switch(project, candidate, reports), checked


def _serving(project: Project, ready: Sequence[tuple[BuildTarget, Record, Report]]) -> Project:
    """Return the project with the builds' targets among its own: of packages for all CPUs, nothing else names a CPU."""
    asked = dict.fromkeys(str(build_target.target) for build_target, _, _ in ready)
    targets = [*project.settings.targets, *(name for name in asked if name not in project.settings.targets)]
    return replace(project, settings=project.settings.model_copy(update={"targets": targets}))


def _install_tested(
    project: Project, ready: Sequence[tuple[BuildTarget, Record, Report]], candidate: apt.Candidate, *,
    suffix: str, engine: Engine,
) -> list[Checked]:  # fmt: skip
    """Install and run each build from the candidate on its target's CPU; raises CheckError for a failed verdict."""
    project.log.note(f"engine: {engine.name}")
    checked = []
    for build_target, record, static in ready:
        report, fresh = install_test(
            project, build_target, record, candidate=candidate.path, suffix=suffix, engine=engine,
            scratch=candidate.scratch,
        )  # fmt: skip
        checked.append(Checked(build_target, record, static, report, fresh))
    require_passed([each.installed for each in checked], prebuilt=all_prebuilt(each.build_target for each in checked))
    return checked


def _ready(project: Project, build_targets: Sequence[BuildTarget]) -> list[tuple[BuildTarget, Record, Report]]:
    """Return the finished builds with their static reports; raises CheckError for changed files and failed verdicts."""
    found = [(each, records.read_record(project.workspace.build(*each.key))) for each in build_targets]
    ready = [(build_target, record) for build_target, record in found if record]
    if not ready:
        raise InputError("nothing to publish, because nothing is built", _names(build_targets), "run build-arm first")
    for build_target, known in found:
        if known is None:
            project.log.warn(f"not published, because not built: {build_target}")
        elif known.fingerprint != build_target.fingerprint:
            project.log.warn(f"publishing an older build of {build_target}: build-arm is due")
    for build_target, record in ready:
        for file in (*record.debs, *(record.source.files if record.source else ())):
            require_sound(file, build_target.recipe.name)
        if given := record.fingerprint.get("substituted"):
            project.log.warn(
                f"{build_target} was built from folders given with --source ({', '.join(given)}), "
                "not from the recipe's pinned sources"
            )
    reports = [static_report(each, record, project.workspace.build(*each.key)) for each, record in ready]
    require_passed(reports, prebuilt=all_prebuilt(build_target for build_target, _ in ready))
    return [(build_target, record, report) for (build_target, record), report in zip(ready, reports, strict=True)]


def _beside(
    project: Project, ready: Sequence[tuple[BuildTarget, Record, Report]], *, suffix: str
) -> list[tuple[BuildTarget, Record, Report]]:
    """Add the verdicts on builds beside others to their static reports; raises CheckError for a failed verdict."""
    reports = published_together(project, [(build_target, record) for build_target, record, _ in ready], suffix=suffix)
    require_passed(reports, prebuilt=all_prebuilt(build_target for build_target, _, _ in ready))
    return [
        (build_target, record, replace(static, verdicts=static.verdicts + report.verdicts))
        for (build_target, record, static), report in zip(ready, reports, strict=True)
    ]


def _names(build_targets: Sequence[BuildTarget]) -> str:
    return ", ".join(map(str, build_targets))
