"""The checks stage judges .debs before they are published; it repairs nothing.

`inspect` judges the files themselves. `install_job` returns the job that installs and runs them on the target's CPU;
`read_install` returns its verdicts.
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
