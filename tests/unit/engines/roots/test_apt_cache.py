"""The packages kept for apt: what was damaged since it came is told of and removed, everything else stays."""

from pathlib import Path

import pytest

from builders.engines.roots import apt_cache
from builders.host.log import Log
from builders.host.workspace import Workspace

QUIET = Log(quiet=True)


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    space = Workspace(tmp_path)
    with apt_cache.kept(space, QUIET) as folder:
        for name in ("one_1_all.deb", "two_1_all.deb"):
            (folder / name).write_bytes(name.encode())
    return space


def names(space: Workspace) -> list[str]:
    return sorted(path.name for path in (space.cache.mounts / "apt").iterdir())


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)


def test_a_damaged_package_goes_and_the_one_that_comes_anew_stays(
    space: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    path = space.cache.mounts / "apt" / "one_1_all.deb"
    damage(path)
    with apt_cache.kept(space, QUIET) as folder:
        assert names(space) == ["two_1_all.deb"]
        assert f"{path} is damaged" in capsys.readouterr().out.replace("\n", " ")
        (folder / "one_1_all.deb").write_bytes(b"as apt got it again")
    with apt_cache.kept(space, QUIET):
        assert names(space) == ["one_1_all.deb", "two_1_all.deb"]
    damage(path)
    with apt_cache.kept(space, QUIET):
        assert names(space) == ["two_1_all.deb"]


def test_what_apt_replaced_is_noted_again(space: Workspace) -> None:
    path = space.cache.mounts / "apt" / "one_1_all.deb"
    with apt_cache.kept(space, QUIET):
        path.write_bytes(b"another")
    with apt_cache.kept(space, QUIET):
        assert path.read_bytes() == b"another"


def test_what_a_use_that_failed_brought_is_taken_as_it_is(space: Workspace) -> None:
    path = space.cache.mounts / "apt" / "three_1_all.deb"

    def fail() -> None:
        with apt_cache.kept(space, QUIET):
            path.write_bytes(b"three")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    with apt_cache.kept(space, QUIET):
        assert path.exists()
    damage(path)
    with apt_cache.kept(space, QUIET):
        assert not path.exists()


@pytest.mark.parametrize("text", ["", "[1]", '{"one_1_all.deb": 3}', '{"one_1_all.deb": {"size": 1}}'])
def test_notes_that_cannot_be_read_are_made_again(space: Workspace, text: str) -> None:
    (space.cache.mounts / "apt.json").write_text(text)
    with apt_cache.kept(space, QUIET):
        assert names(space) == ["one_1_all.deb", "two_1_all.deb"]
    damage(space.cache.mounts / "apt" / "two_1_all.deb")
    with apt_cache.kept(space, QUIET):
        assert names(space) == ["one_1_all.deb"]
