"""What the chroot engine finds on this machine: disks that will not do, roots and notes that are damaged."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from builders.engines.chroot import overlay
from builders.engines.chroot.engine import ChrootEngine
from builders.engines.roots import bootstrap, namespaces
from builders.engines.roots import disk as disk_test
from builders.errors import HostError
from builders.host.log import Log
from builders.host.workspace import Workspace
from builders.maintenance import doctor
from builders.model.arch import AMD64
from builders.model.context import Context
from builders.model.jobs import Root
from builders.model.settings import Settings
from builders.pipeline.project import Project

ROOT = Root("trixie", AMD64, AMD64, ())
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")


@contextmanager
def disk(kind: str, folder: Path, options: str = "rw") -> Iterator[Path]:
    """Give a disk with a filesystem of that kind; it is gone at the end."""
    for name in ("lower", "upper", "work", "disk"):
        (folder / name).mkdir()
    options = f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work" if kind == "overlay" else options
    subprocess.run(["mount", "-t", kind, "-o", options, kind, str(folder / "disk")], check=True)
    try:
        yield folder / "disk"
    finally:
        subprocess.run(["umount", str(folder / "disk")], check=True)


@only_root
@pytest.mark.parametrize(("kind", "name"), [("overlay", "overlayfs"), ("ramfs", "ramfs")])
def test_a_disk_that_cannot_hold_what_jobs_change_is_reported_before_any_job(
    tmp_path: Path, kind: str, name: str
) -> None:
    """The kernel refuses an overlay's changes on an overlay; on ramfs it mounts one, and then a build would fail."""
    with disk(kind, tmp_path) as place:
        (place / "reef.yml").write_text("engine: chroot\n")
        project = Project.open(place, Log(quiet=True), without_recipes=True)
        with pytest.raises(HostError, match="cannot hold the changes of build jobs") as caught:
            ChrootEngine(replace(project, settings=Settings(), machine=AMD64)).check(ROOT)
        assert caught.value.what.startswith(f"the disk of {project.workspace.scratch} ({name}) ")
        assert "artifacts: /path/on/that/disk in reef.yml" in caught.value.fix
        assert list(project.workspace.scratch.iterdir()) == []
        [need] = [need for need in doctor.examine(project) if need.name == "overlays"]
        assert need.trouble.startswith(f"the disk of {project.workspace.path} ({name}) ")
        assert os.listdir(project.workspace.path) == ["scratch"]


@only_root
def test_a_disk_in_memory_will_do(tmp_path: Path) -> None:
    with disk("tmpfs", tmp_path) as place:
        ChrootEngine(Context(place, Settings(), Workspace(place), AMD64, Log(quiet=True))).check(ROOT)
        assert list((place / "scratch").iterdir()) == []


def test_a_kernel_without_overlays_is_reported_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlay, "MOUNT", overlay.MOUNT.replace("-t overlay", "-t no-overlay"))
    with pytest.raises(HostError, match="this machine's kernel mounts no overlays") as caught:
        overlay.check(tmp_path)
    assert "merged: " in caught.value.detail
    assert "modprobe overlay" in caught.value.fix


@only_root
def test_a_disk_that_runs_no_programs_is_reported_before_a_root_is_made(tmp_path: Path) -> None:
    with disk("tmpfs", tmp_path, "noexec") as place:
        (place / "reef.yml").write_text("engine: chroot\n")
        project = Project.open(place, Log(quiet=True), without_recipes=True)
        with pytest.raises(HostError, match=r"\(tmpfs\) holds no build roots: it cannot run programs") as caught:
            bootstrap.make(ROOT, replace(project, settings=Settings(debian_mirror="http://127.0.0.1:9/debian")))
        assert "Permission denied" in caught.value.detail
        assert "cache: in reef.yml" in caught.value.fix
        [need] = [need for need in doctor.examine(project) if need.name == "disk of roots"]
        assert need.trouble.startswith(f"the disk of {project.workspace.cache.path} (tmpfs) holds no build roots")
        assert list(project.workspace.cache.scratch.iterdir()) == []


@pytest.mark.parametrize("ability", disk_test.ABILITIES)
def test_each_ability_that_a_root_needs_is_named(tmp_path: Path, ability: str, monkeypatch: pytest.MonkeyPatch) -> None:
    disk_test.check(tmp_path)
    assert list(tmp_path.iterdir()) == []
    commands = f"{disk_test.ABILITIES[ability]} && echo so >&2 && false"
    monkeypatch.setattr(disk_test, "ABILITIES", disk_test.ABILITIES | {ability: commands})
    with pytest.raises(HostError) as caught:
        disk_test.check(tmp_path)
    assert caught.value.what.endswith(f"holds no build roots: it cannot {ability}")
    assert caught.value.detail == "so"


def test_a_test_of_a_disk_that_dies_blames_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for prefix in (["false"], ["sh", "-c", "echo unshare: not permitted >&2; exit 1"]):
        monkeypatch.setattr(namespaces, "prefix", lambda words=prefix, **_: words)
        with pytest.raises(HostError, match="it is unknown whether the disk of") as caught:
            disk_test.check(tmp_path)
        assert "doctor" in caught.value.fix
    assert "unshare: not permitted" in caught.value.detail


@pytest.mark.parametrize(
    ("tail", "blamed"),
    [
        ("E: Failed to fetch http://m/debian/x.deb  404  Not Found", True),
        ("E: The repository 'http://m/debian trixie Release' does not have a Release file.", True),
        ("chroot: failed to run command 'dpkg': Permission denied\nE: mmdebstrap failed to run", False),
        ("dpkg: error processing archive", False),
    ],
)
def test_the_mirror_is_blamed_for_its_own_failures_only(tail: str, *, blamed: bool) -> None:
    assert ("http://m/debian is reachable" in bootstrap._advice(tail, "trixie", "http://m/debian")) == blamed


@pytest.mark.parametrize(
    "tail",
    [
        "E: Unable to locate package libfoo-dev\nE: mmdebstrap failed to run",
        "Package libfoo-dev is not available, but is referred to by another package.\n"
        "E: Package 'libfoo-dev' has no installation candidate",
    ],
)
def test_a_package_that_the_suite_lacks_is_named(tail: str) -> None:
    advice = bootstrap._advice(tail, "trixie", "http://m/debian")
    assert advice == "trixie has no package libfoo-dev: correct tools: and libraries: of the recipe"
