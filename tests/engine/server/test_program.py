"""The model server's program: starts that are refused, faults while it runs, devices that fail."""

import contextlib
import json
import os
import re
import resource
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import native_server, tfs
from tests.support.dockers import certificates
from tests.support.fake_board import EDGE, EDGE_ANSWER, EDGE_ASKED, Board, workers
from tests.support.model_server import Load, ModelServer, Serve, config, refused, running, serving, until

HALF = "/v1/models/half_plus_two:predict"
ASKED = {"instances": [1.0, 2.0, 5.0]}
ANSWER = {"predictions": [2.5, 3.0, 4.5]}


@pytest.mark.parametrize(
    ("flags", "status", "text"),
    [
        pytest.param(["--model_nam=x"], 2, "--model_name", id="a flag that is misspelt"),
        pytest.param(["--use_alts_credentials"], 2, "use_alts_credentials", id="a flag of what is not here"),
        pytest.param(["--model_name=x", "--model_base_path=gs://bucket/x"], 2, "gs://bucket/x", id="a bucket"),
        pytest.param(["--model_name=x", "--model_base_path=/no/such"], 3, "/no/such", id="no base path"),
        pytest.param(["--model_config_file=/no/such"], 2, "/no/such", id="no configuration"),
        pytest.param(["--model_base_path=/tmp", "--ssl_config_file=/no/such"], 2, "/no/such", id="no certificates"),
        pytest.param(["--model_base_path=/tmp", "--batching_parameters_file=/x"], 2, "enable_batching", id="batching"),
        pytest.param(["--model_base_path=/tmp", "--port=70000"], 2, "port", id="no port"),
    ],
)  # fmt: skip
def test_a_start_that_cannot_go_well_says_why(flags: list[str], status: int, text: str) -> None:
    code, output = refused(*flags)
    assert (code, text in output) == (status, True), output


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("model_config_list { config { nam: 1 } }", "line 1", id="unknown field"),
        pytest.param("model_config_list {", "line", id="cut off"),
        pytest.param('custom_model_config { type_url: "x" }', "custom_model_config", id="custom"),
        pytest.param(
            'model_config_list { config { name: "a" base_path: "/b" model_platform: "tensorflow" }'
            ' config { name: "a" base_path: "/c" model_platform: "tensorflow" } }',
            "model a multiple times", id="a name twice",
        ),
        pytest.param(
            'model_config_list { config { name: "a" base_path: "/b" model_platform: "torch" } }', "torch", id="platform"
        ),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_refused_with_its_line(text: str, says: str, tmp_path: Path) -> None:
    path = config(tmp_path, text=text)
    for words in ([], ["--check-config"]):
        code, output = refused(f"--model_config_file={path}", *words)
        assert (code, says in output, str(path) in output) == (2, True, True), output


@pytest.mark.parametrize(
    ("model", "says"),
    [("cut", "model.tflite"), ("unknown_version", "ADD"), ("custom_operator", "Mystery"), ("edgetpu", "edgetpu")],
)
def test_a_model_that_cannot_run_is_named_with_its_reason(model: str, says: str, models: Path) -> None:
    code, output = refused(
        f"--model_name={model}", f"--model_base_path={models / model}", "--max_num_load_retries=0",
        "--start_timeout_seconds=20",
    )  # fmt: skip
    assert (code, says in output) == (3, True), output


@pytest.mark.parametrize("flag", ["--port", "--rest_api_port"])
def test_a_taken_port_is_said_before_models_are_loaded(flag: str, models: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        other = "--rest_api_port=0" if flag == "--port" else "--port=0"
        code, output = refused(f"{flag}={port}", other, f"--model_base_path={models / 'half_plus_two'}")
    assert (code, str(port) in output) == (4, True), output


def test_a_configuration_that_breaks_keeps_the_old_one_serving(models: Path, tmp_path: Path) -> None:
    path = config(tmp_path, ("half_plus_two", models / "half_plus_two"))
    flags = [f"--model_config_file={path}", "--model_config_file_poll_wait_seconds=1"]
    with serving(tmp_path, *flags) as server, Load(server, HALF, ASKED, ANSWER) as load:
        config(tmp_path, text="model_config_list {")
        until(lambda: "models.config" in server.log.read_text())
        assert server.request("GET", "/v1/models/int8").status == 404
        config(tmp_path, ("half_plus_two", models / "half_plus_two"), ("int8", models / "int8"))
        until(lambda: server.request("GET", "/v1/models/int8").status == 200)
    assert load.wrong == []


def test_versions_change_under_load_without_a_failed_request(serve: Serve, models: Path, tmp_path: Path) -> None:
    base = tmp_path / "half_plus_two"
    shutil.copytree(models / "half_plus_two", base)

    def served(server: ModelServer, version: int) -> bool:
        reply = server.request("GET", f"/v1/models/half_plus_two/versions/{version}")
        return reply.status == 200 and reply.json["model_version_status"][0]["state"] == "AVAILABLE"

    with serve(tmp_path, "--model_name=half_plus_two", f"--model_base_path={base}") as server:
        with Load(server, HALF, ASKED, ANSWER) as load:
            for version in range(2, 6):
                shutil.copytree(base / "1", tmp_path / "new")
                (tmp_path / "new").rename(base / str(version))
                until(lambda version=version: served(server, version))  # type: ignore[misc]
                until(lambda version=version: not served(server, version - 1))  # type: ignore[misc]
        assert load.wrong == []


def test_a_client_of_tensorflow_serving_changes_the_configuration(models: Path, tmp_path: Path) -> None:
    with (
        serving(tmp_path, "--model_name=half_plus_two", f"--model_base_path={models / 'half_plus_two'}") as server,
        tfs.Client(f"127.0.0.1:{server.grpc_port}") as client,
    ):

        def reload(**more: str) -> tfs.Answer:
            model = {"name": "int8", "base_path": str(models / "int8"), "model_platform": "tensorflow"} | more
            return client.call("HandleReloadConfigRequest", {"config": {"model_config_list": {"config": [model]}}})

        assert reload(base_path="gs://bucket/int8").code == "INVALID_ARGUMENT"
        assert server.request("POST", HALF, ASKED).json == ANSWER
        assert reload().code == "OK"
        assert server.request("GET", "/v1/models/int8").status == 200
        assert server.request("POST", HALF, ASKED).status == 404


def test_a_unix_socket_serves_too(serve: Serve, models: Path, tmp_path: Path) -> None:
    path = tmp_path / "grpc.socket"
    flags = ["--model_name=half_plus_two", f"--model_base_path={models / 'half_plus_two'}"]
    with serve(tmp_path, *flags, f"--grpc_socket_path={path}"), tfs.Client(f"unix:{path}") as client:
        answer = client.call(
            "Predict", {"model_spec": {"name": "half_plus_two"}}, {"x": {"values": [1.0], "dtype": "float32"}}
        )
    assert answer.tensors["y"]["values"] == [2.5]


def test_a_client_with_a_certificate_connects_by_tls(serve: Serve, models: Path, tmp_path: Path) -> None:
    made = certificates(tmp_path / "certificates")
    files = {"server_key": "server-key.pem", "server_cert": "server-cert.pem", "custom_ca": "ca.pem"}
    path = tmp_path / "ssl.config"
    lines = [f"{field}: {json.dumps((made / name).read_text())}" for field, name in files.items()]
    path.write_text("\n".join([*lines, "client_verify: true\n"]))
    flags = ["--model_name=half_plus_two", f"--model_base_path={models / 'half_plus_two'}"]
    keys = [made / name for name in ("ca.pem", "cert.pem", "key.pem")]
    request = {"model_spec": {"name": "half_plus_two"}}
    with serve(tmp_path, *flags, f"--ssl_config_file={path}") as server:
        address = f"127.0.0.1:{server.grpc_port}"
        with tfs.Client(address, *keys) as client:
            assert client.call("GetModelStatus", request).code == "OK"
        with tfs.Client(address) as stranger:
            assert stranger.call("GetModelStatus", request).code == "UNAVAILABLE"


def test_the_page_and_the_metrics_tell_of_requests(server: ModelServer) -> None:
    before = server.request("POST", HALF, ASKED)
    assert before.status == 200
    metrics = server.request("GET", "/monitoring/prometheus/metrics").body.decode()
    count = re.search(r':tensorflow:serving:request_count\{[^}]*model_name="half_plus_two"[^}]*\} (\d+)', metrics)
    assert count
    assert int(count[1]) >= 1
    page = server.request("GET", "/")
    assert page.headers["content-type"].startswith("text/html")
    assert "half_plus_two" in page.body.decode()


@pytest.fixture
def control_group() -> Iterator[Path]:
    """A control group below this process's own, which limits the memory to 300 MB."""
    lines = (line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines())
    paths = {controllers: path for _, controllers, path in lines}
    first = "memory" in paths  # else version 2 of control groups
    parent = Path(f"/sys/fs/cgroup/memory{paths['memory']}" if first else f"/sys/fs/cgroup{paths['']}")
    group = parent / f"reef-test-{os.urandom(3).hex()}"
    try:
        group.mkdir()
        (group / ("memory.limit_in_bytes" if first else "memory.max")).write_text("300000000")
    except OSError as error:
        with contextlib.suppress(OSError):
            group.rmdir()
        pytest.skip(f"no control group that limits memory can be made here: {error}")
    yield group
    group.rmdir()


def test_a_load_beyond_the_control_groups_memory_is_refused(models: Path, tmp_path: Path, control_group: Path) -> None:
    fits, large = tmp_path / "fits" / "1", tmp_path / "large" / "1"
    shutil.copytree(models / "half_plus_two" / "1", fits)
    large.mkdir(parents=True)
    with (large / "model.tflite").open("wb") as file:
        file.write((fits / "model.tflite").read_bytes())
        file.truncate(400_000_000)
    path = config(tmp_path, ("fits", fits.parent), ("large", large.parent))
    enter = ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(control_group / "cgroup.procs")]
    flags = [f"--model_config_file={path}", "--max_num_load_retries=0"]
    with running(ModelServer(flags, tmp_path, enter)) as server:
        assert server.request("POST", "/v1/models/fits:predict", ASKED).json == ANSWER
        [state] = server.request("GET", "/v1/models/large").json["model_version_status"]
        assert state["state"] == "END"
        said = "the model needs 381.5 MB, but of the 286.1 MB that the control group (MemoryMax=) permits, "
        assert said in state["status"]["error_message"]


def test_the_server_opens_as_many_files_as_it_may(models: Path, tmp_path: Path) -> None:
    enter = ["sh", "-c", 'ulimit -S -n 1024 && exec "$@"', "sh"]
    flags = ["--model_name=half_plus_two", f"--model_base_path={models / 'half_plus_two'}"]
    with running(ModelServer(flags, tmp_path, enter)) as server:
        metrics = server.request("GET", "/monitoring/prometheus/metrics").body.decode()
        [most] = re.findall(r"^process_max_fds (\S+)$", metrics, re.MULTILINE)
        assert int(float(most)) == resource.getrlimit(resource.RLIMIT_NOFILE)[1] > 1024


@pytest.mark.parametrize("model", ["edgetpu", "segments"])
@pytest.mark.parametrize("fault", ["kill", "fail 1000", "abort 1000"])
def test_a_device_that_fails_costs_no_request_where_another_is_there(
    fault: str, model: str, models: Path, tmp_path: Path
) -> None:
    board = Board(tmp_path / "devices", "usb:0", "usb:1")
    with serving(tmp_path, *board.flags(models, model), FAKE_EDGETPU=str(board.folder)) as server:
        until(lambda: len(workers(server)) == len(board.devices))
        with Load(server, f"/v1/models/{model}:predict", EDGE_ASKED, EDGE_ANSWER) as load:
            first = workers(server)[0]
            if fault == "kill":
                os.kill(first, signal.SIGKILL)
            else:
                board.set("usb:0", fault)
            answered = load.answered
            until(lambda: load.answered > answered + 200 or bool(load.wrong))
            board.set("usb:0", "ok 1000")
        assert load.wrong == []
        until(lambda: len(workers(server)) == len(board.devices))
    assert "usb:0" in server.log.read_text()


def test_the_page_says_where_each_segment_is(models: Path, tmp_path: Path) -> None:
    board = Board(tmp_path / "devices", "usb:0", "usb:1")
    with serving(tmp_path, *board.flags(models, "segments"), FAKE_EDGETPU=str(board.folder)) as server:
        page = server.request("GET", "/").body.decode()
    assert "segment 0 of 2 on usb:0" in page
    assert "segment 1 of 2 on usb:1" in page


def test_a_model_that_crashes_in_a_process_of_its_own_takes_nothing_down(models: Path, tmp_path: Path) -> None:
    listed = config(tmp_path, ("crashing", models / "crashing"), ("half_plus_two", models / "half_plus_two"))
    worker = native_server.bundle() / "bin" / "edge_model_worker"
    with serving(tmp_path, f"--model_config_file={listed}", f"--worker={worker}", "--isolate=always") as server:
        url = "/v1/models/crashing:predict"
        for _ in range(3):
            assert server.request("POST", url, {"inputs": [1]}).json == {"outputs": [0.0, 7.0, 0.0, 0.0]}
            crash = server.request("POST", url, {"inputs": [2**30]})
            assert crash.status == 503
            assert "the worker was killed by signal 11" in crash.json["error"]
            assert server.request("POST", HALF, ASKED).json == ANSWER
            until(lambda: server.request("POST", url, {"inputs": [1]}).status == 200)
    assert "device cpu:0 is out: the worker was killed by signal 11" in server.log.read_text()


@pytest.mark.parametrize("fallback", ["", "cpu_fallback: true"])
def test_a_place_that_the_server_does_not_have(fallback: str, models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "half_plus_two", tmp_path / "model")
    (tmp_path / "model" / "1" / "edge_model.pbtxt").write_text(f"place: DEVICE {fallback}")
    flags = ["--model_name=m", f"--model_base_path={tmp_path / 'model'}"]
    if not fallback:
        status, output = refused(*flags, "--max_num_load_retries=0")
        assert (status, "set --delegate and --device" in output) == (3, True), output
        return
    with serving(tmp_path, *flags) as server:
        metrics = server.request("GET", "/monitoring/prometheus/metrics").body.decode()
        page = server.request("GET", "/").body.decode()
    assert re.search(r'fallback\S*{[^}]*model_name="m"[^}]*} 1', metrics), metrics
    assert "the server has no device" in page
    assert "the CPU takes over" in server.log.read_text()


def test_without_any_device_the_model_is_unavailable_and_comes_back(models: Path, tmp_path: Path) -> None:
    board = Board(tmp_path / "devices", "usb:0")
    with serving(tmp_path, *board.flags(models), FAKE_EDGETPU=str(board.folder)) as server:
        assert server.request("POST", EDGE, EDGE_ASKED).json == EDGE_ANSWER
        (board.folder / "usb:0").unlink()
        until(lambda: server.request("POST", EDGE, EDGE_ASKED).status == 503)
        board.set("usb:0", "ok 1000")
        until(lambda: server.request("POST", EDGE, EDGE_ASKED).status == 200)
        assert server.request("POST", EDGE, EDGE_ASKED).json == EDGE_ANSWER
