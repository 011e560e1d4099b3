"""The checks stage: verdicts on .debs before they are published.

`inspect` judges the files themselves; `install_job` makes the job that tries them on the target's CPU, for an engine to
run, and `read_install` reads what it found. Nothing here repairs anything.
"""

from builders.checks.install.job import board_root, install_job
from builders.checks.install.results import read_install
from builders.checks.install.upgrade_from import older_revision
from builders.checks.report import failures, read_report, write_report
from builders.checks.static.inspect import inspect

__all__ = [
    "board_root",
    "failures",
    "inspect",
    "install_job",
    "older_revision",
    "read_install",
    "read_report",
    "write_report",
]
