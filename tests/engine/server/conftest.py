"""A model server with the test models, and its clients."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import tfs
from tests.support.model_server import ModelServer, Serve, make_models, serving

MODELS_CONFIG = """
model_config_list {
  config { name: "half_plus_two" base_path: "%(models)s/half_plus_two" model_platform: "tensorflow"
           version_labels { key: "stable" value: 1 } }
  config { name: "two_versions" base_path: "%(models)s/two_versions" model_platform: "tensorflow"
           model_version_policy { specific { versions: 1 versions: 2 } }
           version_labels { key: "old" value: 1 } }
  %(rest)s
}
"""
REST = (
    "fixed_batch", "two_inputs", "two_signatures", "string_echo", "int8", "many_types", "scalar", "no_signature",
    "serving_signatures", "failing",
)  # fmt: skip


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test models in TensorFlow Serving's layout; two_versions has two of half_plus_two."""
    folder = make_models(tmp_path_factory.mktemp("models"))
    model = (folder / "half_plus_two" / "1" / "model.tflite").read_bytes()
    for version in ("1", "2"):
        place = folder / "two_versions" / version
        place.mkdir(parents=True)
        (place / "model.tflite").write_bytes(model)
    return folder


@pytest.fixture(scope="session")
def models_config(models: Path) -> Path:
    """A models.config of all test models that can be loaded."""
    rest = " ".join(
        f'config {{ name: "{name}" base_path: "{models / name}" model_platform: "tensorflow" }}' for name in REST
    )
    path = models / "models.config"
    path.write_text(MODELS_CONFIG % {"models": models, "rest": rest})
    return path


@pytest.fixture(scope="session")
def serve() -> Serve:
    """How a test runs its server. Tests that take this run with the packaged server too (test_emulated.py)."""
    return serving


@pytest.fixture(scope="module")
def server(serve: Serve, models_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """A server with all test models, shared by the tests of a module."""
    with serve(tmp_path_factory.mktemp("server"), f"--model_config_file={models_config}") as running:
        yield running


@pytest.fixture(scope="module")
def client(server: ModelServer) -> Iterator[tfs.Client]:
    """TensorFlow's own client, connected to the server."""
    with tfs.Client(f"127.0.0.1:{server.grpc_port}") as connected:
        yield connected
