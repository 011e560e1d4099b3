"""One Docker engine for all tests of this folder, which one process runs (tests/conftest.py)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import dockers
from tests.support.checkout import CACHE
from tests.support.dockers import Dockerd, There
from tests.support.place import Place, project_of_test


@pytest.fixture(scope="session")
def docker_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Docker's configuration and programs for the tests."""
    return dockers.configuration(tmp_path_factory.mktemp("docker") / "config")


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[Dockerd]:
    """One engine of Debian 12's for all tests: base and roots are made in it once."""
    made = Dockerd("bookworm")
    yield made
    made.remove()


@pytest.fixture
def there(place: Place, docker_engine: Dockerd, docker_config: Path) -> There:
    """A project that builds in the tests' engine."""
    made = There(place, dockers.environment(docker_engine, docker_config))
    made.settings(dockers.SETTINGS)
    return made


@pytest.fixture(scope="session")
def hello_in_docker(docker_engine: Dockerd, docker_config: Path) -> Iterator[tuple[There, str]]:
    """The miniature, built once by the engine that is chosen by itself, and what the run printed."""
    with project_of_test("hello-in-docker", CACHE) as made:
        there = There(made, dockers.environment(docker_engine, docker_config))
        there.settings(dockers.SETTINGS)
        yield there, there.run("build-arm")
