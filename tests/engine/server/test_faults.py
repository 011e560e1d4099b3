"""Faults around the model server's program: disk, log, clock, memory, certificates, signals, systemd, clients."""

import contextlib
import errno
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import native_server
from tests.support.fake_board import EDGE, EDGE_ANSWER, EDGE_ASKED, Board, workers
from tests.support.model_server import EdgeClient, Load, ModelServer, Reply, config, refused, serving, until

HALF = "/v1/models/half_plus_two:predict"
ASKED = {"instances": [1.0, 2.0, 5.0]}
ANSWER = {"predictions": [2.5, 3.0, 4.5]}
ONE = {"instances": [[0.0, 2.0, 4.0, 6.0]]}
ONE_ANSWER = {"predictions": [[2.0, 3.0, 4.0, 5.0]]}


def half(models: Path) -> list[str]:
    return ["--model_name=half_plus_two", f"--model_base_path={models / 'half_plus_two'}"]


def copied(models: Path, folder: Path) -> Path:
    """Return a base path of half_plus_two that a test may change."""
    return Path(shutil.copytree(models / "half_plus_two", folder / "half_plus_two"))


def add_version(base: Path, version: int) -> None:
    """Add a version of the model as people do: beside it, then by a rename."""
    fresh = base.with_name("fresh")
    shutil.copytree(base / "1", fresh)
    fresh.rename(base / str(version))


def serves(server: ModelServer, version: int, name: str = "half_plus_two") -> bool:
    reply = server.request("GET", f"/v1/models/{name}/versions/{version}")
    return reply.status == 200 and reply.json["model_version_status"][0]["state"] == "AVAILABLE"


class Requests:
    """Requests over HTTP at the same time, each by a thread of its own."""

    def __init__(self, server: ModelServer, count: int, target: str, body: dict[str, Any]) -> None:
        self.replies: list[Reply | OSError] = []
        self._threads = [
            threading.Thread(target=self._run, args=(server, target, body), daemon=True) for _ in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, server: ModelServer, target: str, body: dict[str, Any]) -> None:
        try:
            self.replies.append(server.request("POST", target, body))
        except OSError as error:
            self.replies.append(error)

    def end(self) -> list[Reply | OSError]:
        for thread in self._threads:
            thread.join(60)
        return self.replies


def connected(server: ModelServer, port: int) -> int:
    """Return how many connections to a port of the server are established."""
    tables = [Path(f"/proc/{server.process.pid}/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table]
    return sum(1 for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "01")


def waiting(server: ModelServer) -> int:
    """Return how many requests over HTTP are not answered yet: each has a connection of its own."""
    return connected(server, server.rest_port)


# --- Disk and log ---

READ_ONLY = (
    "unshare", "--mount", "sh", "-c",
    'for place in / /tmp /var/tmp; do mountpoint -q "$place" || continue;'
    ' mount -o remount,bind,ro "$place" || exit 9; done; exec "$@"', "sh",
)  # fmt: skip
"""Runs a program that sees a read-only disk."""


def test_a_read_only_disk_is_enough(models: Path, tmp_path: Path) -> None:
    base = copied(models, tmp_path)
    flags = ["--model_name=half_plus_two", f"--model_base_path={base}"]
    with serving(tmp_path, *flags, within=READ_ONLY) as server:
        for place in ("/", "/tmp/"):
            with pytest.raises(OSError, match="Read-only") as failure:
                Path(f"/proc/{server.process.pid}/root{place}probe").touch()
            assert failure.value.errno == errno.EROFS
        assert server.request("POST", HALF, ASKED).json == ANSWER
        add_version(base, 2)
        until(lambda: serves(server, 2))
        assert server.request("POST", HALF, ASKED).json == ANSWER


def test_a_full_disk_under_the_log_stops_nothing(models: Path, tmp_path: Path) -> None:
    base = copied(models, tmp_path)
    flags = ["--model_name=half_plus_two", f"--model_base_path={base}"]
    within = ("sh", "-c", 'exec "$@" >/dev/full 2>&1', "sh")
    with serving(tmp_path, *flags, within=within) as server, Load(server, HALF, ASKED, ANSWER) as load:
        add_version(base, 2)
        until(lambda: serves(server, 2) and not serves(server, 1))
    assert load.wrong == []


def test_a_model_that_is_overwritten_while_it_is_served_changes_nothing(models: Path, tmp_path: Path) -> None:
    """As ``cp`` and ``scp`` do: into the same file, which is cut first."""
    base = copied(models, tmp_path)
    board = Board(tmp_path / "devices", "usb:0")
    edge = Path(shutil.copytree(models / "edgetpu", tmp_path / "edgetpu"))
    file = config(tmp_path, ("half_plus_two", base), ("edgetpu", edge))
    flags = [flag for flag in board.flags(models) if not flag.startswith("--model_")]
    flags.append(f"--model_config_file={file}")
    with serving(tmp_path, *flags, FAKE_EDGETPU=str(board.folder)) as server, Load(server, HALF, ASKED, ANSWER) as load:
        for path in (*base.rglob("*.tflite"), *edge.rglob("*.tflite")):
            path.write_bytes(b"TFL3" * 8)
        assert server.request("POST", EDGE, EDGE_ASKED).json == EDGE_ANSWER
        [worker] = workers(server)
        os.kill(worker, signal.SIGKILL)
        until(lambda: workers(server) not in ([], [worker]))
        until(lambda: server.request("POST", EDGE, EDGE_ASKED).status == 200)
        assert server.request("POST", EDGE, EDGE_ASKED).json == EDGE_ANSWER
    assert load.wrong == []


def test_a_log_that_nobody_reads_stops_nothing(models: Path, tmp_path: Path) -> None:
    """Not the requests, not the devices' restart, not the end in order."""
    pipe = tmp_path / "log"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    board = Board(tmp_path / "devices", "usb:0", "usb:1")
    within = ("sh", "-c", f'exec "$@" >{pipe} 2>&1', "sh")
    with serving(tmp_path, *board.flags(models), within=within, FAKE_EDGETPU=str(board.folder)) as server:
        until(lambda: len(workers(server)) == 2)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b"x" * 512)
        with Load(server, EDGE, EDGE_ASKED, EDGE_ANSWER) as load:
            first = workers(server)
            os.kill(first[0], signal.SIGKILL)
            until(lambda: len(workers(server)) == 2 and first[0] not in workers(server))
            os.kill(first[1], signal.SIGKILL)
            until(lambda: len(workers(server)) == 2 and not set(first) & set(workers(server)))
            assert load.wrong == []
    os.close(reader)
    os.close(writer)


def test_what_is_loaded_stays_while_its_folder_is_gone(models: Path, tmp_path: Path) -> None:
    base = copied(models, tmp_path)
    flags = ["--model_name=half_plus_two", f"--model_base_path={base}"]
    with serving(tmp_path, *flags) as server, Load(server, HALF, ASKED, ANSWER) as load:
        base.rename(tmp_path / "away")
        until(lambda: str(base) in server.log.read_text())
        (tmp_path / "away").rename(base)
        add_version(base, 2)
        until(lambda: serves(server, 2))
    assert load.wrong == []


# --- The clock ---


class DayClock:
    """The time of day of programs that have ``environment``: ``set`` moves it away from the true one."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.set(0)
        library = native_server.bundle() / "lib" / "libclock_jump.so"
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_JUMP": str(self._file)}

    def set(self, seconds: int) -> None:
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("=q", seconds))


YEAR = 365 * 24 * 3600
JUMPS = (3600, -3600, 20 * YEAR, -5 * YEAR, 0)
LEAST_ANSWERS = 100


def metric_sum(server: ModelServer, name: str) -> float:
    text = server.request("GET", "/monitoring/prometheus/metrics").body.decode()
    return sum(float(value) for value in re.findall(rf"^:tensorflow:serving:{name}_sum.* (\S+)$", text, re.MULTILINE))


def test_a_clock_that_jumps_fails_no_request_and_spoils_no_figure(models: Path, tmp_path: Path) -> None:
    base = copied(models, tmp_path)
    path = config(tmp_path, ("half_plus_two", base), ("fixed_batch", models / "fixed_batch"))
    clock = DayClock(tmp_path)
    rows = {"instances": [[1.0, 2.0, 3.0, 4.0]] * 50}
    answer = {"predictions": [[2.5, 3.0, 3.5, 4.0]] * 50}
    started = time.monotonic()
    with serving(tmp_path, f"--model_config_file={path}", **clock.environment) as server:
        assert _seen_year(server) == time.gmtime().tm_year
        with Load(server, HALF, ASKED, ANSWER) as load, Load(server, rows_of("fixed_batch"), rows, answer) as long:
            for version, jump in enumerate(JUMPS, 2):
                clock.set(jump)
                assert abs(_seen_year(server) - time.gmtime(time.time() + jump).tm_year) <= 1
                enough = load.answered + LEAST_ANSWERS, long.answered + LEAST_ANSWERS
                end = time.monotonic() + 60
                while load.answered < enough[0] or long.answered < enough[1]:  # many jumps, as requests are short
                    assert time.monotonic() < end
                    clock.set(0)
                    clock.set(jump)
                add_version(base, version)
                until(lambda version=version: serves(server, version))  # type: ignore[misc]
                code, output = EdgeClient(server, "predict", "half_plus_two", timeout_s=10).end()
                assert code == 0, output
        assert load.wrong + long.wrong == []
        took_us = (time.monotonic() - started) * 1e6
        for name in ("request_latency", "runtime_latency"):
            assert 0 < metric_sum(server, name) < 8 * took_us, name
        up = re.search(r"up (?:(\d+) min )?(\d+) s", server.request("GET", "/").body.decode())
        assert up
        assert int(up[1] or 0) * 60 + int(up[2]) <= took_us / 1e6 + 1


def rows_of(model: str) -> str:
    return f"/v1/models/{model}:predict"


def _seen_year(server: ModelServer) -> int:
    """Return the year of the server's header Date."""
    return int(server.request("GET", "/v2/health/live").headers["date"].split()[3])


def test_a_clock_that_jumps_ends_no_wait_for_a_device(models: Path, tmp_path: Path) -> None:
    board = Board(tmp_path / "devices", "usb:0")
    clock = DayClock(tmp_path)
    environment = {**clock.environment, "FAKE_EDGETPU": str(board.folder)}
    with serving(tmp_path, *board.flags(models), "--rest_api_timeout_in_ms=20000", **environment) as server:
        board.set("usb:0", "ok 1000000")
        for jump in JUMPS:
            asked = Requests(server, 3, EDGE, ONE)
            until(lambda: waiting(server) == 3)
            clock.set(jump)
            assert [reply.json for reply in asked.end() if isinstance(reply, Reply)] == [ONE_ANSWER] * 3
        # A deadline passes in its time, not in the clock's.
        board.set("usb:0", "ok 1500000")
        calls = [
            EdgeClient(server, "predict", "edgetpu", timeout_s=1),
            EdgeClient(server, "predict", "edgetpu", timeout_s=1),
        ]
        clock.set(-YEAR)
        start = time.monotonic()
        assert all(code == 3 and "DEADLINE" in output for code, output in (call.end() for call in calls))
        assert time.monotonic() - start < 10
        board.set("usb:0", "ok 1000")


# --- Memory ---


def test_a_model_that_no_memory_holds_is_refused_with_the_figure(models: Path, tmp_path: Path) -> None:
    path = config(tmp_path, ("half_plus_two", models / "half_plus_two"))
    flags = [f"--model_config_file={path}", "--model_config_file_poll_wait_seconds=1", "--max_num_load_retries=0"]
    with serving(tmp_path, *flags) as server, Load(server, HALF, ASKED, ANSWER) as load:
        config(tmp_path, ("half_plus_two", models / "half_plus_two"), ("giant", models / "giant"))
        until(lambda: server.request("GET", "/v1/models/giant").status == 200)
        until(lambda: _state(server, "giant")["state"] == "END")
        error = _state(server, "giant")["status"]
        assert error["error_code"] == "RESOURCE_EXHAUSTED"
        assert re.search(r"\d{6} MB", error["error_message"]), error
    assert load.wrong == []


def _state(server: ModelServer, model: str) -> dict[str, Any]:
    found: dict[str, Any] = server.request("GET", f"/v1/models/{model}").json["model_version_status"][0]
    return found


def test_out_of_memory_in_a_request_is_its_error_alone(models: Path, tmp_path: Path) -> None:
    """A limit of the process' address space stands for a board without memory."""
    path = config(tmp_path, ("half_plus_two", models / "half_plus_two"), ("broad", models / "broad"))
    with serving(tmp_path, f"--model_config_file={path}", within=("prlimit", f"--as={3 << 30}")) as server:
        body = b'{"instances":[' + b"1," * (1 << 20) + b"1]}"
        for _ in range(3):  # more often than there are interpreters
            reply = server.request("POST", "/v1/models/broad:predict", body)
            assert (reply.status, "4104 MB" in reply.json["error"]) == (429, True), reply
        few = server.request("POST", "/v1/models/broad:predict", {"instances": [1.5]})
        assert few.json == {"predictions": [[1.5] * 1024]}
        assert server.request("POST", HALF, ASKED).json == ANSWER


# --- Certificates ---


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with good.key, good.pem, other.key and old.pem, which has expired."""
    folder = tmp_path_factory.mktemp("certificates")
    for name, days in (("good", "2"), ("other", "2")):
        words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x"]
        files = ["-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", days]
        subprocess.run(["openssl", *words, *files], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize(
    ("files", "more", "says"),
    [
        pytest.param("other.key good.pem", "", "does not belong to server_cert", id="another's key"),
        pytest.param("good.pem good.pem", "", "server_key", id="no key"),
        pytest.param("good.key good.key", "", "server_cert", id="no certificate"),
        pytest.param("good.key good.pem", "client_verify: true", "custom_ca", id="no authority"),
        pytest.param("good.key good.pem", 'custom_ca: "x"', "custom_ca", id="a broken authority"),
        pytest.param("good.key good.pem", 'serverkey: "x"', "line 3", id="an unknown field"),
    ],
)  # fmt: skip
def test_wrong_certificates_are_refused_before_models_load(
    files: str, more: str, says: str, certificates: Path, tmp_path: Path
) -> None:  # fmt: skip
    key, certificate = files.split()
    quoted = {name: (certificates / name).read_text().replace("\n", "\\n") for name in (key, certificate)}
    path = tmp_path / "ssl.config"
    path.write_text(f'server_key: "{quoted[key]}"\nserver_cert: "{quoted[certificate]}"\n{more}\n')
    code, output = refused("--model_base_path=/no/such", f"--ssl_config_file={path}")
    assert (code, says in output, str(path) in output) == (2, True, True), output


# --- The end ---


def test_what_was_accepted_is_answered_before_the_end(models: Path, tmp_path: Path) -> None:
    board = Board(tmp_path / "devices", "usb:0", "usb:1")
    with serving(tmp_path, *board.flags(models), FAKE_EDGETPU=str(board.folder)) as server:
        until(lambda: len(workers(server)) == 2)
        for device in board.devices:
            board.set(device, "ok 5000000")  # until all others wait
        board.start_journal()
        calls = [EdgeClient(server, "predict", "edgetpu") for _ in board.devices]
        until(lambda: board.has_begun(len(calls)))
        for device in board.devices:
            board.set(device, "ok 100000")
        asked = Requests(server, 12, EDGE, ONE)
        until(lambda: waiting(server) == 12)
        os.kill(server.process.pid, signal.SIGTERM)
        until(lambda: "stopping" in server.log.read_text())
        assert [reply.json for reply in asked.end() if isinstance(reply, Reply)] == [ONE_ANSWER] * 12
        assert [call.end()[0] for call in calls] == [0, 0]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.rest_port))
        assert server.process.wait(timeout=20) == 0


def test_no_request_fails_while_servers_take_turns(models: Path, tmp_path: Path) -> None:
    """Each request is made on a connection of its own, as clients do behind a proxy that looks at the health."""
    with serving(tmp_path, *half(models)) as server:
        replies: list[object] = []
        stopped = threading.Event()

        def ask() -> None:
            while not stopped.is_set():
                try:
                    replies.append(server.request("POST", HALF, ASKED).json)
                except ConnectionRefusedError:
                    return
                except OSError as error:
                    replies.append(error)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        until(lambda: len(replies) > 50)
        assert server.stop() == 0
        stopped.set()
        for thread in threads:
            thread.join(60)
        assert [reply for reply in replies if reply != ANSWER] == []


def test_a_device_that_hangs_does_not_hold_up_the_end(models: Path, tmp_path: Path) -> None:
    board = Board(tmp_path / "devices", "usb:0")
    flags = [*board.flags(models), "--shutdown_grace_seconds=1"]
    with serving(tmp_path, *flags, FAKE_EDGETPU=str(board.folder)) as server:
        board.set("usb:0", "hang 0")
        asked = Requests(server, 2, EDGE, ONE)
        until(lambda: waiting(server) == 2)
        children = workers(server)
        start = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - start < 15
        assert all(isinstance(reply, OSError) or reply.status == 503 for reply in asked.end())
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))


def test_a_second_signal_ends_at_once(models: Path, tmp_path: Path) -> None:
    board = Board(tmp_path / "devices", "usb:0")
    server = ModelServer(board.flags(models), tmp_path, FAKE_EDGETPU=str(board.folder))
    try:
        server.wait_until_ready()
        board.set("usb:0", "ok 1900000")
        asked = Requests(server, 8, EDGE, ONE)
        until(lambda: waiting(server) == 8)
        children = workers(server)
        os.kill(server.process.pid, signal.SIGTERM)
        until(lambda: "stopping" in server.log.read_text())
        os.kill(server.process.pid, signal.SIGTERM)
        assert server.process.wait(timeout=5) == -signal.SIGTERM
        asked.end()
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))
    finally:
        server.process.kill()
        server.process.wait()


# --- Start ---


def damaged(folder: Path) -> Path:
    """Return a base path whose model cannot be loaded."""
    path = folder / "damaged" / "1" / "model.tflite"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\0\0\0\0TFL3")
    return path.parents[1]


def test_a_signal_ends_a_server_whose_models_still_load(tmp_path: Path) -> None:
    server = ModelServer(["--model_name=m", f"--model_base_path={damaged(tmp_path)}"], tmp_path)
    try:
        until(lambda: "next try in 1m" in server.log.read_text())
        server.process.terminate()
        assert server.process.wait(timeout=30) == -signal.SIGTERM
    finally:
        server.process.kill()
        server.process.wait()


def test_no_thread_of_a_start_takes_the_signal_that_ends_the_server(models: Path, tmp_path: Path) -> None:
    """A thread that did not block it would end the server in the middle of requests. The main thread waits for it."""
    broken = damaged(tmp_path)
    listed = [(f"damaged{i}", broken) for i in range(40)]
    file = config(tmp_path, ("half_plus_two", models / "half_plus_two"), *listed)
    with serving(tmp_path, f"--model_config_file={file}", "--num_load_threads=16") as server:
        tasks = Path(f"/proc/{server.process.pid}/task")
        others = [task for task in tasks.iterdir() if task.name != str(server.process.pid)]
        assert others
        for task in others:
            status = (task / "status").read_text()
            [blocked] = re.findall(r"^SigBlk:\s+(\w+)$", status, re.MULTILINE)
            assert int(blocked, 16) & 1 << (signal.SIGTERM - 1), status


def test_a_damaged_model_beside_a_good_one_delays_nothing(models: Path, tmp_path: Path) -> None:
    file = config(tmp_path, ("half_plus_two", models / "half_plus_two"), ("damaged", damaged(tmp_path)))
    with serving(tmp_path, f"--model_config_file={file}") as server:
        assert server.request("POST", HALF, ASKED).json == ANSWER
        log = server.log.read_text()
        assert "models available: 1 of 2" in log
        assert "the ports open all the same" not in log, "it waited for the retry"


# --- systemd ---


@contextlib.contextmanager
def systemd(folder: Path) -> Iterator[socket.socket]:
    """Make the socket that a service of Type=notify writes to."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(folder / "notify"))
        notify.settimeout(30)
        yield notify


def told(notify: socket.socket, text: str) -> list[str]:
    """Return the messages up to the first with ``text``."""
    messages = [notify.recv(4096).decode()]
    while text not in messages[-1]:
        messages.append(notify.recv(4096).decode())
    return messages


def drained(notify: socket.socket) -> list[str]:
    """Return the messages that have come."""
    notify.setblocking(False)
    messages = []
    with contextlib.suppress(BlockingIOError):
        while True:
            messages.append(notify.recv(4096).decode())
    notify.settimeout(30)
    return messages


def test_systemd_hears_of_start_life_and_end(models: Path, tmp_path: Path) -> None:
    with systemd(tmp_path) as notify:
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        with serving(tmp_path, *half(models), **environment) as server:
            before = told(notify, "READY=1")
            assert not any("WATCHDOG=1" in message for message in before)
            assert "1 of 1" in before[-1]
            for _ in range(3):
                told(notify, "WATCHDOG=1")
            # A process that does not run sends nothing: systemd restarts it.
            os.kill(server.process.pid, signal.SIGSTOP)
            until(lambda: Path(f"/proc/{server.process.pid}/stat").read_text().split()[2] == "T")
            drained(notify)
            notify.settimeout(0.5)
            with pytest.raises(TimeoutError):
                notify.recv(4096)
            notify.settimeout(30)
            os.kill(server.process.pid, signal.SIGCONT)
            told(notify, "WATCHDOG=1")
            server.stop()
            assert not any("READY=1" in message for message in told(notify, "STOPPING=1"))


# --- Too many requests, late requests, clients that go ---


def test_a_full_queue_refuses_over_rest_and_grpc(models: Path, tmp_path: Path) -> None:
    board = Board(tmp_path / "devices", "usb:0")
    flags = [*board.flags(models), "--queue=2", "--rest_api_num_threads=16"]
    with serving(tmp_path, *flags, FAKE_EDGETPU=str(board.folder)) as server:
        board.set("usb:0", "ok 1000000")
        board.start_journal()
        first = Requests(server, 1, EDGE, ONE)
        until(board.has_begun)
        asked = Requests(server, 7, EDGE, ONE)
        until(lambda: waiting(server) <= 3)
        code, output = EdgeClient(server, "predict", "edgetpu").end()
        replies = [reply for reply in [*first.end(), *asked.end()] if isinstance(reply, Reply)]
        assert sorted(reply.status for reply in replies) == [200] * 3 + [429] * 5
        assert all(reply.json == ONE_ANSWER for reply in replies if reply.status == 200)
        assert all("2 runs wait" in reply.json["error"] for reply in replies if reply.status == 429)
        assert (code, "RESOURCE_EXHAUSTED: edgetpu" in output) == (4, True), output
        assert server.request("POST", EDGE, ONE).json == ONE_ANSWER


def test_a_late_answer_is_an_error_in_time(models: Path, tmp_path: Path) -> None:
    board = Board(tmp_path / "devices", "usb:0")
    flags = [*board.flags(models), "--rest_api_timeout_in_ms=300"]
    with serving(tmp_path, *flags, FAKE_EDGETPU=str(board.folder)) as server:
        board.set("usb:0", "ok 1500000")
        reply = server.request("POST", EDGE, ONE)
        assert (reply.status, "in time" in reply.json["error"]) == (504, True), reply
        code, output = EdgeClient(server, "predict", "edgetpu", timeout_s=1).end()
        assert (code, "DEADLINE_EXCEEDED" in output) == (3, True), output
        board.set("usb:0", "ok 1000")
        until(lambda: server.request("POST", EDGE, ONE).status == 200)


def open_files(server: ModelServer) -> int:
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def test_clients_that_go_leave_nothing_behind(models: Path, tmp_path: Path) -> None:
    request = b"POST /v1/models/edgetpu:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    body = b'{"instances": [[0.0, 2.0, 4.0, 6.0]]}'
    board = Board(tmp_path / "devices", "usb:0")
    with serving(tmp_path, *board.flags(models), FAKE_EDGETPU=str(board.folder)) as server:
        assert server.request("POST", EDGE, ONE).json == ONE_ANSWER
        before = open_files(server)
        board.set("usb:0", "ok 20000")
        for number in range(200):
            client = socket.create_connection(("127.0.0.1", server.rest_port))
            whole = request % len(body) + body
            client.sendall(whole if number % 2 else whole[:-10])
            if number % 4 < 2:  # a reset instead of an end in order
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        until(lambda: server.request("POST", EDGE, ONE).status == 200)
        board.set("usb:0", "ok 1500000")
        calls = [EdgeClient(server, "predict", "edgetpu") for _ in range(2)]
        until(lambda: connected(server, server.grpc_port) == 2)
        for call in calls:
            call.process.kill()
            call.process.wait()
        board.set("usb:0", "ok 1000")
        until(lambda: server.request("POST", EDGE, ONE).status == 200)
        until(lambda: open_files(server) <= before)
