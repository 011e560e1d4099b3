"""One cache for several projects, with real locks and real other processes."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from builders import sources
from builders.engines.roots import manifest
from builders.errors import BusyError
from builders.host.log import Log
from builders.maintenance import clean
from builders.model.arch import AMD64, ARM64
from builders.model.jobs import Root
from builders.pipeline.project import Project
from tests.support.checkout import HELLO

QUIET = Log(quiet=True)
ROOT = Root("trixie", AMD64, ARM64, ("gcc",))
MAKE = """
import sys
from pathlib import Path
from builders import sources
from builders.model.arch import AMD64, ARM64
from builders.engines.roots import bootstrap
from builders.host.log import Log
from builders.model.jobs import Root, StepRecord
from builders.pipeline.project import Project

def made_quickly(_root, folder, *_):
    (folder / "usr").mkdir(parents=True)
    print("making", flush=True)
    sys.stdin.readline()
    return StepRecord("root", 0, 0)

bootstrap._bootstrap, bootstrap._installed = made_quickly, lambda _: ["gcc:amd64=1"]
project = Project.open(Path(sys.argv[1]), Log(live=False))
with project.workspace.in_use():
    project.workspace.sweep()
    tree = sources.fetch(project.recipes["reef-hello"], project, offline=True)
    root, _ = bootstrap.make(Root("trixie", AMD64, ARM64, ("gcc",)), project)
    print(f"made {tree.path} {root}", flush=True)
    sys.stdin.readline()
"""
"""A run that fetches sources and makes a root (at the place of mmdebstrap: a folder), and goes on at each line that it
is given."""


class Run:
    """Another process of Reef's at work in a project."""

    def __init__(self, project: Project) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAKE, str(project.folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def says(self, words: str) -> None:
        """Read its output until a line holds ``words``."""
        assert self.process.stdout
        seen = []
        for line in self.process.stdout:
            seen.append(line)
            if words in line:
                return
        raise AssertionError(f"it ended without {words!r}: {''.join(seen)}")

    def goes_on(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def is_killed(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()

    def ends(self) -> None:
        self.goes_on()
        said, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, said


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "the cache, é"


@pytest.fixture
def project(tmp_path: Path, cache: Path) -> Callable[[str], Project]:
    """Makes projects that share one cache."""

    def made(name: str) -> Project:
        folder = tmp_path / name
        shutil.copytree(HELLO, folder / "recipes" / "reef-hello")
        (folder / "reef.yml").write_text(f'cache: "../{cache.name}"\n')
        return Project.open(folder, QUIET)

    return made


def made_in(cache: Path) -> list[str]:
    """Return what lies in the cache, except locks."""
    names = [path.relative_to(cache) for pattern in ("*/*", "*/*.*/*") for path in cache.glob(pattern)]
    return sorted({str(name) for name in names if name.suffix != ".lock" and name.parts[0] in ("roots", "scratch")})


def test_two_projects_at_once_make_a_root_and_a_tree_once(project: Callable[[str], Project], cache: Path) -> None:
    one, other, key = project("a project"), project("another"), manifest.key(ROOT)
    first = Run(one)
    first.says("making")
    second = Run(other)
    second.says(f"waiting for another run of Reef, which holds the root {key}")
    tree = sources.fetch(other.recipes["reef-hello"], replace(other, log=QUIET), offline=True).path
    assert tree.parent == cache / "trees"
    first.goes_on()
    first.says(f"made {tree} {cache / 'roots' / key / 'rootfs'}")
    second.says(f"made {tree} {cache / 'roots' / key / 'rootfs'}")
    first.ends()
    second.ends()
    assert made_in(cache) == [f"roots/{key}"]
    assert not (one.workspace.path / "cache").exists()


def test_a_killed_run_leaves_nothing_that_counts(project: Callable[[str], Project], cache: Path) -> None:
    killed = Run(project("one"))
    killed.says("making")
    killed.is_killed()
    other = project("other")
    assert manifest.made(ROOT, other.workspace) is None
    assert len(made_in(cache)) == 2  # its folder in scratch, and the root in that
    again = Run(other)
    again.says("making")
    again.goes_on()
    again.says("made ")
    again.ends()
    assert made_in(cache) == [f"roots/{manifest.key(ROOT)}"]


def test_a_run_spares_what_another_project_is_making(project: Callable[[str], Project], cache: Path) -> None:
    at_work = Run(project("one"))
    at_work.says("making")
    making = made_in(cache)
    assert project("other").workspace.sweep() == []
    assert made_in(cache) == making
    at_work.goes_on()
    at_work.says("made ")
    at_work.ends()


@pytest.mark.parametrize("part", sorted(clean.IN_CACHE))
def test_no_part_of_the_cache_is_removed_while_another_project_works(
    project: Callable[[str], Project], cache: Path, part: str
) -> None:
    at_work, other = Run(project("one")), project("other")
    at_work.says("making")
    folder = clean.folder_of(other.workspace, part)
    assert folder.parent == cache
    (folder / "kept").mkdir(parents=True)
    with pytest.raises(BusyError, match="another run of Reef is at work") as caught:
        clean.clean(other, ["scratch", part])
    assert caught.value.detail == f"in {cache}"
    assert (folder / "kept").exists()
    clean.clean(other, ["scratch", "failed", "logs", "builds"])  # its own
    at_work.is_killed()
    clean.clean(other, [part])
    assert not folder.exists()
