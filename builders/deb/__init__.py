"""The packaging stage renders a recipe as a ``debian/`` folder and plans the job that builds its .debs."""

from builders.deb.build_systems import build_system, compiler_caches
from builders.deb.debian_folder import debian_files, write_debian
from builders.deb.failed_build import explained
from builders.deb.job import PlannedJob, plan_job
from builders.deb.results import cache_hits, collect, warnings, write_sbom
from builders.deb.source_package import built_from, collect_source

__all__ = [
    "PlannedJob",
    "build_system",
    "built_from",
    "cache_hits",
    "collect",
    "collect_source",
    "compiler_caches",
    "debian_files",
    "explained",
    "plan_job",
    "warnings",
    "write_debian",
    "write_sbom",
]
