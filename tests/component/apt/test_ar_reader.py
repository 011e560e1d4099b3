"""Reading control data from .debs that nobody vouched for; dpkg-deb is the judge."""

import random
import subprocess
from pathlib import Path

import pytest

from builders.apt.indices.deb822 import BadControl, fields_of
from builders.apt.packages.ar_reader import BadArchive
from tests.support.hanging import ended_if_hung
from tests.support.repository import control_in, make_deb
from tests.unit.apt.test_ar_reader import refused


@pytest.mark.parametrize("compression", ["xz", "gzip", "none", "zstd"])
def test_reads_what_dpkg_reads(tmp_path: Path, compression: str) -> None:
    path = make_deb(tmp_path, compression=compression)
    judge = subprocess.run(["dpkg-deb", "--field", str(path)], check=True, capture_output=True).stdout
    assert fields_of(control_in(path)) == fields_of(judge)


def test_truncation_is_always_told(tmp_path: Path) -> None:
    whole = make_deb(tmp_path).read_bytes()
    for length in range(0, len(whole), 7):
        refused(tmp_path / "cut.deb", whole[:length])


def test_broken_bytes_never_hang_or_surprise(tmp_path: Path) -> None:
    whole = make_deb(tmp_path, compression="none").read_bytes()
    chance = random.Random(7)
    path = tmp_path / "broken.deb"
    with ended_if_hung():
        for _ in range(600):
            content = bytearray(whole)
            for _ in range(chance.randrange(1, 6)):
                content[chance.randrange(min(len(content), 3000))] = chance.randrange(256)
            path.write_bytes(content)
            try:
                fields_of(control_in(path))
            except (BadArchive, BadControl):
                continue
