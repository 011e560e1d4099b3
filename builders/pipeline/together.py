"""The gate for packages that a board may have for several CPUs at once: those built together, and published before."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from builders import checks
from builders.errors import PublishError
from builders.model.packages import DEBUG_SUFFIX, DebFile, Report
from builders.pipeline.file_owners import ArrivingBuild, beside_owners
from builders.pipeline.planning.plan import BuildTarget
from builders.pipeline.planning.records import Record
from builders.pipeline.project import Project


def built_together(builds: Iterable[tuple[BuildTarget, Record, bool]]) -> list[Report]:
    """Return the verdicts on builds for one suite beside each other; a build says whether this run made it.

    Pairs of builds from before this run are not judged again.
    """
    reports = []
    before: list[tuple[BuildTarget, Record, bool]] = []
    for build_target, record, fresh in builds:
        suite = build_target.target.suite
        others = [
            deb for other, known, new in before if other.target.suite == suite and (fresh or new) for deb in known.debs
        ]
        reports.append(_report(build_target, record.debs, others))
        before.append((build_target, record, fresh))
    return reports


def published_together(project: Project, ready: Iterable[tuple[BuildTarget, Record]], *, suffix: str) -> list[Report]:
    """Return the verdicts on what is new in each suite, beside what is published in it and beside each other:
    ``multi-arch`` and ``file-conflicts``.

    Warns of packages whose newest versions differ between CPUs: a board cannot have both until they are equal.
    """
    from builders.apt import api as apt  # slow to import, and an up-to-date build publishes nothing

    reports = []
    suites: dict[str, list[DebFile]] = {}
    arriving: dict[str, list[DebFile]] = {}
    builds: list[ArrivingBuild] = []
    for build_target, record in ready:
        suite = apt.suffixed(build_target.target.suite.name, suffix)
        there = apt.published_versions(
            project.workspace.apt, suite, {deb.package for deb in record.debs}, state=apt.state_folder(project)
        )
        published = {deb.sha256 for deb in there}
        new = [deb for deb in record.debs if deb.sha256 not in published]
        others = suites.setdefault(suite, [])
        reports.append(_report(build_target, new, [*there, *others]))
        mine = [checks.owner_of(deb) for deb in new if not deb.package.endswith(DEBUG_SUFFIX)]
        builds.append(ArrivingBuild(build_target.recipe, suite, build_target.target.architecture.debian, mine))
        others += [*there, *new]
        arriving.setdefault(suite, []).extend(new)
    for suite, debs in suites.items():
        for text in different_versions(arriving[suite], debs):
            project.log.warn(f"{suite}: {text}")
    more = beside_owners(project, builds)
    return [
        replace(report, verdicts=report.verdicts + verdicts) for report, verdicts in zip(reports, more, strict=True)
    ]


def require_newest(project: Project, build_target: BuildTarget, record: Record, *, suffix: str) -> None:
    """Raise PublishError if the suite has a newer version of a build's package for its CPU: apt would install that."""
    from debian.debian_support import Version  # slow to import, and an up-to-date build publishes nothing

    from builders.apt import api as apt

    suite, cpu = apt.suffixed(build_target.target.suite.name, suffix), build_target.target.architecture.debian
    built = {deb.package: deb.version for deb in record.debs}
    for deb in apt.published_versions(project.workspace.apt, suite, set(built), state=apt.state_folder(project)):
        if deb.architecture in (cpu, "all") and Version(deb.version) > Version(built[deb.package]):
            raise PublishError(
                f"{suite} has {deb.package} {deb.version}, which is newer than {built[deb.package]}",
                "apt installs the newest version that is published",
                f"give the recipe {build_target.recipe.name} a higher revision, or return to an earlier publication: "
                f"./inv rollback {suite}",
            )


def _report(build_target: BuildTarget, debs: Sequence[DebFile], others: Sequence[DebFile]) -> Report:
    recipe, target = build_target.recipe, build_target.target
    return Report(recipe.name, target, checks.check_instances(recipe, debs, others) if others else ())


def different_versions(new: Iterable[DebFile], debs: Sequence[DebFile]) -> list[str]:
    """Return a line for each package of ``new`` whose newest version among ``debs`` is not the same for every CPU."""
    from debian.debian_support import Version  # slow to import, as is the next, and most runs have nothing new

    from builders.model.instances import is_same

    result = []
    for deb in {deb.package: deb for deb in new}.values():
        newest: dict[str, str] = {}
        for known in debs:
            if known.package == deb.package and known.architecture != "all":
                version = newest.get(known.architecture, known.version)
                newest[known.architecture] = max(version, known.version, key=Version)
        if len(set(newest.values())) > 1 and is_same(deb):
            versions = ", ".join(f"{version} for {name}" for name, version in sorted(newest.items()))
            result.append(f"{deb.package} is {versions}; a board cannot have both until the versions are the same")
    return sorted(result)
