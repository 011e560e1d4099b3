"""Bundles for boards without a network: what a board lacks, as a small repository with the signature of ours."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from builders.apt import api as apt
from builders.boards.api import Access, BoardError, BoardPlan, BoardRun, BoardSystem, Lacking, pack, unbundle
from builders.boards.api import bundle_folder as make_folder
from builders.errors import ReefError
from builders.host.isolated_apt import DebianLists
from builders.host.log import size
from builders.model.packages import DebFile
from builders.pipeline.project import Project

FOLDER = "bundles"
"""The folder in `Cache.mounts` of Debian's packages and lists for bundles."""


@dataclass(frozen=True)
class Bundles:
    """Makes bundles of a project's published packages."""

    project: Project

    def deliver(self, run: BoardRun) -> Access:
        """Give a board its bundle through the connection, and return the way to it; raises BoardError."""
        assert run.plan
        board = run.plan.board
        folder, status = make_folder(run.ssh, run.plan, run.stamp, run.comment)
        cache = self.project.workspace.cache
        try:
            with cache.in_use(), cache.scratch_folder("bundle") as scratch:
                debs = self.lacking(run.plan, BoardSystem(run.plan.facts, status), scratch / "debs")
                archive = self.archive(run.plan.offer.suite, debs, scratch)
                run.report("reached", f"it gets a bundle: {len(debs)} packages, {size(archive.stat().st_size)}")
                run.ssh.send(archive, folder)
        except ReefError as error:
            with suppress(BoardError):  # the next rollout removes it
                unbundle(run.ssh)
            if isinstance(error, BoardError):
                raise
            raise BoardError(f"{board}: no bundle can be made: {error.what}", error.detail, error.fix) from error
        return Access(f"file:{folder}", temporary=True, bundle=True)

    def lacking(self, plan: BoardPlan, system: BoardSystem, scratch: Path) -> tuple[DebFile, ...]:
        """Return the .debs that a board lacks; raises a ReefError."""
        return self._lacking.of(plan, system, scratch)

    def archive(self, suite: str, debs: Sequence[DebFile], scratch: Path) -> Path:
        """Return an archive in ``scratch`` of a signed repository of .debs; raises a ReefError."""
        apt.small_repository(self.project, {suite: debs}, scratch / "repository")
        archive = scratch / "bundle.tar"
        pack(scratch / "repository", suite, archive)
        return archive

    @cached_property
    def _lacking(self) -> Lacking:
        workspace, settings = self.project.workspace, self.project.settings
        lists = DebianLists(workspace, self.project.log, settings.debian_mirror)
        return Lacking(lists, workspace.apt, workspace.cache.mounts / FOLDER)
