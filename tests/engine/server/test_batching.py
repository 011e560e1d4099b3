"""Batches in the running server: requests of many clients at the same time."""

import shutil
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support import tfs
from tests.support.model_server import EdgeClient, Load, ModelServer, refused, serving, until

CLIENTS = 16
PREDICT = "/v1/models/m:predict"
TEN_MINUTES = "batch_timeout_micros { value: 600000000 }"
"""Longer than any request lasts here: a batch runs because it is full."""
FULL = f"max_batch_size {{ value: {CLIENTS} }} {TEN_MINUTES}"


@pytest.fixture
def base(models: Path, tmp_path: Path) -> Path:
    """The base path of half_plus_two, of the test's own."""
    shutil.copytree(models / "half_plus_two", tmp_path / "model")
    return tmp_path / "model"


def flags(base: Path, parameters: str = "", *more: str) -> list[str]:
    """Return the flags for one model; each request that waits for its batch holds a thread."""
    words = [
        "--model_name=m",
        f"--model_base_path={base}",
        "--enable_batching",
        f"--rest_api_num_threads={2 * CLIENTS}",
    ]
    if parameters:
        path = base.parent / "batching.config"
        path.write_text(parameters)
        words.append(f"--batching_parameters_file={path}")
    return [*words, *more]


def ask(server: ModelServer, *values: float) -> list[float]:
    """Predict by REST and return the answer; the request must go well."""
    reply = server.request("POST", PREDICT, {"instances": list(values)})
    assert reply.status == 200, reply.body
    predictions: list[float] = reply.json["predictions"]
    return predictions


def ask_together(server: ModelServer) -> None:
    """Let each of the clients ask for a number of its own, at the same time."""
    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = list(clients.map(lambda number: ask(server, number), range(CLIENTS)))
    assert answers == [[number / 2 + 2] for number in range(CLIENTS)]


def test_requests_of_many_clients_are_joined_and_each_gets_its_own_answer(base: Path, tmp_path: Path) -> None:
    with serving(tmp_path, *flags(base, FULL)) as server:
        for _ in range(10):
            ask_together(server)
        metrics = server.request("GET", "/monitoring/prometheus/metrics").body.decode()
        name = ':tensorflow:serving:batching_session:queuing_latency_count{thread_pool_name="batch_threads"}'
        assert f"{name} {10 * CLIENTS}\n" in metrics


def test_calls_over_grpc_are_joined_too(base: Path, tmp_path: Path) -> None:
    """Each call holds a thread while it waits, and the next is read nonetheless."""

    def value(number: int) -> str:
        path = tmp_path / f"{number}.raw"
        path.write_bytes(struct.pack("<f", number))
        return str(path)

    with serving(tmp_path, *flags(base, FULL, f"--grpc_max_threads={2 * CLIENTS}")) as server:
        clients = [EdgeClient(server, "predict", "m", "--input", value(number)) for number in range(CLIENTS)]
        answers = [client.end() for client in clients]
    assert [code for code, _ in answers] == [0] * CLIENTS, answers
    assert [float(output.split()[-1]) for _, output in answers] == [number / 2 + 2 for number in range(CLIENTS)]


def test_a_request_alone_is_answered_at_once_by_default(base: Path, tmp_path: Path) -> None:
    with serving(tmp_path, *flags(base)) as server, tfs.Client(f"127.0.0.1:{server.grpc_port}") as client:
        assert ask(server, 1) == [2.5]
        tensors = {"x": {"values": [1.0, 2.0], "dtype": "float32"}}
        answer = client.call("Predict", {"model_spec": {"name": "m"}}, tensors)
        assert answer.tensors["y"]["values"] == [2.5, 3.0]


def test_a_wrong_request_fails_alone(base: Path, tmp_path: Path) -> None:
    with serving(tmp_path, *flags(base, FULL)) as server:
        with ThreadPoolExecutor(1) as other:
            wrong = other.submit(server.request, "POST", PREDICT, {"instances": [[1.0]]})
            ask_together(server)
        assert wrong.result().status == 400
        large = server.request("POST", PREDICT, {"instances": [1.0] * (CLIENTS + 1)})
        assert large.status == 400
        assert large.json == {"error": "Task size 17 is larger than maximum input batch size 16"}


def test_a_deadline_ends_the_wait_for_a_batch(base: Path, tmp_path: Path) -> None:
    with serving(tmp_path, *flags(base, FULL, "--rest_api_timeout_in_ms=100")) as server:
        reply = server.request("POST", PREDICT, {"instances": [1.0]})
        assert reply.status == 504
        assert "waited for its batch" in reply.json["error"]


def test_a_file_beside_the_model_says_whether_and_how_it_is_batched(base: Path, tmp_path: Path) -> None:
    (base / "2").mkdir()
    shutil.copy(base / "1" / "model.tflite", base / "2")
    (base / "2" / "batching_params.pbtxt").write_text(FULL)
    more = ["--enable_per_model_batching_parameters"]
    with serving(tmp_path, *flags(base, "thread_pool_name { value: 'shared' }", *more)) as server:
        ask_together(server)
        metrics = server.request("GET", "/monitoring/prometheus/metrics").body.decode()
        assert f'queuing_latency_count{{thread_pool_name="shared"}} {CLIENTS}\n' in metrics
    (base / "2" / "batching_params.pbtxt").write_text("max_batch_size: 4")
    code, output = refused(*flags(base, "", *more), "--max_num_load_retries=0")
    assert (code, "2/batching_params.pbtxt: line 1" in output) == (3, True), output


def test_versions_change_under_batches_without_a_failed_request(base: Path, tmp_path: Path) -> None:
    """Unloading waits for the requests that wait for their batch."""
    parameters = "max_batch_size { value: 3 } batch_timeout_micros { value: 2000 }"

    def gone(server: ModelServer, version: int) -> bool:
        return server.request("POST", f"/v1/models/m/versions/{version}:predict", {"instances": [1.0]}).status == 404

    with serving(tmp_path, *flags(base, parameters)) as server:
        with Load(server, PREDICT, {"instances": [1.0]}, {"predictions": [2.5]}) as load:
            for version in (2, 3):
                shutil.copytree(base / "1", tmp_path / "new")
                (tmp_path / "new").rename(base / str(version))
                until(lambda version=version: gone(server, version - 1))  # type: ignore[misc]
        assert load.wrong == []
