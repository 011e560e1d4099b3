"""The packaging stage: a recipe as a ``debian/`` folder, and the job that builds its .debs from it."""

from builders.deb.job import build_job, collect
from builders.deb.render import debian_files, write

__all__ = ["build_job", "collect", "debian_files", "write"]
