"""Measures the model server beside servers that people write in Python today. Part of ``./inv bench --server``.

All figures come from one run on one machine. Servers run on one processor and the load on another; what counts are
ratios, which other work on the machine moves little. The load is h2load's, which speaks gRPC's HTTP/2 as it is.
"""

import contextlib
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from builders.host.log import Log
from tests.bench.budget import Budget, exit_code, tell
from tests.support import native_server
from tests.support.checkout import CHECKOUT
from tests.support.model_server import ModelServer, serving
from tests.support.ports import free_port
from tests.support.venvs import environment

DIGITS = CHECKOUT / "recipes" / "tensorflow-lite" / "files" / "digits"
PEERS = Path(__file__).parent / "peers"
REQUESTS = 20_000
PEER_REQUESTS = 2_000
CONNECTIONS = (1, 4, 16)
MOST_OVERHEAD_US = 120.0
LEAST_RATIO = 10.0
MOST_IDLE_MB, MOST_START_MS, MOST_INSTALLED_MB = 25.0, 50.0, 4.0
SERVER_CPU, LOAD_CPU = "0", "1"


def image() -> list[list[list[int]]]:
    """Return the sample of a 7 as the model takes it: int8, 8 by 8 by 1."""
    pixels = (DIGITS / "digit-7.pgm").read_bytes()[-64:]
    return [[[pixels[8 * y + x] - 128] for x in range(8)] for y in range(8)]


def _message(field: int, content: bytes) -> bytes:
    """Return a length-delimited field of protocol buffers; contents here are shorter than 128 bytes."""
    assert len(content) < 128
    return bytes([field << 3 | 2, len(content)]) + content


def grpc_body() -> bytes:
    """Return a PredictRequest for the sample, framed as gRPC sends it."""
    sizes = b"".join(_message(2, bytes([0x08, size])) for size in (1, 8, 8, 1))
    content = bytes(pixel & 0xFF for row in image() for column in row for pixel in column)
    tensor = bytes([0x08, 6]) + _message(2, sizes) + _message(4, content)  # DT_INT8, shape, tensor_content
    request = _message(1, _message(1, b"default")) + _message(2, _message(1, b"image") + _message(2, tensor))
    return struct.pack(">BI", 0, len(request)) + request


def load(url: str, body: Path, requests: int, connections: int, *options: str) -> float:
    """Return requests a second; every one of them must succeed."""
    words = [
        "taskset",
        "-c",
        LOAD_CPU,
        "h2load",
        "-n",
        str(requests),
        "-c",
        str(connections),
        "-m",
        "1",
        "-d",
        str(body),
    ]
    done = subprocess.run([*words, *options, url], capture_output=True, text=True, check=True)
    failed = re.search(r"(\d+) failed, (\d+) errored", done.stdout)
    assert failed, done.stdout
    assert failed.groups() == ("0", "0"), done.stdout
    rate = re.search(r"finished in .*?, ([\d.]+) req/s", done.stdout)
    assert rate, done.stdout
    return float(rate[1])


REST = ("--h1", "-H", "content-type: application/json")
GRPC = ("-H", "content-type: application/grpc", "-H", "te: trailers")


def resident_mb(pid: int, name: str = "VmRSS") -> float:
    """Return a process's resident memory in MB (1,000,000 bytes), or the part of that name in its status."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(name)]
    return int(line.split()[1]) * 1024 / 1e6


def forget(folder: Path) -> None:
    """Drop a folder's files from the page cache, as after a boot.

    The kernel maps the neighbours of a page that it reads in, as far as they are cached: without this, the resident
    memory depends on who has read the libraries before.
    """
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            file = os.open(path, os.O_RDONLY)
            os.fsync(file)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)


@contextlib.contextmanager
def peer(python: Path, program: str, *words: str) -> Iterator[int]:
    """Run a Python server on the servers' processor; yield its port."""
    port = free_port()
    argv = ["taskset", "-c", SERVER_CPU, str(python), str(PEERS / program), *words, str(port)]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _until_listening(port)
        yield port
    finally:
        process.kill()
        process.wait()


def _until_listening(port: int) -> None:
    import socket

    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens on port {port}")


def pin(pid: int, cpu: str) -> None:
    """Move all threads of a process to one processor; those that start later inherit it."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), {int(cpu)})


def overhead(server: ModelServer, model: Path) -> list[Budget]:
    """Compare the CPU time of a call with that of a run in a bare loop, by the program predict_cpu."""
    program = native_server.bundle() / "bin" / "predict_cpu"
    argv = ["taskset", "-c", LOAD_CPU, program, model, f"127.0.0.1:{server.grpc_port}", server.process.pid, REQUESTS]
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, check=True)
    [numbers] = re.findall(r"bare interpreter: ([\d.e+]+) us; server: ([\d.e+]+) us", done.stdout)
    bare, served = map(float, numbers)
    note = f"{served:.0f} with gRPC, {bare:.0f} bare"
    return [Budget("CPU of a gRPC Predict beyond the bare run", served - bare, MOST_OVERHEAD_US, "us", note)]


def rates(server: ModelServer, folder: Path, python: Path) -> list[Budget]:
    """Compare requests a second with those of the Python servers, on one processor each."""
    body = folder / "rest.json"
    body.write_text(json.dumps({"instances": [image()]}))
    ours = f"http://127.0.0.1:{server.rest_port}/v1/models/default:predict"
    model = str(DIGITS / "digits.tflite")
    budgets = []
    for program in ("flask_server.py", "fastapi_server.py"):
        with peer(python, program, model) as port:
            for connections in CONNECTIONS:
                theirs = load(f"http://127.0.0.1:{port}/predict", body, PEER_REQUESTS, connections, *REST)
                rate = load(ours, body, REQUESTS, connections, *REST)
                note = f"{rate:.0f}/s beside {theirs:.0f}/s"
                what = f"{program.partition('_')[0]} by REST, {connections} connections: theirs of ours"
                budgets.append(Budget(what, theirs / rate, 1 / LEAST_RATIO, note=note))
    return budgets


def at_rest(folder: Path, arguments: Sequence[str]) -> list[Budget]:
    """Measure the start and the memory of a server with one small model."""
    starts = []
    for _ in range(5):
        begin = time.monotonic()
        with serving(folder, *arguments):
            starts.append((time.monotonic() - begin) * 1000)
    forget(native_server.bundle())
    with serving(folder, *arguments) as server:
        idle = resident_mb(server.process.pid)
        note = f"{resident_mb(server.process.pid, 'RssAnon'):.1f} MB of it beside mapped files"
    return [
        Budget("start to ready", min(starts), MOST_START_MS, "ms"),
        Budget("resident memory, idle, one model", idle, MOST_IDLE_MB, "MB", note),
    ]


def main() -> None:
    """Measure, and judge by the budgets."""
    python = environment("bench-peers", PEERS / "requirements.txt")
    with tempfile.TemporaryDirectory(prefix="reef-bench-") as name:
        folder = Path(name)
        place = folder / "model" / "1"
        place.mkdir(parents=True)
        (place / "model.tflite").write_bytes((DIGITS / "digits.tflite").read_bytes())
        arguments = ["--model_name=default", f"--model_base_path={folder / 'model'}"]
        budgets = at_rest(folder, arguments)
        body = folder / "grpc.bin"
        body.write_bytes(grpc_body())
        with serving(folder, *arguments) as server:
            pin(server.process.pid, SERVER_CPU)
            url = f"http://127.0.0.1:{server.grpc_port}/tensorflow.serving.PredictionService/Predict"
            budgets += overhead(server, place / "model.tflite")
            budgets += [
                Budget(f"gRPC, {connections} connections", load(url, body, REQUESTS, connections, *GRPC), unit="/s")
                for connections in CONNECTIONS
            ]
            budgets += rates(server, folder, python)
    tell(budgets, Log(), "the model server")
    sys.exit(exit_code(budgets, sys.argv))


if __name__ == "__main__":
    main()
