"""Measures what a command costs before it does anything, as a ratio of an empty Invoke task. Part of ``./inv bench``.

What is measured is CPU time, the least of several runs, each beside an empty task: other work on the machine moves the
ratio little.
"""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from builders.host.log import Log
from tests.bench.budget import Budget, exit_code, tell
from tests.support.up_to_date import up_to_date_project

RUNS = 9
MOST_RATIO, MOST_S = 3.0, 0.5
EMPTY = "from invoke import task\n\n\n@task\ndef empty(context):\n    pass\n"


def main() -> None:
    """Measure the list and an up-to-date build, and judge them."""
    with tempfile.TemporaryDirectory(prefix="reef-bench-") as name:
        folder = Path(name)
        (folder / "tasks.py").write_text(EMPTY)
        (folder / "project").mkdir()
        project = up_to_date_project(folder / "project").folder
        budgets = [*_budgets("list", folder, project), *_budgets("build-arm", folder, project)]
    tell(budgets, Log(), "start-up")
    sys.exit(exit_code(budgets, sys.argv))


def _budgets(command: str, empty: Path, project: Path) -> list[Budget]:
    programs = Path(sys.executable).parent
    pairs = [
        (
            _cpu_s([str(programs / "invoke"), "--search-root", str(empty), "empty"], project),
            _cpu_s([str(programs / "reef"), command], project),
        )
        for _ in range(RUNS)
    ]
    least, seconds = (min(times) for times in zip(*pairs, strict=True))
    return [
        Budget(f"{command} of an empty Invoke task, CPU", seconds / least, MOST_RATIO, note=f"empty {least:.2f} s"),
        Budget(f"{command} with nothing to do, CPU", seconds, MOST_S, "s"),
    ]


def _cpu_s(argv: list[str], project: Path) -> float:
    """Run a program to its end; return the CPU time of all its processes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        argv, env=os.environ | {"REEF_FOLDER": str(project)}, check=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
