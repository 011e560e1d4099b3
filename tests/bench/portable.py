"""Measures portable packages beside the native packages that they are made from. Part of ``./inv bench --portable``.

The packages are those of this machine's CPU, so that nothing is emulated. Both kinds of a program start in one root, in
turns.
"""

import json
import sys
import tempfile
from pathlib import Path

from builders.host.log import Log
from builders.model.deb_file import control_of
from builders.pipeline.planning.records import Record, read_record
from tests.bench.budget import Budget, exit_code, tell
from tests.support import native_server

RUNTIME = "reef-portable-runtime"
RECIPES = (native_server.LITE, native_server.SERVER)
MOST_RATIO, MOST_BUNDLE_MB, MOST_MAKING_S = 1.2, 35.0, 30.0
TIMES = "100"
SCRIPT = r"""
mkdir /native /portable
for deb in /bench/native/*/*.deb; do dpkg-deb --extract "$deb" /native; done
for deb in /bench/portable/*/*.deb; do dpkg-deb --extract "$deb" /portable; done
cp -a /portable/usr/lib/x86_64-linux-gnu/reef-portable /usr/lib/x86_64-linux-gnu/
python3 - "$TIMES" >/build/out/seconds.json <<'END'
import json, statistics, subprocess, sys, time

digits = "/native/usr/share/tflite-tools/digits/"
commands = {
    "edge_model_server --version": ["edge_model_server", "--version"],
    "edge_model_client --version": ["edge_model_client", "--version"],
    "tflite-run --version": ["tflite-run", "--version"],
    "tflite-run, one inference": ["tflite-run", digits + "digits.tflite", "--input", digits + "digit-7.pgm"],
}

def seconds(kind, words):
    start = time.perf_counter()
    subprocess.run([f"/{kind}/usr/bin/{words[0]}", *words[1:]], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start

found = {}
for name, words in commands.items():
    taken = {"native": [], "portable": []}
    for _ in range(int(sys.argv[1])):
        for kind in taken:
            taken[kind].append(seconds(kind, words))
    found[name] = {kind: statistics.median(values) for kind, values in taken.items()}
print(json.dumps(found))
END
"""


def main() -> None:
    """Build, measure, print all with its budgets; ``--strict`` ends with `OVER` if one is not kept."""
    log = Log()
    project = native_server.project()
    native = native_server.built(project, "trixie/amd64", *RECIPES)
    portable = native_server.built(project, "bookworm/amd64", RUNTIME, *RECIPES)
    records = {folder.parent.name: record for folder in portable if (record := read_record(folder))}
    with tempfile.TemporaryDirectory() as folder:
        inputs = {"/bench/native": _copies(Path(folder, "native"), native)}
        inputs["/bench/portable"] = _copies(Path(folder, "portable"), portable)
        output = native_server.run_job("portable-bench", SCRIPT, Path(folder, "out"), more=inputs, TIMES=TIMES)
        starts = json.loads((output / "seconds.json").read_text())
    budgets = [*_starts(starts), *_sizes(records), *_making(records)]
    tell(budgets, log)
    sys.exit(exit_code(budgets, sys.argv))


def _copies(place: Path, builds: list[Path]) -> Path:
    """Link the .debs that users install into a folder for each build."""
    for build in builds:
        target = place / build.parent.name
        target.mkdir(parents=True)
        for deb in build.glob("*.deb"):
            if "-dbgsym_" not in deb.name and "-dev_" not in deb.name:
                (target / deb.name).write_bytes(deb.read_bytes())
    return place


def _starts(starts: dict[str, dict[str, float]]) -> list[Budget]:
    return [
        Budget(
            f"start: {name}", each["portable"] / each["native"], MOST_RATIO,
            note=f"{each['portable'] * 1000:.2f} ms beside {each['native'] * 1000:.2f} ms",
        )
        for name, each in starts.items()
    ]  # fmt: skip


def _sizes(records: dict[str, Record]) -> list[Budget]:
    installed = {
        deb.package: int(control_of(deb.path)["Installed-Size"]) * 1024 / 1e6
        for record in records.values()
        for deb in record.debs
        if not deb.package.endswith("-dbgsym")
    }
    bundle = next(size for name, size in installed.items() if name.startswith(RUNTIME))
    return [
        Budget("the bundle, installed", bundle, MOST_BUNDLE_MB, "MB"),
        Budget("bundle, server, client and tools together", sum(installed.values()), unit="MB"),
    ]


def _making(records: dict[str, Record]) -> list[Budget]:
    return [
        Budget(f"make {name}", next(step.seconds for step in record.steps if step.name == "run"), MOST_MAKING_S, "s")
        for name, record in records.items()
    ]


if __name__ == "__main__":
    main()
