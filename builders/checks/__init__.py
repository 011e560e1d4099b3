"""The checks stage judges .debs before they are published; it repairs nothing.

`inspect` judges the files themselves. `install_job` returns the job that installs and runs them on the target's CPU;
`read_install` returns its verdicts.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from builders.checks.report import failures, read_report, write_report

if TYPE_CHECKING:
    from builders.checks.install.job import board_root, install_job
    from builders.checks.install.results import read_install
    from builders.checks.install.upgrade_from import make_older_revision
    from builders.checks.static.file_conflicts import Owner, check_owners, owner_of
    from builders.checks.static.inspect import inspect
    from builders.checks.static.multi_arch import check_instances

__all__ = [
    "Owner",
    "board_root",
    "check_instances",
    "check_owners",
    "failures",
    "inspect",
    "install_job",
    "make_older_revision",
    "owner_of",
    "read_install",
    "read_report",
    "write_report",
]

_SLOW_TO_IMPORT = {
    "Owner": "static.file_conflicts",
    "board_root": "install.job",
    "check_instances": "static.multi_arch",
    "check_owners": "static.file_conflicts",
    "inspect": "static.inspect",
    "install_job": "install.job",
    "make_older_revision": "install.upgrade_from",
    "owner_of": "static.file_conflicts",
    "read_install": "install.results",
}


def __getattr__(name: str) -> object:
    """Import at its first use what an up-to-date build never calls (PEP 562)."""
    if name not in _SLOW_TO_IMPORT:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_SLOW_TO_IMPORT[name]}"), name)
