"""A disk that becomes full while dpkg unpacks: a file system of its own, with ext4's reserve for root."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.pipeline.project import Project
from tests.support.board_project import BoardProject, installed
from tests.support.light_board import LightBoard, light_board
from tests.support.repository import Publisher

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
ALMOST = """
free=$(df -Pk /var/tmp | awk 'NR == 2 {print $4}')
fallocate -l $((free - 150000))K /var/tmp/most
"""
"""Leaves room enough for every check."""
FILLS = """\
#!/bin/sh
[ "$1" = upgrade ] || exit 0
dd if=/dev/zero of=/var/tmp/full bs=1M 2>/dev/null
dd if=/dev/zero of=/var/tmp/rest bs=1k 2>/dev/null
sync
exit 0
"""
"""A preinst beside which something fills the disk, also the part that ext4 keeps for root."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with a small file system of its own."""
    image, folder = tmp_path / "image", tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["truncate", "-s", "900M", str(image)], check=True)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def board(disk: Path, roots: Project) -> Iterator[LightBoard]:
    with light_board(roots, disk / "board") as found:
        yield found


def publish(project: BoardProject, number: str, **scripts: str) -> None:
    """Publish versions of demo and of libdemo, which comes after it; ``scripts`` are libdemo's."""
    publisher, content = project.publisher, number * 4_000_000
    texts = {f"DEBIAN/{name}": text for name, text in scripts.items()}
    fields = {"Depends": f"libdemo (= {number})", "Installed-Size": str(len(content) // 1024)}
    project.publish(
        publisher.deb("demo", number, "amd64", fields=fields, content=content),
        publisher.deb("libdemo", number, "amd64", content=content, texts=texts),
    )


def test_a_board_goes_back_though_its_disk_stays_full(publisher: Publisher, board: LightBoard) -> None:
    project = BoardProject(publisher, {"one": board}, {"reef_packages": ["demo"]})
    project.trust()
    publish(project, "1.1-1")
    project.inv("install-boards")
    before = installed(board)
    publish(project, "1.2-1", preinst=FILLS)
    board.shell(ALMOST)
    output = project.inv("install-boards", status=15)
    assert re.search(r"one +rolled-back +apt failed: .*No space left on device", output), output
    assert int(board.shell("df -Pk /var/tmp | awk 'NR == 2 {print $4}'")) == 0
    assert installed(board) == before
    assert board.shell("dpkg --verify demo libdemo; dpkg --audit") == ""
    assert "Unpacking demo (1.2-1) over" in board.shell("cat /var/lib/reef/receipts/*/log")
