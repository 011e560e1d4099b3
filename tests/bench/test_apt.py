"""The repository's speed and memory, side by side in one run with what Debian has: ratios, not seconds, are judged.

    pytest tests/bench/test_apt.py -s          (REEF_BENCH_DEBS=60000 for the large run)

Peers that are not installed are left out of the table and named in it.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .apt_debs import make, make_many

COUNT = int(os.environ.get("REEF_BENCH_DEBS", "6000"))
DATE = 1_750_000_000
REEF = """
import resource, sys, time
from pathlib import Path
from builders.apt import promote, signing_key, stage
from builders.log import Log
from builders.settings import Settings
place, date, debs = Path(sys.argv[1]), int(sys.argv[2]), [Path(word) for word in Path(sys.argv[3]).read_text().split()]
key = signing_key(Settings(), Log(quiet=True))
started = time.perf_counter()
staged = stage(place / "apt", {"trixie": debs}, place / f"staging-{date}", settings=Settings(), key=key,
               log=Log(quiet=True), date=date, state=place / "state")
promote(staged, place / "apt")
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


class Bench:
    """One folder of .debs, and each publisher's repository beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.debs = make_many(folder / "debs", COUNT)
        self.new = make(folder, COUNT + 1)
        self.rows: dict[str, dict[str, float]] = {}
        self.memory = 0
        self.runs = 0

    def reef(self, what: str, debs: list[Path]) -> None:
        self.runs += 1
        wish = self.folder / "wish"
        wish.write_text("\n".join(map(str, debs)))
        done = subprocess.run(
            [sys.executable, "-c", REEF, str(self.folder), str(DATE + self.runs), str(wish)],
            check=True, capture_output=True, text=True,
            env={**os.environ, "REEF_GNUPGHOME": str(self.folder / "k")},
        )  # fmt: skip
        seconds, memory = done.stdout.split()
        self.rows.setdefault(what, {})["reef"] = float(seconds)
        self.memory = max(self.memory, int(memory))

    def timed(self, what: str, peer: str, work: Callable[[], object]) -> None:
        started = time.perf_counter()
        work()
        self.rows.setdefault(what, {})[peer] = time.perf_counter() - started

    def tell(self) -> str:
        lines = [f"{COUNT} .debs; Reef's peak memory {self.memory} MB; seconds, and how many times Reef's"]
        for what, row in self.rows.items():
            ours = row["reef"]
            cells = [f"{peer} {seconds:.2f} ({seconds / ours:.1f}x)" for peer, seconds in row.items() if peer != "reef"]
            lines.append(f"  {what:<12} reef {ours:.2f}  {'  '.join(cells)}")
        missing = [peer for peer in ("apt-ftparchive", "reprepro", "aptly") if not shutil.which(peer)]
        return "\n".join([*lines, *([f"  not installed: {', '.join(missing)}"] if missing else [])])


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("b"))


def ftparchive(bench: Bench) -> Callable[[], None]:
    """Return a run of apt-ftparchive with its cache that writes the same indices: Packages, Contents, Release."""
    place = bench.folder / "ftparchive"
    (place / "pool").mkdir(parents=True, exist_ok=True)
    for deb in bench.debs:
        shutil.copy(deb, place / "pool")
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
        subprocess.run(["apt-ftparchive", "generate", str(config)], check=True, capture_output=True)
        release = subprocess.run(
            ["apt-ftparchive", "release", str(place / "dists/trixie")], check=True, capture_output=True
        )
        (place / "dists/trixie/Release").write_bytes(release.stdout)

    return run


def aptly(bench: Bench) -> Callable[[list[str]], None]:
    place = bench.folder / "aptly"
    place.mkdir()
    config = place / "aptly.conf"
    config.write_text(f'{{"rootDir": "{place}", "gpgDisableSign": true}}')

    def run(words: list[str]) -> None:
        subprocess.run(["aptly", f"-config={config}", *words], check=True, capture_output=True)

    run(["repo", "create", "-distribution=trixie", "bench"])
    return run


def test_side_by_side(bench: Bench) -> None:
    bench.reef("first", bench.debs)
    bench.reef("one new", [bench.new])
    bench.reef("nothing new", [*bench.debs, bench.new])
    if shutil.which("apt-ftparchive"):
        run = ftparchive(bench)
        bench.timed("first", "apt-ftparchive", run)
        shutil.copy(bench.new, bench.folder / "ftparchive/pool")
        bench.timed("one new", "apt-ftparchive", run)
        bench.timed("nothing new", "apt-ftparchive", run)
    if shutil.which("aptly"):
        peer = aptly(bench)

        def add(path: Path, verb: list[str]) -> None:
            peer(["repo", "add", "bench", str(path)])
            peer([*verb, "-skip-signing"])

        first = ["publish", "repo", "-architectures=arm64", "bench"]
        bench.timed("first", "aptly", lambda: add(bench.folder / "debs", first))
        bench.timed("one new", "aptly", lambda: add(bench.new, ["publish", "update", "trixie"]))
        bench.timed("nothing new", "aptly", lambda: add(bench.new, ["publish", "update", "trixie"]))
    print(f"\n{bench.tell()}")
    assert bench.memory < 300
    for what, row in bench.rows.items():
        for name, seconds in row.items():
            assert row["reef"] <= seconds * 1.2, f"{what}: {name} is faster"
