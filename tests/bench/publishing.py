"""Publishing thousands of .debs, side by side in one run with what Debian has. Run by ``./inv bench --apt``.

Asserts nothing: what is told are seconds, and how many times Reef's each peer took for the same. Each writes what it
can of the same indices: Packages in three compressions, Translation, Contents and a Release file. Reef and nobody else
also copies, flushes to the disk, signs, and keeps every earlier publication.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from builders.log import Log
from builders.process import find
from tests.bench.apt_debs import make, make_many

COUNTS = (6000, 60_000)
REEF = """
import resource, sys, time
from pathlib import Path
from builders import repository
from builders.apt import promote, signing_key, stage
from builders.arch import ARCHITECTURES
from builders.debfile import read_deb
from builders.log import Log
from builders.project import Project
from builders.settings import Keep, Repository, Settings
from builders.workspace import Workspace
place, mode, keep, debs = Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]).read_text().split()
settings = Settings(repository=Repository(keep=Keep(versions=1) if keep == "1" else Keep()))
log, paths = Log(quiet=True), [Path(word) for word in debs]
space = Workspace(place)
given = [read_deb(path) for path in paths] if mode == "whole" else paths
key = signing_key(settings, log)
started = time.perf_counter()
if mode == "whole":
    project = Project(place, settings, {}, space, ARCHITECTURES["amd64"], log)
    with repository.held(project):
        repository.change(project, {"trixie": given})
else:
    with space.scratch_folder("staging") as scratch:
        staged = stage(space.apt, {"trixie": given}, scratch / "apt", settings=settings, key=key, log=log,
                       date=int(time.time()), state=place / "state" / "apt")
        promote(staged, space.apt)
        seconds = time.perf_counter() - started
if mode == "whole":
    seconds = time.perf_counter() - started
peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(seconds, peak // 1024)
"""
"""Reef in a process of its own; timed without the start of the interpreter."""

Row = dict[str, float]


class Bench:
    """One folder of .debs, and each publisher's repository beside it."""

    def __init__(self, folder: Path, count: int, log: Log) -> None:
        self.folder, self.count, self.log = folder, count, log
        self.debs = make_many(folder / "debs", count)
        (folder / "new").mkdir()
        self.new = make(folder / "new", count + 1)
        self.newer = make(folder / "new", 7, "1.0-2")
        self.rows: dict[str, Row] = {}
        self.memory = 0

    def reef(self, what: str, debs: list[Path], mode: str = "library", keep: str = "") -> None:
        wish = self.folder / "wish"
        wish.write_text("\n".join(map(str, debs)))
        done = subprocess.run(
            [sys.executable, "-c", REEF, str(self.folder / "reef"), mode, keep, str(wish)],
            check=True, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "REEF_GNUPGHOME": str(self.folder / "k")},
        )  # fmt: skip
        seconds, memory = done.stdout.split()
        self._note(what, "reef", float(seconds))
        self.memory = max(self.memory, int(memory))

    def timed(self, what: str, peer: str, work: Callable[[], object]) -> None:
        started = time.perf_counter()
        work()
        self._note(what, peer, time.perf_counter() - started)

    def _note(self, what: str, who: str, seconds: float) -> None:
        self.rows.setdefault(what, {})[who] = seconds
        self.log.note(f"{self.count} .debs, {what}: {who} {seconds:.2f} s")

    def tell(self) -> None:
        peers = ("apt-ftparchive", "reprepro", "aptly")
        rows = [
            (
                what,
                f"{row['reef']:.2f}",
                *(f"{row[p]:.2f} ({row[p] / row['reef']:.1f}x)" if p in row else "" for p in peers),
            )
            for what, row in self.rows.items()
        ]
        self.log.table(f"{self.count} .debs: seconds, and how many times Reef's", ("", "reef", *peers), rows)
        self.log.note(f"Reef's largest process: {self.memory} MB (300)")


def ftparchive(bench: Bench) -> None:
    """Run apt-ftparchive with its cache, over a pool of links."""
    place = bench.folder / "ftparchive"
    pool = place / "pool"
    pool.mkdir(parents=True)
    for deb in bench.debs:
        os.link(deb, pool / deb.name)
    tree = place / "dists/trixie/main"
    for name in ("binary-arm64", "i18n"):
        (tree / name).mkdir(parents=True)
    config = place / "apt-ftparchive.conf"
    config.write_text(
        f'Dir {{ ArchiveDir "{place}"; CacheDir "{place}"; }};\n'
        'Default { Packages::Compress ". gzip xz zstd"; Translation::Compress ". gzip xz zstd";\n'
        'Contents::Compress "gzip"; LongDescription "false"; };\n'
        'TreeDefault { Directory "pool"; BinCacheDB "cache.db"; };\n'
        'Tree "dists/trixie" { Sections "main"; Architectures "arm64"; };\n'
    )

    def run() -> None:
        quiet(["apt-ftparchive", "generate", str(config)])
        release = quiet(["apt-ftparchive", "release", str(place / "dists/trixie")])
        (place / "dists/trixie/Release").write_bytes(release)

    bench.timed("first", "apt-ftparchive", run)
    os.link(bench.new, pool / bench.new.name)
    bench.timed("one new", "apt-ftparchive", run)
    bench.timed("nothing new", "apt-ftparchive", run)
    os.link(bench.newer, pool / bench.newer.name)
    (pool / bench.newer.name.replace("1.0-2", "1.0-1")).unlink()
    bench.timed("one version kept", "apt-ftparchive", run)


def reprepro(bench: Bench) -> None:
    """Run reprepro, which keeps one version anyway."""
    place = bench.folder / "reprepro"
    (place / "conf").mkdir(parents=True)
    (place / "conf/distributions").write_text(
        "Codename: trixie\nComponents: main\nArchitectures: arm64\nDebIndices: Packages Release . .gz .xz\n"
        "Contents: .gz\n"
    )

    def include(*debs: Path) -> None:
        quiet(["reprepro", "--silent", "-b", str(place), "includedeb", "trixie", *map(str, debs)])

    bench.timed("first", "reprepro", lambda: include(*bench.debs))
    bench.timed("one new", "reprepro", lambda: include(bench.new))
    bench.timed("nothing new", "reprepro", lambda: include(bench.new))
    bench.timed("one version kept", "reprepro", lambda: include(bench.newer))


def aptly(bench: Bench) -> None:
    """Run aptly, without signing."""
    place = bench.folder / "aptly"
    place.mkdir()
    config = place / "aptly.conf"
    config.write_text(f'{{"rootDir": "{place}", "gpgDisableSign": true}}')

    def run(*words: str) -> None:
        quiet(["aptly", f"-config={config}", *words])

    def add(path: Path, *verb: str) -> None:
        run("repo", "add", "bench", str(path))
        run("publish", *verb, "-skip-signing")

    def replace() -> None:
        run("repo", "remove", "bench", f"{bench.newer.name.partition('_')[0]} (<< 1.0-2)")
        add(bench.newer, "update", "trixie")

    run("repo", "create", "-distribution=trixie", "bench")
    bench.timed("first", "aptly", lambda: add(bench.folder / "debs", "repo", "-architectures=arm64", "bench"))
    bench.timed("one new", "aptly", lambda: add(bench.new, "update", "trixie"))
    bench.timed("nothing new", "aptly", lambda: add(bench.new, "update", "trixie"))
    bench.timed("one version kept", "aptly", replace)


def quiet(argv: list[str]) -> bytes:
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def measure(folder: Path, count: int, log: Log) -> None:
    """Take all measurements with ``count`` .debs."""
    bench = Bench(folder, count, log)
    bench.reef("first", bench.debs)
    bench.reef("one new", [bench.new])
    bench.reef("nothing new", [bench.new])
    bench.reef("nothing new, all given", [*bench.debs, bench.new])
    bench.reef("one version kept", [bench.newer], keep="1")
    bench.reef("verified and tried: the first time", [bench.newer], mode="whole")
    more = make(folder / "new", count + 2)
    bench.reef("verified and tried: one new", [more], mode="whole")
    bench.reef("verified: nothing new", [more], mode="whole")
    for name, peer in (("apt-ftparchive", ftparchive), ("reprepro", reprepro), ("aptly", aptly)):
        if not find(name):
            raise SystemExit(f"{name} is not installed: see tests/host-packages.txt")
        peer(bench)
    bench.tell()


def main() -> None:
    """Measure with each of the counts, or with those given as arguments."""
    log = Log()
    for count in [int(word) for word in sys.argv[1:]] or COUNTS:
        with tempfile.TemporaryDirectory(prefix="reef-bench-") as folder:
            measure(Path(folder), count, log)


if __name__ == "__main__":
    main()
