"""A board that sleeps while the repository's signing key is replaced."""

import hashlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.apt.keys.signing import signing_key
from builders.apt.repository.layout import KEYRING
from builders.host.log import Log
from builders.model.settings import Settings
from tests.support.board_project import BoardProject, ReachedBoard, installed, version
from tests.support.light_board import LightBoard
from tests.support.repository import Publisher

pytestmark = pytest.mark.nightly


@pytest.fixture
def own_key(tmp_path: Path, boards: dict[str, LightBoard], monkeypatch: pytest.MonkeyPatch) -> Iterator[BoardProject]:
    """Two boards with version 1.0, in a project whose key no other test has."""
    home = Path(tempfile.mkdtemp(prefix="rk", dir="/tmp"))  # a path short enough for gpg-agent's sockets
    monkeypatch.setenv("REEF_GNUPGHOME", str(home / "home"))
    folder = tmp_path / "project"
    folder.mkdir()
    publisher = Publisher(folder, signing_key(Settings(), Log(quiet=True)), Log(quiet=True))
    project = BoardProject(publisher, boards, {"reef_packages": ["demo"]})
    project.trust()
    project.publish(*version(publisher, "1.0-1"))
    project.inv("install-boards")
    yield project
    shutil.rmtree(home)


def keyring(board: ReachedBoard) -> str:
    return board.shell(f"sha256sum /usr/share/keyrings/{KEYRING}").split()[0]


def test_a_board_that_slept_while_the_key_was_replaced_gets_the_new_one(own_key: BoardProject) -> None:
    publisher, (one, two) = own_key.publisher, own_key.boards.values()
    old, before = publisher.key.fingerprint, keyring(two)
    own_key.inv("keys", "--rotate")
    own_key.inv("install-boards", "--board", "one")
    assert keyring(one) != before
    own_key.inv("keys", "--retire", old)
    publisher.key = signing_key(Settings(), Log(quiet=True))
    assert old not in publisher.key.fingerprints
    # apt keeps what it has where a publication is older.
    publisher.publish(*version(publisher, "1.1-1"), date=int(time.time()))

    output = own_key.inv("install-boards")
    assert "2 good" in output
    published = hashlib.sha256(publisher.keyring.read_bytes()).hexdigest()
    for board in (one, two):
        assert installed(board)["demo"] == "1.1-1"
        assert keyring(board) == published
