"""The guard of the user's published repository, and the project that the acceptance test works in instead."""

import os
from pathlib import Path

import pytest

from builders.host.files import remove_tree
from tests.support import checkout


def add(folder: Path) -> None:
    (folder / "dists" / "new").write_text("new")


def rewrite(folder: Path) -> None:
    (folder / "dists" / "Release").write_text("there")
    os.utime(folder / "dists" / "Release", ns=(1, 1))


@pytest.mark.parametrize("touch", [add, rewrite, remove_tree])
def test_whatever_becomes_of_it_is_reported(tmp_path: Path, touch: object) -> None:
    assert callable(touch)
    folder = tmp_path / "apt"
    (folder / "dists").mkdir(parents=True)
    (folder / "dists" / "Release").write_text("there")
    with checkout.untouched(folder):
        (folder / "dists" / "Release").read_text()
    with pytest.raises(AssertionError, match="which no test may do"), checkout.untouched(folder):
        touch(folder)


def test_what_was_not_there_may_not_come(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="which no test may do"), checkout.untouched(tmp_path / "apt"):
        (tmp_path / "apt").mkdir()
