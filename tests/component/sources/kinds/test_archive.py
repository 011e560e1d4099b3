"""Archives as GNU tar and zstd write them."""

import subprocess
from pathlib import Path

import pytest

from tests.support.sources import Bench

HOLE = 5_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a sparse file, a long path, a hard link, a name that is not UTF-8, and an old time."""
    top = tmp_path / "in/top"
    long = top / ("n" * 150) / ("m" * 150)
    long.mkdir(parents=True)
    (long / "deep").write_text("deep")
    with (top / "sparse").open("wb") as file:
        file.write(b"start")
        file.seek(HOLE)
        file.write(b"end")
    (top / "hard").hardlink_to(top / "sparse")
    Path(f"{top}/\udcff").write_text("odd")
    return top.parent


OPTIONS = {
    "gnu": ["--format=gnu", "--sparse", "--label=name"],
    "posix": ["--format=posix", "--sparse", "--zstd"],
    "old sparse": ["--format=posix", "--sparse", "--sparse-version=0.1", "--xz"],
    "long window": ["--format=gnu", "--use-compress-program=zstd --long=31 -19"],
}


@pytest.mark.parametrize("options", OPTIONS)
def test_archives_of_gnu_tar(bench: Bench, folder: Path, options: str) -> None:
    packed = bench.folder / "packed"
    subprocess.run(["tar", *OPTIONS[options], "-cf", str(packed), "-C", str(folder), "."], check=True)
    tree = bench.fetch_archive(packed.read_bytes(), strip=1).path
    content = (tree / "sparse").read_bytes()
    assert (len(content), content[:5], content[-3:], content.count(0)) == (HOLE + 3, b"start", b"end", HOLE - 5)
    assert (tree / "hard").read_bytes() == content
    assert (tree / ("n" * 150) / ("m" * 150) / "deep").read_text() == "deep"
    assert Path(f"{tree}/\udcff").read_text() == "odd"
