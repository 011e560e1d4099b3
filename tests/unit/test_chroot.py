"""What the chroot engine finds on this machine: disks that will not do, roots and notes that are damaged."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builders import doctor
from builders.engines.buildx import kept
from builders.engines.chroot import engine, overlay
from builders.engines.chroot.engine import ChrootEngine
from builders.engines.roots import manifest
from builders.engines.roots.namespaces import check
from builders.errors import HostError, RootError
from builders.host.log import Log
from builders.host.workspace import Workspace
from builders.model.arch import AMD64
from builders.model.jobs import Root
from builders.model.settings import Settings
from builders.project import Project

ROOT = Root("trixie", AMD64, AMD64, ())
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")


@contextmanager
def disk(kind: str, folder: Path) -> Iterator[Path]:
    """Give a disk with a filesystem of that kind; it is gone at the end."""
    for name in ("lower", "upper", "work", "disk"):
        (folder / name).mkdir()
    options = f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work" if kind == "overlay" else "rw"
    subprocess.run(["mount", "-t", kind, "-o", options, kind, str(folder / "disk")], check=True)
    try:
        yield folder / "disk"
    finally:
        subprocess.run(["umount", str(folder / "disk")], check=True)


@only_root
@pytest.mark.parametrize(("kind", "name"), [("overlay", "overlayfs"), ("ramfs", "ramfs")])
def test_a_disk_that_cannot_hold_what_jobs_change_is_told_before_any_job(tmp_path: Path, kind: str, name: str) -> None:
    """The kernel refuses an overlay's changes on an overlay; on ramfs it mounts one, and then a build would fail."""
    with disk(kind, tmp_path) as place:
        (place / "reef.yml").write_text("engine: chroot\n")
        project = Project.open(place, Log(quiet=True), without_recipes=True)
        with pytest.raises(HostError, match="cannot hold what build jobs change in their roots") as told:
            ChrootEngine(project.workspace, Settings(), AMD64).check(ROOT)
        assert told.value.what.startswith(f"the disk of {project.workspace.scratch} ({name}) ")
        assert "artifacts: /a/folder/there in reef.yml" in told.value.fix
        assert list(project.workspace.scratch.iterdir()) == []
        [need] = [need for need in doctor.examine(project) if need.name == "overlays"]
        assert need.trouble.startswith(f"the disk of {project.workspace.path} ({name}) ")
        assert os.listdir(project.workspace.path) == ["scratch"]


@only_root
def test_a_disk_in_memory_will_do(tmp_path: Path) -> None:
    with disk("tmpfs", tmp_path) as place:
        ChrootEngine(Workspace(place), Settings(), AMD64).check(ROOT)
        assert list((place / "scratch").iterdir()) == []


def test_a_kernel_without_overlays_is_told_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlay, "MOUNT", overlay.MOUNT.replace("-t overlay", "-t no-overlay"))
    with pytest.raises(HostError, match="this machine's kernel mounts no overlays") as told:
        overlay.check(tmp_path)
    assert "merged: " in told.value.detail
    assert "modprobe overlay" in told.value.fix


def test_a_user_without_a_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 987654321)
    with pytest.raises(HostError, match="user id 987654321 has no name in /etc/passwd"):
        check()


@pytest.mark.parametrize(
    "content", [b"", b"suite: trixie\n", b"installed:\n", b"installed: [", bytes(300), b"installed: [caf\xe9]\n"]
)
def test_a_root_whose_manifest_is_damaged_is_not_made(tmp_path: Path, content: bytes) -> None:
    space = Workspace(tmp_path)
    path = space.cache.roots / manifest.key(ROOT) / "manifest.yml"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"installed: ['libc6:amd64=2.41-12']\n")
    assert manifest.made(ROOT, space) == path.with_name("rootfs")
    assert manifest.installed(ROOT, space) == ("libc6:amd64=2.41-12",)
    path.write_bytes(content)
    assert manifest.made(ROOT, space) is None
    with pytest.raises(RootError, match="was removed or damaged meanwhile"):
        manifest.installed(ROOT, space)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"overlays": [1]}', bytes(300), b"\xff"])
@pytest.mark.parametrize("file", ["entry.json", "image.json"])
def test_a_kept_root_whose_note_is_damaged_is_told_and_goes_with_the_next_run(
    tmp_path: Path, file: str, content: bytes
) -> None:
    space = Workspace(tmp_path)
    note = engine.failed_folder(space, "try/build") / file
    note.parent.mkdir(parents=True)
    note.write_bytes(content)
    with pytest.raises(RootError, match="the root of 'try/build' cannot be entered") as told:
        (engine if file == "entry.json" else kept).shell(space, "try/build")
    assert f"{note} is damaged" in told.value.detail
    assert "build again" in told.value.fix
    kept.forget(space, "try/build")
    assert not note.parent.exists()
