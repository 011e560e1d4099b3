"""For every test: the user's published repository is out of reach, and stays as it is."""

import os
from collections.abc import Iterator

import pytest

from tests import own

# Whatever a test runs finds no project, neither this checkout nor one that the user's shell names, unless it names one.
os.environ["REEF_FOLDER"] = own.NOWHERE
os.environ["REEF_TEST_CACHE"] = str(own.CACHE)
os.environ.pop("REEF_CACHE", None)


@pytest.fixture(scope="session", autouse=True)
def _published_stays() -> Iterator[None]:
    with own.untouched(own.PUBLISHED):
        yield
