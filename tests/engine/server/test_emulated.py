"""The packaged server on emulated boards: the tests of the native server, with the same clients on this machine."""

from functools import partial

import pytest

from tests.engine.server.test_grpc_api import *  # noqa: F403 - the whole table, collected here too
from tests.engine.server.test_program import (  # noqa: F401 - the same
    test_a_client_with_a_certificate_connects_by_tls,
    test_a_unix_socket_serves_too,
    test_the_page_and_the_metrics_tell_of_requests,
    test_versions_change_under_load_without_a_failed_request,
)
from tests.engine.server.test_rest_api import *  # type: ignore[assignment] # noqa: F403 - both have a class Row
from tests.support import emulated_server
from tests.support.model_server import Serve


@pytest.fixture(scope="module", params=["arm64", pytest.param("armhf", marks=pytest.mark.nightly)])
def serve(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Serve:
    """How the packaged server is run: on a board of each CPU."""
    return partial(emulated_server.serving, emulated_server.Board(request.param), tmp_path_factory.getbasetemp())
