"""One real signing key for the session, and a publisher per test."""

import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from builders.apt.keys.signing import SigningKey, signing_key
from builders.host.log import Log
from builders.model.settings import Settings
from tests.support.repository import Publisher


def short_folder() -> Path:
    """Return a new folder with a path short enough for gpg-agent's sockets."""
    return Path(tempfile.mkdtemp(prefix="rk", dir="/tmp"))


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not wait for a busy machine's disk; what fsync adds cannot be seen without a power cut."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def said() -> io.StringIO:
    """Everything that the log prints."""
    return io.StringIO()


@pytest.fixture
def log(said: io.StringIO) -> Log:
    return Log(live=False, console=Console(file=said, width=400, highlight=False))


@pytest.fixture(scope="session")
def key() -> Iterator[SigningKey]:
    """A key made once; its home is removed at the end."""
    folder = short_folder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REEF_GNUPGHOME", str(folder / "home"))
        made = signing_key(Settings(), Log(quiet=True))
    yield made
    shutil.rmtree(folder)


@pytest.fixture
def publisher(tmp_path: Path, key: SigningKey, log: Log) -> Publisher:
    return Publisher(tmp_path, key, log)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty place for a GnuPG home of the test's own."""
    folder = short_folder()
    monkeypatch.setenv("REEF_GNUPGHOME", str(folder / "home"))
    yield folder / "home"
    shutil.rmtree(folder, ignore_errors=True)  # an agent that ends meanwhile takes its sockets along


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.nightly)], ids=["sampled", "complete"])
def complete(request: pytest.FixtureRequest) -> bool:
    """Tell whether a test that kills a run does so at every point, or at a sample of them."""
    return bool(request.param)
