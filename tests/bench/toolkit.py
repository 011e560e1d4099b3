"""Measures Reef against the same work by hand, as ratios taken in one run. Run by ``./inv bench``.

Ends with a verdict on each budget; with ``--strict`` in 9 where one is not kept.

Beside wall time stands CPU time (of the command and all that it waited for), whose ratio other work on the machine
hardly moves.

The project that is measured has roots and ccache of its own; only downloads and source trees are shared with the
checkout, because fetching is not what is compared.
"""

import os
import resource
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from builders import deb, sources
from builders.engines.chroot.engine import ChrootEngine
from builders.engines.roots import namespaces
from builders.host import debian_mirror, process
from builders.host.files import remove_tree
from builders.host.log import Log
from builders.host.workspace import Workspace
from builders.model.arch import AMD64, ARM64
from builders.model.jobs import BuildJob, Input, Root
from builders.model.recipe import Recipe
from builders.model.source_tree import SourceTree
from builders.model.target import Target, parse_target
from builders.pipeline.project import Project
from tests.bench.budget import Budget, exit_code, tell
from tests.support.checkout import CHECKOUT, settings_like

RECIPE, TARGET = "tensorflow-lite", "trixie/arm64"
ONE_FILE = "tensorflow/lite/kernels/add.cc"


@dataclass(frozen=True)
class Took:
    """Seconds of wall time and of CPU time, the latter over all processes."""

    wall_s: float
    cpu_s: float

    def __add__(self, other: "Took") -> "Took":
        return Took(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s)

    def __str__(self) -> str:
        return f"{self.wall_s:.0f} s (CPU {self.cpu_s:.0f} s)"


def main() -> None:
    """Take all measurements, print them with the machine, and judge them."""
    log = Log()
    home = Project.open(CHECKOUT, log)
    recipe, target = home.recipes[RECIPE], parse_target(TARGET)
    tree = sources.fetch(recipe, home, offline=False)
    folder = CHECKOUT / "artifacts" / "tests" / "bench"
    remove_tree(folder)
    by_hand = _by_hand(folder / "hand", home, recipe, target, tree)
    budgets = _toolkit(_project(folder, home.workspace), by_hand, log)
    cross, emulate = _one_file(Workspace(folder / "one"), home, recipe, tree)
    note = f"{Path(ONE_FILE).name}: {cross:.1f} s and {emulate:.1f} s"
    budgets.append(Budget("emulated compiler against cross compiler", emulate / cross, note=note))
    log.note(
        f"machine: {psutil.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, {os.uname().release}"
    )
    tell(budgets, log, "measured, and what is wanted")
    remove_tree(folder)
    sys.exit(exit_code(budgets, sys.argv))


def _toolkit(bench: Path, by_hand: Took, log: Log) -> list[Budget]:
    """Build cold, with nothing changed and with other packaging; publish that; return what it took of the budgets."""
    cold, building = _command(bench, "build-arm")
    log.note(f"build-arm: cold {cold}, {building / 1e6:.0f} MB")
    unchanged = min(_command(bench, "build-arm")[0].wall_s for _ in range(3))
    _edit(bench, "summary: TensorFlow Lite inference runtime - shared library")
    packaging, _ = _command(bench, "build-arm")
    log.note(f"build-arm: nothing changed {unchanged:.2f} s, packaging changed {packaging}")
    # gpg's sockets want a short, plain path; an agent that ends meanwhile takes them along.
    with tempfile.TemporaryDirectory(prefix="reef-bench-", ignore_cleanup_errors=True) as key:
        publishing_took, publishing = _command(bench, "publish-apt", extra=AWAY | {"REEF_GNUPGHOME": f"{key}/gnupg"})
    return [
        Budget("build-arm, cold, sources present, of by hand", cold.wall_s / by_hand.wall_s, 1.10,
               note=f"{cold} of {by_hand}; CPU {cold.cpu_s / by_hand.cpu_s:.2f}"),
        Budget("build-arm, nothing changed", unchanged, 1.0, "s"),
        Budget("build-arm, only debian/ changed, of cold", packaging.wall_s / cold.wall_s, 0.25,
               note=f"{packaging}; CPU {packaging.cpu_s / cold.cpu_s:.2f}"),
        Budget("the toolkit's own memory, build-arm", building / 1e6, 150, "MB"),
        Budget("the toolkit's own memory, publish-apt", publishing / 1e6, 150, "MB", note=str(publishing_took)),
    ]  # fmt: skip


def _project(folder: Path, shared: Workspace) -> Path:
    place = folder / "project"
    shutil.copytree(CHECKOUT / "recipes", place / "recipes")
    (place / "reef.yml").write_text(settings_like(CHECKOUT))
    cache = place / "artifacts" / "cache"
    cache.mkdir(parents=True)
    (cache / "sources").symlink_to(shared.cache.downloads)
    (cache / "trees").symlink_to(shared.cache.trees)
    return place


def _edit(project: Path, line: str) -> None:
    path = project / "recipes" / RECIPE / "recipe.yml"
    text = path.read_text()
    if line not in text:
        raise AssertionError(f"the recipe no longer has the line {line!r}")
    path.write_text(text.replace(line, line + " and C API"))


AWAY = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
"""Keeps a Docker engine of the machine's user out of the measurements."""


def _children_cpu_s() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _command(project: Path, *words: str, extra: Mapping[str, str] = AWAY) -> tuple[Took, int]:
    """Run the real command line; return what it took and the peak resident bytes of its own process."""
    invoke = Path(sys.executable).with_name("invoke")
    environment = os.environ | {"REEF_FOLDER": str(project)} | dict(extra)
    started, before = time.monotonic(), _children_cpu_s()
    peak = 0
    with tempfile.TemporaryFile() as output:
        child = psutil.Popen(
            [str(invoke), "--search-root", str(CHECKOUT), *words], env=environment, stdout=output, stderr=output
        )
        while child.poll() is None:
            try:
                peak = max(peak, child.memory_info().rss)
            except psutil.NoSuchProcess:
                break
            time.sleep(0.02)
        if child.wait():
            output.seek(0)
            raise AssertionError(output.read().decode())
    return Took(time.monotonic() - started, _children_cpu_s() - before), peak


def _timed(work: Callable[[], object]) -> Took:
    started, before = time.monotonic(), _children_cpu_s()
    work()
    return Took(time.monotonic() - started, _children_cpu_s() - before)


def _by_hand(folder: Path, home: Project, recipe: Recipe, target: Target, tree: SourceTree) -> Took:
    """Make the same root with mmdebstrap and run dpkg-buildpackage in it, as one would without Reef and its caches."""
    folder.mkdir(parents=True)
    debian = deb.debian_files(recipe, target, home.settings)
    job = deb.plan_job(recipe, target, strategy="cross", machine=home.machine, debian=debian)
    root = job.root
    bootstrap = [
        *namespaces.prefix(network=True), "mmdebstrap", "--mode=root", "--variant=apt", "--architectures=amd64,arm64",
        f"--include={','.join(root.packages)}", f"--keyring={debian_mirror.KEYRING}",
        '--aptopt=APT::Install-Recommends "false"',
        root.suite, str(folder / "root"), debian_mirror.host_mirror().url,
    ]  # fmt: skip
    root_took = _timed(lambda: process.run(bootstrap))
    place = folder / "root" / "build" / f"{recipe.name}-{recipe.version}"
    shutil.copytree(tree.path, place, symlinks=True)
    job.write_debian(place)
    shutil.copytree(recipe.folder, folder / "root" / "build" / "recipe")
    options = f"parallel={len(os.sched_getaffinity(0))} nocheck"
    script = (
        f"mount -t proc proc {shlex.quote(str(folder / 'root' / 'proc'))}\n"
        f"exec chroot {shlex.quote(str(folder / 'root'))} sh -euc '"
        f'cd /build/{place.name}; DEB_BUILD_OPTIONS="{options}" dpkg-buildpackage --build=binary '
        f"--no-sign --no-check-builddeps --host-arch=arm64 --build-profiles=cross,nocheck'"
    )
    build = [*namespaces.prefix(network=False), "sh", "-euc", script]
    build_took = _timed(lambda: process.run(build, log=folder / "hand.log"))
    home.log.note(f"by hand: root {root_took}, build {build_took}")
    return root_took + build_took


def _one_file(space: Workspace, home: Project, recipe: Recipe, tree: SourceTree) -> tuple[float, float]:
    """Compile one file of the sources with the cross compiler and with the arm64 compiler under QEMU."""
    engine = ChrootEngine(replace(home, workspace=space))
    libraries = recipe.build.libraries
    cross = Root("trixie", AMD64, ARM64, ("g++-aarch64-linux-gnu", *(f"{name}:arm64" for name in libraries)))
    emulate = Root("trixie", ARM64, ARM64, ("g++", *libraries))
    times = []
    for name, root in (("cross", cross), ("emulate", emulate)):
        headers = "-I. -I/usr/include/eigen3 -I/usr/include/gemmlowp"
        script = f"aarch64-linux-gnu-g++ -std=c++17 -O2 {headers} -c {ONE_FILE} -o /build/out/add.o"
        job = BuildJob(f"bench/{name}", root, script, inputs=(Input(tree.path, "/build/src"),), workdir="/build/src")
        engine.check(root)
        result = engine.run(job, space.path / name, home.log)
        times.append(result.steps[-1].seconds)
    return times[0], times[1]


if __name__ == "__main__":
    main()
