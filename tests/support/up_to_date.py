"""A project whose one build is up to date, without having been built."""

from pathlib import Path

from builders.checks import write_report
from builders.host.files import sha256_of
from builders.host.log import Log
from builders.model.packages import DebFile, Report
from builders.pipeline.planning.records import Record, write_record
from builders.pipeline.planning.selection import select
from builders.pipeline.project import Project
from tests.support.checkout import CHECKOUT


def up_to_date_project(folder: Path) -> Project:
    """Make the project in ``folder``: reef-hello for trixie/arm64, with a record and a report of its checks."""
    (folder / "recipes").symlink_to(CHECKOUT / "tests" / "fixtures" / "recipes")
    (folder / "reef.yml").write_text("engine: chroot\ntargets: [trixie/arm64]\n")
    project = Project.open(folder, Log(quiet=True))
    [build_target] = select(project, [], [])
    build = project.workspace.build(*build_target.key)
    build.mkdir(parents=True)
    path = build / "reef-hello_1_arm64.deb"
    path.write_bytes(b"deb")
    debs = (DebFile("reef-hello", "1", "arm64", 3, sha256_of(path), path),)
    write_record(build, Record(build_target.fingerprint, debs, (), (), (0, 0), "chroot", ()))
    write_report(Report("reef-hello", build_target.target, ()), build_target.recipe, debs, build / "static-report.json")
    return project
