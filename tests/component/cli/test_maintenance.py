"""The front and what it leans on: schemas, host needs, binfmt, sizes."""

from pathlib import Path

import pytest

from builders.cli import maintenance
from builders.engines.roots import binfmt
from builders.errors import CheckError, HostError
from builders.model.arch import ARM64


def test_all_tools_run_and_those_that_fail_are_named(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with pytest.raises(CheckError, match="1 of 2 tools failed") as caught:
        maintenance.run_tools(["python", "-c", "exit(1)"], ["python", "-c", f"open({str(mark)!r}, 'w')"])
    assert caught.value.detail == "python -c exit(1)"
    assert mark.exists()
    with pytest.raises(HostError, match="no-such-tool is not installed"):
        maintenance.run_tools(["no-such-tool"])


def test_a_registry_that_cannot_be_mounted_is_reported_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("builders.host.process.find", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(binfmt, "MISC", tmp_path / "misc")
    (tmp_path / "misc").touch()  # mount(8) mounts over no file
    with pytest.raises(HostError, match="QEMU for arm64 cannot be registered with the kernel") as caught:
        binfmt.ensure(ARM64)
    assert "mount failed with status" in caught.value.detail
    assert "in a container, start the container with --privileged" in caught.value.fix
