"""A project with a signed repository, and light boards that install from it."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.apt.keys.signing import SigningKey, signing_key
from builders.host.log import Log
from builders.model.settings import Settings
from builders.pipeline.project import Project
from tests.support.board_project import ASKS, BoardProject, service, version
from tests.support.checkout import CACHE
from tests.support.light_board import LightBoard, light_board
from tests.support.repository import Publisher
from tests.support.virtual_board import TestedBoard, virtual_boards


@pytest.fixture(scope="session")
def key() -> Iterator[SigningKey]:
    """A key made once; its home is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="rk", dir="/tmp"))  # a path short enough for gpg-agent's sockets
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REEF_GNUPGHOME", str(folder / "home"))
        made = signing_key(Settings(), Log(quiet=True))
    yield made
    shutil.rmtree(folder)


@pytest.fixture
def publisher(tmp_path: Path, key: SigningKey) -> Publisher:
    folder = tmp_path / "project"
    folder.mkdir()
    return Publisher(folder, key, Log(quiet=True))


@pytest.fixture(scope="session")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose cache has the root of light boards."""
    folder = tmp_path_factory.mktemp("roots")
    (folder / "reef.yml").write_text(f"cache: {CACHE}\n")
    return Project.open(folder, Log(quiet=True), settings_alone=True)


@pytest.fixture(scope="session")
def running(roots: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, LightBoard]]:
    """Two boards that all tests of a process share."""
    folder = tmp_path_factory.mktemp("boards")
    with light_board(roots, folder / "one") as one, light_board(roots, folder / "two") as two:
        for board in (one, two):
            board.save()
        yield {"one": one, "two": two}


@pytest.fixture
def boards(running: dict[str, LightBoard]) -> dict[str, LightBoard]:
    """Two boards as they were at their first start."""
    for board in running.values():
        board.reset()
    return dict(running)


@pytest.fixture
def project(publisher: Publisher, boards: dict[str, LightBoard]) -> BoardProject:
    """Two boards with trusted keys, and a publication of version 1.0."""
    found = BoardProject(publisher, boards, {"reef_packages": ["demo"]}, canary="one")
    found.trust()
    found.publish(*version(publisher, "1.0-1"))
    return found


@pytest.fixture
def virtual_one(publisher: Publisher, roots: Project, tmp_path: Path) -> Iterator[BoardProject]:
    """A virtual board ``one`` with a trusted key, and a publication of the service ``answer`` 1.0-1."""
    with virtual_boards(roots, tmp_path / "virtual", ["one"]) as boards:
        yield _serving(publisher, boards)


@pytest.fixture
def virtual_two(publisher: Publisher, roots: Project, tmp_path: Path) -> Iterator[BoardProject]:
    """The same for the virtual boards ``one``, which is the canary, and ``two``."""
    with virtual_boards(roots, tmp_path / "virtual", ["one", "two"]) as boards:
        found = _serving(publisher, boards)
        found.canary = "one"
        yield found


def _serving(publisher: Publisher, boards: dict[str, TestedBoard]) -> BoardProject:
    (publisher.folder / "answers.sh").write_text(ASKS)
    # Under emulation everything takes longer than on a board.
    keys = {"reef_packages": ["answer"], "reef_service": "answer.service", "reef_gate": "./answers.sh",
            "reef_settle_s": 2, "reef_gate_timeout_s": 60}  # fmt: skip
    found = BoardProject(publisher, boards, keys)
    found.trust()
    found.publish(service(publisher, "1.0-1"))
    return found
