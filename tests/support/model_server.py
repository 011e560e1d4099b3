"""A running model server on loopback, for tests that are its clients."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import native_server
from tests.support.ports import free_port

Serve = Callable[..., AbstractContextManager["ModelServer"]]
"""`serving`, or its like for a server that is run in another way."""
START_S = 60
"""Limit on the start; a busy machine needs some of it."""


@dataclass(frozen=True)
class Reply:
    """A reply over HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ModelServer:
    """A server process: its ports, its log, and plain HTTP requests to it.

    ``within`` is the command that the program is started by, as ``unshare``; it must become the program.
    """

    def __init__(
        self, arguments: Sequence[str], folder: Path, within: Sequence[str] = (), **environment: str
    ) -> None:  # fmt: skip
        self.grpc_port, self.rest_port = free_port(), free_port()
        self.log = folder / f"server-{self.grpc_port}.log"
        ports = ["--listen=127.0.0.1", f"--port={self.grpc_port}", f"--rest_api_port={self.rest_port}"]
        words = [*within, *self.program(), *ports, *arguments]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env={"PATH": "/usr/bin:/bin", **environment}, cwd="/",
            )  # fmt: skip

    def program(self) -> list[str]:
        """Return the words that start the program: here the natively compiled one."""
        return [str(native_server.bundle() / "bin" / "edge_model_server")]

    def pid(self) -> int:
        """Return the process id of the program itself."""
        return self.process.pid

    def wait_until_ready(self) -> None:
        """Wait until both ports answer; the process must still run."""
        until = time.monotonic() + START_S
        for port in (self.grpc_port, self.rest_port):
            while True:
                assert self.process.poll() is None, self.log.read_text()
                with contextlib.suppress(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", port), timeout=5).close()
                    break
                assert time.monotonic() < until, self.log.read_text()
                time.sleep(0.02)

    def request(
        self, method: str, target: str, body: bytes | dict[str, Any] | None = None, **headers: str
    ) -> Reply:  # fmt: skip
        """Make a request over HTTP/1.1; a dictionary is sent as JSON. ``_`` in a header's name stands for ``-``."""
        connection = http.client.HTTPConnection("127.0.0.1", self.rest_port, timeout=60)
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        connection.request(method, target, data, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        reply = Reply(response.status, found, response.read())
        connection.close()
        return reply

    def stop(self) -> int:
        """Ask the process to end, as systemd does, and return its status."""
        if self.process.poll() is None:
            os.kill(self.pid(), signal.SIGTERM)
        return self.process.wait(timeout=60)


def serving(
    folder: Path, *arguments: str, within: Sequence[str] = (), **environment: str
) -> AbstractContextManager[ModelServer]:  # fmt: skip
    """Run the native server; it is ready, and must end well."""
    return running(ModelServer(arguments, folder, within, **environment))


@contextlib.contextmanager
def running(server: ModelServer) -> Iterator[ModelServer]:
    """Yield a server when it is ready; it must end well, with status 0."""
    try:
        server.wait_until_ready()
        yield server
        assert server.stop() == 0, server.log.read_text()
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


def refused(*arguments: str) -> tuple[int, str]:
    """Start a server that must end by itself; return its status and all that it printed."""
    program = native_server.bundle() / "bin" / "edge_model_server"
    ports = [f"--port={free_port()}", f"--rest_api_port={free_port()}"]  # a model server may run on this machine
    done = subprocess.run(
        [str(program), "--listen=127.0.0.1", *ports, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=120, env={"PATH": "/usr/bin:/bin"}, cwd="/", check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def until(condition: Callable[[], bool], limit_s: float = 60) -> None:
    """Wait until a condition holds, and fail if it does not in time."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


class Load:
    """Clients that predict by REST without a pause, each on a connection of its own, and check every answer."""

    def __init__(
        self, server: ModelServer, target: str, body: dict[str, Any], answer: dict[str, Any], clients: int = 4
    ):
        self.answered = 0
        self.wrong: list[str] = []
        self._arguments = (server.rest_port, target, json.dumps(body), answer)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        until(lambda: self.answered > 0 or bool(self.wrong))
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        port, target, body, answer = self._arguments
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while not self._stop.is_set():
            try:
                connection.request("POST", target, body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                got = response.read()
            except (ConnectionError, http.client.RemoteDisconnected) as error:
                self.wrong.append(repr(error))
                return
            if response.status != 200 or json.loads(got) != answer:
                self.wrong.append(f"{response.status} {got.decode(errors='replace')}")
            self.answered += 1


class EdgeClient:
    """A call over gRPC by ``edge_model_client``, in a process of its own."""

    def __init__(self, server: ModelServer, *words: str, timeout_s: int = 60) -> None:
        program = native_server.bundle() / "bin" / "edge_model_client"
        address = f"--server=127.0.0.1:{server.grpc_port}"
        self.process = subprocess.Popen(
            [str(program), address, f"--timeout={timeout_s}", *words], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def end(self) -> tuple[int, str]:
        """Wait for the answer; return the exit code and what was printed."""
        output, _ = self.process.communicate(timeout=60)
        return self.process.returncode, output


def make_models(folder: Path) -> Path:
    """Return ``folder`` with the models that the server's own tests make: ``NAME/1/model.tflite``."""
    maker = native_server.bundle() / "bin" / "make_test_models"
    subprocess.run([str(maker), str(folder)], check=True)
    return folder


def config(folder: Path, *models: tuple[str, Path], text: str = "") -> Path:
    """Write a models.config of these models, or with this text, by a rename as editors do."""
    lines = [f'config {{ name: "{n}" base_path: "{path}" model_platform: "tensorflow" }}' for n, path in models]
    fresh = folder / "models.config.new"
    fresh.write_text(text or f"model_config_list {{ {' '.join(lines)} }}\n")
    return fresh.rename(folder / "models.config")
