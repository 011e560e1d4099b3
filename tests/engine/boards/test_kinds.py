"""A whole rollout on boards of each suite: what their own apt, dpkg and sshd make of it."""

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from builders.apt.keys.signing import SigningKey, signing_key
from builders.apt.repository.layout import KEYRING
from builders.engines.roots import binfmt
from builders.host.log import Log
from builders.model.arch import AMD64, ARMHF, Architecture
from builders.model.settings import Settings
from builders.pipeline.project import Project
from tests.support.board_project import BoardProject, ReachedBoard, files, installed, version
from tests.support.light_board import light_board
from tests.support.repository import Publisher

NIGHTLY = pytest.mark.nightly
NEW_IS_BAD = "! dpkg -s demo | grep -q '^Version: 1.2'"
APT_1_8 = """#!/bin/sh
# The options of Mendel's apt-get (apt 1.8): it knows neither --error-on nor a time limit of locks.
case " $* " in
*' --version '*) echo 'apt 1.8.2.3 (amd64)'; exit ;;
*' --error-on'*) echo 'E: Command line option --error-on=any is not understood' >&2; exit 100 ;;
esac
exec /usr/bin/apt-get "$@" -o DPkg::Lock::Timeout=0
"""
MENDEL = """PRETTY_NAME="Mendel GNU/Linux 5 (Eagle)"
NAME="Mendel GNU/Linux"
ID=mendel
ID_LIKE=debian
VERSION_CODENAME=eagle
"""


@pytest.fixture(scope="session")
def other_key() -> Iterator[SigningKey]:
    """A key that signs nothing here."""
    with tempfile.TemporaryDirectory(prefix="rk", dir="/tmp", ignore_cleanup_errors=True) as folder:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("REEF_GNUPGHOME", f"{folder}/home")
            made = signing_key(Settings(), Log(quiet=True))
        yield made


Opened = Callable[[str, Architecture], AbstractContextManager[BoardProject]]


@pytest.fixture
def opened(publisher: Publisher, roots: Project, tmp_path: Path) -> Opened:
    """Opens a project with one trusted board of a suite, whose packages are published into ``published``."""

    @contextmanager
    def open_project(suite: str, architecture: Architecture) -> Iterator[BoardProject]:
        with light_board(roots, tmp_path / "one", suite=suite, architecture=architecture) as board:
            found = BoardProject(publisher, {"one": board}, {"reef_packages": ["demo"]}, suite=suite)
            found.trust()
            yield found

    return open_project


@pytest.mark.parametrize("suite", [
    pytest.param("bullseye", marks=NIGHTLY), "bookworm", pytest.param("trixie", marks=NIGHTLY),
])  # fmt: skip
def test_a_whole_rollout_on_each_suite(suite: str, opened: Opened, other_key: SigningKey) -> None:
    with opened(suite, AMD64) as project:
        whole_way(project, "amd64", other_key)


@NIGHTLY
def test_a_whole_rollout_with_the_options_of_apt_1_8(opened: Opened, other_key: SigningKey) -> None:
    """No mirror holds Mendel's own apt any more: bullseye's has the same options here, and reports faults in words."""
    with opened("bullseye", AMD64) as project:
        board = project.boards["one"]
        place(board, "/usr/local/bin/apt-get", APT_1_8)
        place(board, "/etc/os-release", MENDEL)
        published(project, "1.0-1", "amd64")
        output = project.inv("check-boards")
        assert "apt 1.8.2.3" in output
        assert "Mendel GNU/Linux 5 (Eagle) takes the packages of bullseye" in output
        whole_way(project, "amd64", other_key)


@NIGHTLY
def test_a_whole_rollout_on_a_32_bit_system_of_a_64_bit_kernel(opened: Opened, other_key: SigningKey) -> None:
    binfmt.ensure(ARMHF)
    with opened("trixie", ARMHF) as project:
        project.more["one"] = {"ansible_user": "root"}
        whole_way(project, "armhf", other_key)


def whole_way(project: BoardProject, architecture: str, other_key: SigningKey) -> None:
    """Install, upgrade, go back, and refuse a tampered repository and an unknown key."""
    board = project.boards["one"]
    published(project, "1.0-1", architecture)
    project.inv("install-boards")
    assert versions(board) == {"1.0-1"}
    assert board.shell("apt-mark showauto demo libdemo").split() == ["libdemo"]
    before = files(board)
    assert re.search(r"one +good +unchanged", project.inv("install-boards"))
    assert files(board) == before

    published(project, "1.1-1", architecture)
    project.inv("install-boards")
    assert versions(board) == {"1.1-1"}

    (project.folder / "gate.sh").write_text(NEW_IS_BAD)
    project.keys["reef_gate"] = "./gate.sh"
    published(project, "1.2-1", architecture)
    output = project.inv("install-boards", status=15)
    assert re.search(r"one +rolled-back +gate gate: status 1", output), output
    assert versions(board) == {"1.1-1"}

    published(project, "1.3-1", architecture)
    before = files(board)
    release = project.publisher.repository / "dists" / project.suite / "InRelease"
    with replaced(release, lambda content: content.replace(b"\nDate: ", b"\nDate:  ")):
        refused(project)
    with replaced(project.publisher.repository / KEYRING, lambda _: other_key.public):
        refused(project)
    assert files(board) == before
    project.inv("install-boards")
    assert versions(board) == {"1.3-1"}


def refused(project: BoardProject) -> None:
    output = project.inv("install-boards", status=15)
    assert re.search(r"one +failed +apt cannot read the repository", output), output
    assert versions(project.boards["one"]) == {"1.1-1"}


def versions(board: ReachedBoard) -> set[str]:
    found = installed(board)
    return {found["demo"], found["libdemo"]}


def published(project: BoardProject, number: str, architecture: str) -> None:
    project.publish(*version(project.publisher, number, architecture, Depends=f"libdemo (>= {number})"))


@contextmanager
def replaced(path: Path, change: Callable[[bytes], bytes]) -> Iterator[None]:
    """Let a file have another content; it is replaced, as earlier publications may be hard links to it."""
    path = path.resolve()
    content = path.read_bytes()
    assert change(content) != content
    path.unlink()
    path.write_bytes(change(content))
    yield
    path.write_bytes(content)


def place(board: ReachedBoard, path: str, content: str) -> None:
    """Put a program or a file into a board."""
    board.shell(f"rm -f {path}; cat >{path} <<'END'\n{content}END\nchmod 755 {path}")
