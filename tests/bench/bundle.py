"""Measures making a bundle for a board beside ``apt-get download`` of the same .debs.

Both know Debian's lists already and have none of the .debs; they take turns. A bundle takes more: apt finds out which
.debs the board lacks, a repository of them is signed, and it is packed.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from builders.apt.keys.signing import signing_key
from builders.boards.api import BoardFacts, BoardPlan, BoardSystem, offer_for, plan_board
from builders.engines.roots import bootstrap
from builders.host.files import remove_tree
from builders.host.isolated_apt import DebianLists
from builders.host.log import Log
from builders.model.arch import AMD64
from builders.model.jobs import Root
from builders.model.settings import Settings
from builders.pipeline.bundle import FOLDER, Bundles
from builders.pipeline.fleet import opened
from builders.pipeline.project import Project
from tests.bench.budget import Budget, exit_code, tell
from tests.support.checkout import CACHE
from tests.support.light_board import PACKAGES
from tests.support.repository import Publisher

TIMES, MOST_RATIO = 5, 2.0
NEEDED = ("git", "jq", "rsync", "tree")
"""Packages of Debian that the package depends on; these need more of them."""
BOARDS = "all: {hosts: {one: {reef_packages: [demo], reef_offline: true}}}\n"


class Bench:
    """A project with a published package, and a board that lacks it and most of the packages that it needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "reef.yml").write_text(f"artifacts: .\ncache: {CACHE}\n")
        (folder / "boards.yml").write_text(BOARDS)
        self.project = Project.open(folder, Log(quiet=True), without_recipes=True)
        self.publisher = Publisher(folder, signing_key(Settings(), Log(quiet=True)), Log(quiet=True))
        self.publisher.publish(self.publisher.deb("demo", "1.0-1", "amd64", fields={"Depends": ", ".join(NEEDED)}))
        rootfs, _ = bootstrap.make(Root("trixie", AMD64, AMD64, PACKAGES), self.project)
        self.status = (rootfs / "var/lib/dpkg/status").read_bytes()
        self.count, self.bytes = 0, 0

    @property
    def plan(self) -> BoardPlan:
        known = {"architecture": "amd64", "os_codename": "trixie", "os_id": "debian", "apt": "3.0.3", "systemd": "257"}
        facts = BoardFacts({name: [text] for name, text in known.items()}, time.time(), time.time())
        with opened(self.project) as fleet:
            (board,) = fleet.inventory.boards
            return plan_board(board, facts, offer_for(board, facts, fleet.offers))

    def bundle(self) -> list[str]:
        """Make a bundle, and return the names of Debian's packages in it."""
        plan = self.plan
        remove_tree(self.project.workspace.cache.mounts / FOLDER / "debs")
        with self.project.workspace.cache.scratch_folder("bench") as scratch:
            bundles = Bundles(self.project)
            debs = bundles.lacking(plan, BoardSystem(plan.facts, self.status), scratch / "debs")
            bundles.archive(plan.offer.suite, debs, scratch)
            self.count, self.bytes = len(debs), sum(deb.size for deb in debs)
            return [f"{deb.package}={deb.version}" for deb in debs if deb.package != "demo"]

    def download(self, words: list[str]) -> None:
        """Download the same packages by hand."""
        lists = DebianLists(self.project.workspace, self.project.log, self.project.settings.debian_mirror)
        with tempfile.TemporaryDirectory(prefix="rd") as place, lists.of("trixie", "amd64") as apt:
            subprocess.run(
                ["apt-get", "-qq", "download", *words], cwd=place, check=True, stdout=subprocess.DEVNULL,
                env={**os.environ, "APT_CONFIG": str(apt.config)},
            )  # fmt: skip


def main() -> None:
    """Measure, print the ratio with its budget; ``--strict`` ends with `OVER` if it is not kept."""
    with tempfile.TemporaryDirectory(prefix="rb", dir="/tmp") as name:
        os.environ["REEF_GNUPGHOME"] = f"{name}/home"
        (Path(name) / "project").mkdir()
        bench = Bench(Path(name) / "project")
        words = bench.bundle()  # fetches Debian's lists where they are old
        ours, theirs = [], []
        for _ in range(TIMES):
            ours.append(_seconds(bench.bundle))
            theirs.append(_seconds(lambda: bench.download(words)))
    made, by_hand = statistics.median(ours), statistics.median(theirs)
    note = f"{made:.1f} s and {by_hand:.1f} s for {bench.count} packages, {bench.bytes / 1e6:.0f} MB"
    budgets = [Budget("bundle for a board of apt-get download", made / by_hand, MOST_RATIO, note=note)]
    tell(budgets, Log(), "bundles")
    sys.exit(exit_code(budgets, sys.argv))


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
