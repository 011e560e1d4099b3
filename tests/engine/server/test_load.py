"""The model server's program under load: connections, slow and large requests, and its memory in the long run."""

import contextlib
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.model_server import ModelServer, config, serving, until

HALF = "/v1/models/half_plus_two:predict"
ASKED = {"instances": [1.0, 2.0, 5.0]}
ANSWER = {"predictions": [2.5, 3.0, 4.5]}
MB = 1_000_000


def half(models: Path) -> list[str]:
    return ["--model_name=half_plus_two", f"--model_base_path={models / 'half_plus_two'}"]


def resident_mb(server: ModelServer) -> float:
    """Return the server's resident memory in MB (1,000,000 bytes)."""
    [line] = re.findall(r"^VmRSS:\s*(\d+) kB$", Path(f"/proc/{server.process.pid}/status").read_text(), re.MULTILINE)
    return int(line) * 1024 / MB


def metric(server: ModelServer, name: str) -> float:
    """Return the sum of a metric over all labels."""
    text = server.request("GET", "/monitoring/prometheus/metrics").body.decode()
    return sum(float(value) for value in re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE))


# --- Connections ---

CONNECTIONS = 10_000
PORTS_OF_AN_ADDRESS = 4_000
"""Connections from an address of loopback; the system has ports for 28,000."""
OWN_FILES = 300
"""Files that a process has besides connections, generously."""
AT_A_TIME = 100
"""Requests at the same time; the server refuses more than its queue holds."""
ALIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"


@contextlib.contextmanager
def many_files() -> Iterator[int]:
    """Let this process and its children open as many files as the system allows; yield how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _send(client: socket.socket, data: bytes) -> None:
    with contextlib.suppress(ConnectionError):  # the server has closed it
        client.sendall(data)


class Clients:
    """Connections to a server, from several addresses."""

    def __init__(self, server: ModelServer, count: int) -> None:
        self.sockets: list[socket.socket] = []
        for number in range(count):
            source = (f"127.0.0.{2 + number // PORTS_OF_AN_ADDRESS}", 0)
            address = ("127.0.0.1", server.rest_port)
            self.sockets.append(socket.create_connection(address, timeout=30, source_address=source))

    def send(self, data: bytes) -> None:
        for client in self.sockets:
            _send(client, data)

    def ask(self, data: bytes) -> list[bytes]:
        """Send a request on each, some at a time; return the replies, empty where the server closed the connection."""
        replies = []
        for first in range(0, len(self.sockets), AT_A_TIME):
            group = self.sockets[first : first + AT_A_TIME]
            for client in group:
                _send(client, data)
            for client in group:
                try:
                    replies.append(client.recv(4096))
                except ConnectionError:
                    replies.append(b"")
        return replies

    def close(self) -> None:
        for client in self.sockets:
            client.close()


def test_ten_thousand_connections_are_answered_or_refused(models: Path, tmp_path: Path) -> None:
    """All are answered where the process may open that many files; else the rest is closed at once."""
    with many_files() as files, serving(tmp_path, *half(models)) as server:
        count = min(CONNECTIONS, files - OWN_FILES)
        permitted = int(metric(server, "process_max_fds")) - OWN_FILES
        before = resident_mb(server)
        clients = Clients(server, count)
        replies = clients.ask(ALIVE)
        answered = sum(reply.startswith(b"HTTP/1.1 200 ") for reply in replies)
        refused = sum(reply == b"" or reply.startswith(b"HTTP/1.1 503 ") for reply in replies)
        print(f"{answered} of {count} answered, {permitted} permitted, {resident_mb(server) - before:.1f} MB more")
        assert answered + refused == len(replies) == count
        assert answered >= min(count, permitted)
        assert resident_mb(server) - before < 150
        # The same ones again: they stay open, and the memory with them.
        held = resident_mb(server)
        assert sum(reply.startswith(b"HTTP/1.1 200 ") for reply in clients.ask(ALIVE)) == answered
        assert resident_mb(server) - held < 20
        clients.close()
        until(lambda: server.request("POST", HALF, ASKED).json == ANSWER)


# --- Slow and large requests ---


def test_slow_clients_keep_nobody_waiting(models: Path, tmp_path: Path) -> None:
    """Of 900 clients each sends a byte at a time, and never a whole request."""
    request = b"POST /v1/models/half_plus_two:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    with many_files(), serving(tmp_path, *half(models)) as server:
        before = resident_mb(server)
        slow = Clients(server, 900)
        for byte in request[:40] + request[-4:]:
            slow.send(bytes([byte]))
            start = time.monotonic()
            assert server.request("POST", HALF, ASKED).json == ANSWER
            assert time.monotonic() - start < 10
        assert resident_mb(server) - before < 30
        slow.close()


LARGE = 100 * MB
CHUNK = b"%x\r\n" % (1 << 20) + b" " * (1 << 20) + b"\r\n"


def pour(server: ModelServer, head: bytes, part: bytes, size: int) -> bytes:
    """Send a body until the server answers; return the reply's first line."""
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=60) as client:
        client.sendall(b"POST /v1/models/half_plus_two:predict HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n")
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < size:
                client.sendall(part)
                sent += len(part)
            client.sendall(b"0\r\n\r\n" if b"chunked" in head else b"")
        with client.makefile("rb") as reply:
            return reply.readline().strip()


def test_bodies_of_100_mb_are_refused_in_little_memory(models: Path, tmp_path: Path) -> None:
    with serving(tmp_path, *half(models)) as server:
        before = resident_mb(server)
        length = b"Content-Length: %d\r\n" % LARGE
        ways = [(length, b" " * (1 << 20)), (b"Transfer-Encoding: chunked\r\n", CHUNK)]
        lines: list[bytes] = []
        threads = [
            threading.Thread(target=lambda head=head, part=part: lines.append(pour(server, head, part, LARGE)))
            for head, part in ways * 4
        ]  # fmt: skip
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            assert server.request("POST", HALF, ASKED).json == ANSWER
            assert resident_mb(server) - before < 400
        assert {line.split()[1] for line in lines} <= {b"413", b"503"}, lines
        assert len(lines) == len(threads)
        until(lambda: resident_mb(server) - before < 100)


@pytest.mark.parametrize("opening", [b"[", b'{"instances":', b'{"instances":[[', b'{"b64":'])
def test_deep_json_is_refused(opening: bytes, models: Path, tmp_path: Path) -> None:
    with serving(tmp_path, *half(models)) as server:
        before = resident_mb(server)
        for target in (HALF, "/v2/models/half_plus_two/infer", HALF.replace("predict", "classify")):
            reply = server.request("POST", target, opening * 1_000_000)
            assert (reply.status, "eep" in reply.json["error"]) == (400, True), reply
        assert server.request("POST", HALF, ASKED).json == ANSWER
        assert resident_mb(server) - before < 100


# --- Memory in the long run ---


def _field(number: int, content: bytes) -> bytes:
    """Return a length-delimited field of protocol buffers; contents here are shorter than 128 bytes."""
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def grpc_request() -> bytes:
    """Return a PredictRequest for half_plus_two on [1, 2, 5], framed as gRPC sends it."""
    shape = _field(2, _field(2, bytes([0x08, 3])))
    tensor = bytes([0x08, 1]) + shape + _field(4, struct.pack("<3f", 1, 2, 5))  # DT_FLOAT, shape, tensor_content
    request = _field(1, _field(1, b"half_plus_two")) + _field(2, _field(1, b"x") + _field(2, tensor))
    return struct.pack(">BI", 0, len(request)) + request


class H2Load:
    """h2load's load on both front ends at once, from files in ``folder``.

    Sixteen connections each, more than the threads of two processors: calls wait for one, and none is refused.
    """

    def __init__(self, server: ModelServer, folder: Path) -> None:
        self._server = server
        self._bodies = (folder / "rest.json", folder / "grpc.bin")
        self._bodies[0].write_text('{"instances": [1.0, 2.0, 5.0]}')
        self._bodies[1].write_bytes(grpc_request())

    def run(self, requests: int) -> None:
        """Make this many requests, half of them by gRPC; each must be answered well."""
        before = metric(self._server, ":tensorflow:serving:request_count")
        processes = [self._start(requests // 2, rest) for rest in (True, False)]
        for process in processes:
            output, _ = process.communicate(timeout=600)
            assert " 0 failed, 0 errored" in output, output
        # A failed call is a good answer to HTTP, which is all that h2load looks at.
        text = self._server.request("GET", "/monitoring/prometheus/metrics").body.decode()
        statuses = re.findall(r'^:tensorflow:serving:request_count\{.*status="(\w+)"', text, re.MULTILINE)
        assert set(statuses) == {"OK"}
        assert metric(self._server, ":tensorflow:serving:request_count") - before == requests

    def _start(self, requests: int, rest: bool) -> "subprocess.Popen[str]":
        server = self._server
        headers = ["content-type: application/json"] if rest else ["content-type: application/grpc", "te: trailers"]
        url = f"http://127.0.0.1:{server.rest_port}{HALF}" if rest else (
            f"http://127.0.0.1:{server.grpc_port}/tensorflow.serving.PredictionService/Predict"
        )  # fmt: skip
        words = ["h2load", "-n", str(requests), "-c", "16", "-m", "1", "-d", str(self._bodies[0 if rest else 1])]
        for header in headers:
            words += ["-H", header]
        return subprocess.Popen(
            [*words, *(["--h1"] if rest else []), url], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )


def versions(folder: Path, models: Path, version: int) -> Path:
    """Write a configuration of half_plus_two, and of one version of two_versions."""
    policy = f'model_platform: "tensorflow" model_version_policy {{ specific {{ versions: {version} }} }}'
    other = f'config {{ name: "two_versions" base_path: "{models / "two_versions"}" {policy} }}'
    one = f'config {{ name: "half_plus_two" base_path: "{models / "half_plus_two"}" model_platform: "tensorflow" }}'
    return config(folder, text=f"model_config_list {{ {one} {other} }}")


def reload(server: ModelServer, folder: Path, models: Path, times: int) -> None:
    """Change the configuration and have it read again; each time a version is loaded and another unloaded."""
    for number in range(times):
        new, old = (2, 1) if number % 2 == 0 else (1, 2)
        versions(folder, models, new)
        os.kill(server.process.pid, signal.SIGHUP)
        end = time.monotonic() + 60
        while not (state(server, new) == "AVAILABLE" and state(server, old) in ("END", "")):
            assert time.monotonic() < end, server.log.read_text()[-2000:]
            time.sleep(0.002)


def state(server: ModelServer, version: int) -> str:
    reply = server.request("GET", f"/v1/models/two_versions/versions/{version}")
    return str(reply.json["model_version_status"][0]["state"]) if reply.status == 200 else ""


def test_memory_stays_over_100_000_requests_and_500_reloads(models: Path, tmp_path: Path) -> None:
    """Within 5 percent of what it is after the first thousand requests and two reloads."""
    path = versions(tmp_path, models, 1)
    # So few threads that a thousand requests start them all; each takes memory once.
    threads = ("--grpc_max_threads=3", "--rest_api_num_threads=2")
    with serving(tmp_path, f"--model_config_file={path}", *threads) as server:
        load = H2Load(server, tmp_path)
        load.run(1000)
        reload(server, tmp_path, models, 2)
        first = resident_mb(server)
        load.run(100_000)
        after_requests = resident_mb(server)
        reload(server, tmp_path, models, 500)
        last = resident_mb(server)
        print(f"{first:.1f} MB, {after_requests:.1f} MB after the requests, {last:.1f} MB after the reloads")
        assert last <= first * 1.05
        assert after_requests <= first * 1.05
