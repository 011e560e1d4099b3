"""Publishing thousands of .debs, side by side in one run with what Debian has. Run by ``./inv bench --apt``.

Told are seconds, how many times Reef's each peer took for the same, and a verdict on each figure that is wished for;
with ``--strict`` the exit status is 1 where one is not met.

The peers do less. apt-ftparchive writes the same set of indices (Packages and Translation in gz, xz and zstd, Contents,
a Release file), but copies no .debs. reprepro writes Packages in gz and xz and Contents, aptly Packages in gz and bzip2
and Contents: neither writes zstd or Translation. Nobody but Reef signs, flushes to the disk and keeps every earlier
publication. The rows "verified" are Reef's alone: what publishing does around all that.

Memory is the sum of the resident bytes of Reef's process and all that it starts, sampled; what they share counts each
time. The largest single process stands beside it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from builders.host.log import Log
from builders.host.process import find, tree_memory_bytes
from tests.bench.apt_debs import make, make_many

COUNTS = (6000, 60_000)
PEERS = ("apt-ftparchive", "reprepro", "aptly")
FIRST, ONE, NOTHING, VERIFIED = "first", "one new", "nothing new", "verified"
"""What rows are called; all that begin or end so are of that kind."""
LONGEST_S = {FIRST: 600}
"""Seconds after which a peer is stopped. apt-ftparchive looks each path of Contents up among its siblings in turn: it
took 30 times as long with 20,000 .debs as with 3,000 (apt 2.6)."""
LONGEST_REST_S = 60
"""The same for everything but the first publication."""
AT_ONCE = 10_000
"""Paths on one command line: the kernel bounds what it takes (execve(2)). Indices are written after the last."""
SAMPLE_S = 0.1
"""Looking more often would take from the processors that are measured."""
MOST_MB = 300
REEF = """
import resource, sys, time
from pathlib import Path
from builders.apt import api as apt
from builders.apt.publish.switch import make_live
from builders.apt.keys.signing import signing_key
from builders.apt.publish.stage import stage
from builders.model.arch import ARCHITECTURES
from builders.model.deb_file import read_deb
from builders.host.log import Log
from builders.pipeline.project import Project
from builders.model.settings import Keep, RepositorySettings, Settings
from builders.host.workspace import Workspace
place, mode, keep, debs = Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]).read_text().split()
settings = Settings(repository=RepositorySettings(keep=Keep(versions=1) if keep == "1" else Keep()))
log, paths = Log(quiet=True), [Path(word) for word in debs]
space = Workspace(place)
given = [read_deb(path) for path in paths] if mode == "whole" else paths
key = signing_key(settings, log)
started = time.perf_counter()
if mode == "whole":
    project = Project(place, settings, space, ARCHITECTURES["amd64"], log, {})
    with apt.locked(project):
        apt.change(project, {"trixie": given})
else:
    with space.scratch_folder("staging") as scratch:
        staged = stage(space.apt, {"trixie": given}, scratch / "apt", settings=settings, key=key, log=log,
                       date=int(time.time()), state=place / "state" / "apt")
        make_live(staged, space.apt)
        seconds = time.perf_counter() - started
if mode == "whole":
    seconds = time.perf_counter() - started
peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(seconds, peak // 1024)
"""
"""Reef in a process of its own; timed without the start of the interpreter."""

Row = dict[str, float]
"""Seconds by publisher."""


@dataclass(frozen=True)
class Peak:
    """The most memory at one time in MB: of all processes together, and of the largest."""

    together: int
    largest: int


@dataclass(frozen=True)
class Verdict:
    """What is wished for, what was found, and whether that meets it; None where it could not be measured."""

    wish: str
    found: str
    met: bool | None


def verdicts(rows: Mapping[str, Row], peaks: Mapping[str, Peak], written: Mapping[str, int]) -> Iterator[Verdict]:
    """Judge seconds, memory and paths ``written`` to, each by row, by what is wished for with any number of .debs."""
    first, one = rows[FIRST], rows[ONE]
    peer = first["apt-ftparchive"]
    yield Verdict(f"{FIRST}: not slower than apt-ftparchive", f"{first['reef']:.2f} s, {peer:.2f} s",
                  first["reef"] <= peer)  # fmt: skip
    times = first["aptly"] / first["reef"]
    yield Verdict(f"{FIRST}: ten times faster than aptly", f"{times:.1f} times", times >= 10)
    yield Verdict(f"{ONE}: under 2 s", f"{one['reef']:.2f} s", one["reef"] < 2)
    for name in PEERS:
        wish, found = f"{ONE}: faster than {name}", f"{one['reef']:.2f} s, "
        if name in one:
            yield Verdict(wish, f"{found}{one[name]:.2f} s", one["reef"] < one[name])
        else:
            yield Verdict(wish, f"{found}it was stopped before", None)
    for what, row in rows.items():
        if NOTHING in what:
            yield Verdict(f"{what}: under 0.5 s", f"{row['reef']:.2f} s", row["reef"] < 0.5)
    for what, count in written.items():
        yield Verdict(f"{what}: writes nothing", f"{count} paths changed", not count)
    for kind, some in (
        ("publishing", _of(peaks, verified=False)),
        ("with verification and apt", _of(peaks, verified=True)),
    ):
        what = max(some, key=lambda name: some[name].together)
        found = f"{some[what].together} MB in {what!r}, largest process {max(p.largest for p in some.values())} MB"
        yield Verdict(f"memory, {kind}: under {MOST_MB} MB", found, some[what].together < MOST_MB)


def _of(peaks: Mapping[str, Peak], *, verified: bool) -> dict[str, Peak]:
    return {what: peak for what, peak in peaks.items() if what.startswith(VERIFIED) == verified}


def changed_since(folder: Path, moment_ns: int) -> int:
    """Return how many paths below ``folder`` were written, made, linked or removed from since."""
    return sum(path.lstat().st_ctime_ns > moment_ns for path in (folder, *folder.rglob("*")))


class Bench:
    """One folder of .debs, and each publisher's repository beside it."""

    def __init__(self, folder: Path, count: int, log: Log) -> None:
        self.folder, self.count, self.log = folder, count, log
        self.debs = make_many(folder / "debs", count)
        (folder / "new").mkdir()
        self.new = make(folder / "new", count + 1)
        self.newer = make(folder / "new", 7, "1.0-2")
        self.rows: dict[str, Row] = {}
        self.peaks: dict[str, Peak] = {}
        self.written: dict[str, int] = {}
        self.until = 0.0
        self.stopped: set[tuple[str, str]] = set()
        """Acts of peers that took too long."""

    def reef(self, what: str, debs: list[Path], mode: str = "library", keep: str = "") -> None:
        wish = self.folder / "wish"
        wish.write_text("\n".join(map(str, debs)))
        started, together = time.time_ns(), 0
        with subprocess.Popen(
            [sys.executable, "-c", REEF, str(self.folder / "reef"), mode, keep, str(wish)],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "REEF_GNUPGHOME": str(self.folder / "k")},
        ) as child:  # fmt: skip
            while child.poll() is None:
                together = max(together, tree_memory_bytes(child.pid))
                time.sleep(SAMPLE_S)
            said = child.stdout.read() if child.stdout else ""
        if child.returncode:
            raise SystemExit(f"{what}: Reef ended with {child.returncode}")
        seconds, largest = said.split()
        self._note(what, "reef", float(seconds))
        self.peaks[what] = Peak(max(together >> 20, int(largest)), int(largest))
        if NOTHING in what:
            self.written[what] = changed_since(self.folder / "reef/apt", started)

    def timed(self, what: str, peer: str, work: Callable[[], object]) -> None:
        """Time one act of a peer; of one that is stopped the time until then is what it took at least.

        A peer that was stopped is not asked again: what it left is half a repository.
        """
        if any(who == peer for _, who in self.stopped):
            return
        started = time.perf_counter()
        self.until = started + LONGEST_S.get(what, LONGEST_REST_S)
        try:
            work()
        except subprocess.TimeoutExpired:
            self.stopped.add((what, peer))
        self._note(what, peer, time.perf_counter() - started)

    def quiet(self, argv: list[str]) -> bytes:
        """Run one command of a peer for as long as its act may last, and return its standard output."""
        left = self.until - time.perf_counter()
        return subprocess.run(
            argv, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=max(left, 0)
        ).stdout

    def _note(self, what: str, who: str, seconds: float) -> None:
        self.rows.setdefault(what, {})[who] = seconds
        stopped = " and was stopped" if (what, who) in self.stopped else ""
        self.log.note(f"{self.count} .debs, {what}: {who} {seconds:.2f} s{stopped}")

    def _peer(self, what: str, row: Row, peer: str) -> str:
        if peer not in row:
            return ""
        least = ">" if (what, peer) in self.stopped else ""
        return f"{least}{row[peer]:.2f} ({least}{row[peer] / row['reef']:.1f}x)"

    def tell(self) -> bool:
        """Print the figures and the verdicts on them; tell whether all wishes are met."""
        rows = [
            (
                what,
                f"{row['reef']:.2f}",
                *(self._peer(what, row, peer) for peer in PEERS),
                str(self.peaks[what].together),
                str(self.peaks[what].largest),
            )
            for what, row in self.rows.items()
        ]
        columns = ("", "reef", *PEERS, "MB in all", "MB the largest")
        self.log.table(f"{self.count} .debs: seconds, and how many times Reef's; Reef's memory", columns, rows)
        found = list(verdicts(self.rows, self.peaks, self.written))
        words = {True: "met", False: "NOT MET", None: "not measured"}
        told = [(one.wish, one.found, words[one.met]) for one in found]
        self.log.table(f"{self.count} .debs: verdicts", ("wish", "found", ""), told)
        return not any(one.met is False for one in found)


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
        bench.quiet(["apt-ftparchive", "generate", str(config)])
        release = bench.quiet(["apt-ftparchive", "release", str(place / "dists/trixie")])
        (place / "dists/trixie/Release").write_bytes(release)

    bench.timed(FIRST, "apt-ftparchive", run)
    os.link(bench.new, pool / bench.new.name)
    bench.timed(ONE, "apt-ftparchive", run)
    bench.timed(NOTHING, "apt-ftparchive", run)
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
        *before, last = (debs[start : start + AT_ONCE] for start in range(0, len(debs), AT_ONCE))
        for some, export in (*((some, "never") for some in before), (last, "changed")):
            words = ["reprepro", "--silent", f"--export={export}", "-b", str(place), "includedeb", "trixie"]
            bench.quiet([*words, *map(str, some)])

    bench.timed(FIRST, "reprepro", lambda: include(*bench.debs))
    bench.timed(ONE, "reprepro", lambda: include(bench.new))
    bench.timed(NOTHING, "reprepro", lambda: include(bench.new))
    bench.timed("one version kept", "reprepro", lambda: include(bench.newer))


def aptly(bench: Bench) -> None:
    """Run aptly, without signing."""
    place = bench.folder / "aptly"
    place.mkdir()
    config = place / "aptly.conf"
    config.write_text(f'{{"rootDir": "{place}", "gpgDisableSign": true}}')

    def run(*words: str) -> None:
        bench.quiet(["aptly", f"-config={config}", *words])

    def add(path: Path, *verb: str) -> None:
        run("repo", "add", "bench", str(path))
        run("publish", *verb, "-skip-signing")

    def replace() -> None:
        run("repo", "remove", "bench", f"{bench.newer.name.partition('_')[0]} (<< 1.0-2)")
        add(bench.newer, "update", "trixie")

    def first() -> None:
        run("repo", "create", "-distribution=trixie", "bench")
        add(bench.folder / "debs", "repo", "-architectures=arm64", "bench")

    bench.timed(FIRST, "aptly", first)
    bench.timed(ONE, "aptly", lambda: add(bench.new, "update", "trixie"))
    bench.timed(NOTHING, "aptly", lambda: add(bench.new, "update", "trixie"))
    bench.timed("one version kept", "aptly", replace)


def measure(folder: Path, count: int, log: Log) -> bool:
    """Take all measurements with ``count`` .debs; tell whether all wishes are met."""
    bench = Bench(folder, count, log)
    bench.reef(FIRST, bench.debs)
    bench.reef(ONE, [bench.new])
    bench.reef(NOTHING, [bench.new])
    bench.reef(f"{NOTHING}, all given", [*bench.debs, bench.new])
    bench.reef("one version kept", [bench.newer], keep="1")
    bench.reef(f"{VERIFIED} and tried: the first time", [bench.newer], mode="whole")
    more = make(folder / "new", count + 2)
    bench.reef(f"{VERIFIED} and tried: one new", [more], mode="whole")
    bench.reef(f"{VERIFIED}: nothing new", [more], mode="whole")
    for name, peer in (("apt-ftparchive", ftparchive), ("reprepro", reprepro), ("aptly", aptly)):
        if not find(name):
            raise SystemExit(f"{name} is not installed: see tests/host-packages.txt")
        peer(bench)
    return bench.tell()


def main() -> None:
    """Measure with each of the counts, or with those given as arguments."""
    parser = argparse.ArgumentParser(description="Measure publishing beside apt-ftparchive, reprepro and aptly.")
    parser.add_argument("counts", nargs="*", type=int, default=COUNTS, help="numbers of .debs")
    parser.add_argument("--strict", action="store_true", help="exit with status 1 where a wish is not met")
    given, log, met = parser.parse_args(), Log(), True
    for count in given.counts:
        with tempfile.TemporaryDirectory(prefix="reef-bench-") as folder:
            met &= measure(Path(folder), count, log)
    if given.strict and not met:
        sys.exit(1)


if __name__ == "__main__":
    main()
