"""The project of the README's two commands, in which all acceptance tests look."""

from collections.abc import Iterator

import pytest

from tests.support.stranger import Stranger, two_commands


@pytest.fixture(scope="package")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    with two_commands(tmp_path_factory.mktemp("elsewhere")) as made:
        yield made
