"""The origin of a board's packages: the publication, and the build of each with its sources."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from builders.apt import api as apt
from builders.boards.api import Offer
from builders.errors import PublishError
from builders.host.workspace import Workspace
from builders.model.packages import DebFile
from builders.pipeline.planning.records import RECORD, Record, read_record
from builders.pipeline.project import Project


@dataclass(frozen=True)
class PackageOrigin:
    """A package of some version on a board, with the record of its build if that is here."""

    package: str
    version: str
    published_sha256: str | None
    build: str = ""
    """The recipe and the target: ``demo for trixie/arm64``."""
    deb: DebFile | None = None
    record: Record | None = None

    def lines(self) -> Iterator[str]:
        """Yield what is known, from the package to its sources."""
        digest = f"sha256 {self.published_sha256}" if self.published_sha256 else "not in the publication of now"
        yield f"{self.package} {self.version}: {digest}"
        if self.record is None or self.deb is None:
            yield "  no record of its build here: another machine built it, or a newer build took its place"
            return
        strategy = self.record.fingerprint.get("strategy", "")
        yield f"  built by the recipe {self.build} ({strategy} in {self.record.engine})"
        if self.published_sha256 and self.deb.sha256 != self.published_sha256:
            yield f"  that build gave other bytes: sha256 {self.deb.sha256}"
        for source in self.record.sources:
            yield f"  from {source.kind} {source.location} {source.digest}"


def origins(workspace: Workspace, versions: Mapping[str, str], architecture: str, offer: Offer | None) -> Iterator[str]:
    """Yield lines on each of a board's packages; ``versions`` are those that it has, by name."""
    found = _builds(workspace, architecture)
    digests = {
        (deb.package, deb.version): deb.sha256
        for deb in (offer.debs if offer else ()) if deb.architecture in (architecture, "all")
    }  # fmt: skip
    for package, version in sorted(versions.items()):
        build, deb, record = found.get((package, version), ("", None, None))
        yield from PackageOrigin(package, version, digests.get((package, version)), build, deb, record).lines()


def publication(project: Project, suite: str, stamp: str) -> Iterator[str]:
    """Yield lines on a publication: whether it is live, or still here to return to."""
    try:
        found = {snapshot.stamp: snapshot for snapshot in apt.snapshots(project.workspace.apt, suite)}
    except PublishError as error:
        yield f"{stamp} of {suite}: {error.what}"
        return
    live = next((snapshot.stamp for snapshot in found.values() if snapshot.live), "none")
    if stamp == live:
        yield f"{stamp} of {suite}, the live one"
    elif stamp in found:
        yield f"{stamp} of {suite}; the live one is {live}. To return to it: ./inv rollback {suite} --stamp {stamp}"
    else:
        yield f"{stamp} of {suite}, which is no longer kept; the live one is {live}"


def _builds(workspace: Workspace, architecture: str) -> dict[tuple[str, str], tuple[str, DebFile, Record]]:
    """Return the records of builds here, by the packages and versions that they gave."""
    found = {}
    for path in sorted(workspace.builds.glob(f"*/*/{RECORD}")):
        if record := read_record(path.parent):
            build = f"{path.parent.parent.name} for {path.parent.name.replace('-', '/', 1)}"
            for deb in record.debs:
                if deb.architecture in (architecture, "all"):
                    found[deb.package, deb.version] = (build, deb, record)
    return found
