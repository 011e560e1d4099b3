"""For every test: its tier, and the user's published repository out of reach."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

pytest.register_assert_rewrite("tests.support")

from builders.host.files import remove_tree  # noqa: E402
from tests.support import checkout  # noqa: E402 - after its assertions are rewritten

TESTS = Path(__file__).parent
TIERS = ("unit", "component", "engine", "acceptance", "golden")

# A command that a test starts finds no project, neither this checkout nor the shell's, unless the test names one.
os.environ["REEF_FOLDER"] = checkout.NOWHERE
os.environ["REEF_TEST_CACHE"] = str(checkout.CACHE)
os.environ.pop("REEF_CACHE", None)

TOGETHER = ("tests/acceptance", "tests/engine/buildx")
"""Folders whose tests share a project or a Docker engine, and so a process."""

_ran = dict.fromkeys(TIERS, 0)
"""Tests of each tier that passed or failed. With xdist the process that the user started counts them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test with its tier, the name of its folder."""
    for item in items:
        item.add_marker(item.path.relative_to(TESTS).parts[0])


class ByFile(LoadFileScheduling):  # type: ignore[misc] # xdist has no types
    """Gives whole files to the processes of a run, as a file's tests share builds; of `TOGETHER` whole folders."""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in TOGETHER if nodeid.startswith(f"{folder}/")), nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    return ByFile(config, log)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    tier = report.nodeid.removeprefix("tests/").partition("/")[0]
    if report.when == "call" and tier in _ran and not report.skipped:
        _ran[tier] += 1


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Remove what the run's processes shared; fail a run of whole tiers in which one ran no test.

    A selection by name (-k) may well miss a tier.
    """
    if hasattr(session.config, "workerinput"):
        return
    remove_tree(checkout.RUN)
    if session.config.option.keyword or session.config.option.collectonly:
        return
    asked = {Path(word).name for word in session.config.args if Path(word).resolve().parent == TESTS}
    empty = [tier for tier in TIERS if tier in asked and not _ran[tier]]
    if empty and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
        print(f"\nno test ran of: {', '.join(empty)}")


@pytest.fixture(scope="session", autouse=True)
def _published_stays() -> Iterator[None]:
    with checkout.untouched(checkout.PUBLISHED):
        yield
