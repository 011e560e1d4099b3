"""The packaging stage: a recipe as a ``debian/`` folder, and the job that builds its .debs from it."""

from builders.deb.build_systems import build_system, compiler_caches
from builders.deb.job import build_job, collect
from builders.deb.render import debian_files, write
from builders.deb.source_package import collect_source, copy_recipe

__all__ = [
    "build_job",
    "build_system",
    "collect",
    "collect_source",
    "compiler_caches",
    "copy_recipe",
    "debian_files",
    "write",
]
