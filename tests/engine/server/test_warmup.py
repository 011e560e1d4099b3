"""Warm-up files that TensorFlow itself writes, loaded by the running server."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support import tfs
from tests.support.model_server import refused, serving

NAME = "assets.extra/tf_serving_warmup_requests"
PREDICT: dict[str, Any] = {
    "log": "predict_log",
    "request": {"model_spec": {"name": "a name of its writer"}},
    "tensors": {"x": {"values": [1.0, 2.0], "dtype": "float32"}},
}


@pytest.fixture
def base(models: Path, tmp_path: Path) -> Path:
    """The base path of a model of the test's own, with a folder for the file."""
    return copied(models / "half_plus_two", tmp_path)


def copied(model: Path, folder: Path) -> Path:
    """Copy a model's base path and make the folder for the file; return the copy."""
    shutil.copytree(model, folder / model.name)
    (folder / model.name / "1" / "assets.extra").mkdir()
    return folder / model.name


def write(base: Path, *requests: dict[str, Any]) -> Path:
    """Write the file with TensorFlow's writer and messages; return its path."""
    path = base / "1" / NAME
    program = [str(tfs.python()), str(tfs.FOLDER / "records.py"), str(path)]
    subprocess.run(program, input=json.dumps(requests), text=True, check=True, timeout=120, capture_output=True)
    return path


def refusal(base: Path) -> tuple[int, str]:
    """Start a server that must not come up; return its status and what it printed."""
    return refused("--model_name=m", f"--model_base_path={base}", "--max_num_load_retries=0")


def test_recorded_requests_run_before_the_version_is_available(models: Path, tmp_path: Path) -> None:
    base = copied(models / "serving_signatures", tmp_path)
    example = {"features": {"feature": {"inputs": {"float_list": {"value": [1.0]}}}}}
    examples = {"example_list": {"examples": [example]}}
    task = {"model_spec": {"name": "m", "signature_name": "regress"}, "method_name": "tensorflow/serving/regress"}
    write(
        base,
        PREDICT,
        {"log": "regress_log", "request": {"model_spec": task["model_spec"], "input": examples}},
        {"log": "multi_inference_log", "request": {"tasks": [task], "input": examples}},
    )
    flags = ["--model_name=m", f"--model_base_path={base}", "--num_request_iterations_for_warmup=2"]
    with serving(tmp_path, *flags) as server:
        assert "model m version 1: warm-up with 3 requests took" in server.log.read_text()
        metrics = server.request("GET", "/monitoring/prometheus/metrics").body.decode()
        labels = f'{{model_path="{base}/1",status="OK"}}'
        assert f":tensorflow:serving:model_warmup_latency_count{labels} 1\n" in metrics
        assert ":tensorflow:serving:request_count{" not in metrics  # nobody asked yet


def test_a_record_that_does_not_fit_the_model_is_named(base: Path, tmp_path: Path) -> None:
    path = write(base, PREDICT, PREDICT | {"tensors": {"x": {"values": [[1.0]], "dtype": "float32"}}})
    status, output = refusal(base)
    expected = f"{path}: record 2: input x has shape [1,1], but the model takes [?]"
    assert (status, expected in output) == (3, True), output
    with serving(tmp_path, "--model_name=m", f"--model_base_path={base}", "--enable_model_warmup=false") as server:
        assert "warm-up" not in server.log.read_text()


def test_a_file_that_is_cut_is_named(base: Path) -> None:
    path = write(base, PREDICT)
    path.write_bytes(path.read_bytes()[:-1])
    status, output = refusal(base)
    expected = f"{path}: record 1: truncated record at 0. Please verify your warmup data is in TFRecord format."
    assert (status, expected in output) == (3, True), output
