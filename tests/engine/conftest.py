"""Projects for the engine's tests: their roots are shared by all, and their builds where a test only needs one."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from builders.host.files import remove_tree
from tests.support.checkout import CACHE
from tests.support.place import Place, project_of_test


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A project of the test's own that shares roots and caches with the others."""
    with project_of_test(request.node.name, CACHE) as made:
        yield made


@pytest.fixture(scope="module")
def module_place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """One project for all tests of a module that only look."""
    with project_of_test(request.node.name, CACHE) as made:
        yield made


@pytest.fixture
def lonely_place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A project with empty caches."""
    with project_of_test(request.node.name, None) as made:
        yield made


@pytest.fixture
def machines(request: pytest.FixtureRequest) -> Iterator[Callable[[], Place]]:
    """Makes projects as on machines of their own: nothing compiled is shared, only what takes long to make or fetch."""
    with ExitStack() as stack:

        def machine() -> Place:
            for part in ("roots", "sources"):
                (CACHE / part).mkdir(parents=True, exist_ok=True)
            cache = Path(tempfile.mkdtemp(dir=CACHE.parent, prefix="cache-of-a-test."))  # parts share one disk
            stack.callback(remove_tree, cache)
            for part in ("roots", "sources"):
                (cache / part).symlink_to(CACHE / part)
            return stack.enter_context(project_of_test(request.node.name, cache))

        yield machine
