"""The environment variables of a job's scripts."""

from builders.model.jobs import BuildJob

BASE_ENVIRONMENT = {
    "PATH": "/usr/lib/ccache:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "DEBIAN_FRONTEND": "noninteractive",
}
"""The environment of every job on every engine."""


def environment(job: BuildJob) -> dict[str, str]:
    """Return all variables of a job: the common ones, QEMU's CPU, and the job's own, which take precedence."""
    return BASE_ENVIRONMENT | job.root.build.emulation | dict(job.environment)
