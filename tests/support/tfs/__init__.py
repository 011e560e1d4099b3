"""TensorFlow Serving's own client, in a virtual environment of its own, driven by tests."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.venvs import environment

FOLDER = Path(__file__).parent
SERVING_API = "tensorflow-serving-api==2.21.0"
"""Installed without its dependency "tensorflow", which requirements.txt replaces by the build for CPUs alone."""


def python() -> Path:
    """Return the interpreter of the environment with TensorFlow; making it takes 2 minutes."""
    return environment("tfs-client", FOLDER / "requirements.txt", SERVING_API)


@dataclass(frozen=True)
class Answer:
    """The result of a call: a status code's name, its text, and the reply."""

    code: str
    details: str
    response: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, dict[str, Any]] = field(default_factory=dict)


class Client:
    """A process with TensorFlow that calls a server at ``address`` (``host:port`` or ``unix:PATH``)."""

    def __init__(self, address: str, *certificates: Path) -> None:
        self._process = subprocess.Popen(
            [str(python()), str(FOLDER / "calls.py"), address, *map(str, certificates)],
            env={"PATH": "/usr/bin:/bin", "TF_CPP_MIN_LOG_LEVEL": "3", "HOME": "/nonexistent"},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert "ready" in self._line()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)

    def call(
        self, method: str, request: dict[str, Any], tensors: dict[str, dict[str, Any]] | None = None,
        timeout_s: float = 20,
    ) -> Answer:  # fmt: skip
        """Make a call: ``request`` is the message in protobuf's JSON, ``tensors`` Predict's inputs."""
        call = {"method": method, "request": request, "tensors": tensors or {}, "timeout_s": timeout_s}
        assert self._process.stdin
        self._process.stdin.write(json.dumps(call) + "\n")
        self._process.stdin.flush()
        return Answer(**self._line())

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the client's process ended"
        parsed: dict[str, Any] = json.loads(line)
        return parsed
