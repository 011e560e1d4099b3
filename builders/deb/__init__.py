"""The packaging stage: a recipe as a ``debian/`` folder, and the job that builds its .debs from it."""

from builders.deb.job import build_job, collect
from builders.deb.render import debian_files, write
from builders.deb.sbom import write_sbom

__all__ = ["build_job", "collect", "debian_files", "write", "write_sbom"]
