"""The examples of docs/recipes/edge-model-server.md, run as they stand there against a server with the digits model."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import tfs
from tests.support.checkout import CHECKOUT
from tests.support.model_server import ModelServer, serving

PAGE = CHECKOUT / "docs" / "recipes" / "edge-model-server.md"
DIGITS = CHECKOUT / "recipes" / "tensorflow-lite" / "files" / "digits"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "TF_CPP_MIN_LOG_LEVEL": "3", "HOME": "/nonexistent"}


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    folder = tmp_path_factory.mktemp("digits")
    version = folder / "models" / "1"
    version.mkdir(parents=True)
    shutil.copy(DIGITS / "digits.tflite", version / "model.tflite")
    with serving(folder, "--model_name=digits", f"--model_base_path={folder / 'models'}") as running:
        yield running


def run_example(language: str, server: ModelServer, *program: str | Path) -> str:
    """Run the page's block of a language with this server's ports and this checkout's digits; return its output."""
    [block] = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for then, now in (
        ("localhost:8500", f"127.0.0.1:{server.grpc_port}"), ("localhost:8501", f"127.0.0.1:{server.rest_port}"),
        ("/usr/share/tflite-tools/digits", str(DIGITS)),
    ):  # fmt: skip
        block = block.replace(then, now)
    done = subprocess.run(
        [*program, "-c", block], env=ENVIRONMENT, cwd="/", capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_digit_is_recognized_by_curl(digits: ModelServer) -> None:
    [output] = json.loads(run_example("sh", digits, "sh", "-eu"))["outputs"]
    assert output["data"].index(max(output["data"])) == 5


def test_the_digit_is_recognized_by_tensorflow_servings_client(digits: ModelServer) -> None:
    assert run_example("python", digits, tfs.python()) == "5\n"
