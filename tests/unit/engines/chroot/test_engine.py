"""What the chroot engine finds on this machine: disks that will not do, roots and notes that are damaged."""

import json
from pathlib import Path

import pytest

from builders.engines.buildx import failed as buildx_failed
from builders.engines.chroot import failed
from builders.engines.chroot.entry import ChrootEntry, Overlay
from builders.engines.roots import manifest
from builders.engines.roots.namespaces import check
from builders.errors import HostError, RootError
from builders.host.workspace import Workspace
from builders.model.arch import AMD64
from builders.model.jobs import Root

ROOT = Root("trixie", AMD64, AMD64, ())


def test_a_user_without_a_name_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_root_kept_before_entries_named_a_mirror_can_be_entered(tmp_path: Path) -> None:
    entry = ChrootEntry("/mnt", [Overlay("/", ["/root"], "/scratch")], {}, True, {}, "/work", "make")
    entry.write(tmp_path / "entry.json")
    kept = json.loads((tmp_path / "entry.json").read_text())
    del kept["mirror"]
    (tmp_path / "entry.json").write_text(json.dumps(kept))
    assert ChrootEntry.read(tmp_path / "entry.json") == entry


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"overlays": [1]}', bytes(300), b"\xff"])
@pytest.mark.parametrize("file", ["entry.json", "image.json"])
def test_a_kept_root_whose_note_is_damaged_is_reported_and_goes_with_the_next_run(
    tmp_path: Path, file: str, content: bytes
) -> None:
    space = Workspace(tmp_path)
    note = failed.folder(space, "try/build") / file
    note.parent.mkdir(parents=True)
    note.write_bytes(content)
    with pytest.raises(RootError, match="the root of 'try/build' cannot be entered") as caught:
        (failed if file == "entry.json" else buildx_failed).enter(space, "try/build")
    assert f"{note} is damaged" in caught.value.detail
    assert "build again" in caught.value.fix
    buildx_failed.forget(space, "try/build")
    assert not note.parent.exists()
