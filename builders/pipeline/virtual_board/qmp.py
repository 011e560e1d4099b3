"""QEMU's control connection (QMP, docs/interop/qmp-spec in QEMU): one JSON object for each line."""

import json
import socket
import time
from pathlib import Path
from typing import Any

from builders.errors import HostError

ANSWER_S = 120


class Qmp:
    """A connection to the socket of a running QEMU."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        """Connect as soon as QEMU listens; raises HostError after ``timeout_s``."""
        until = time.monotonic() + timeout_s
        while True:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(ANSWER_S)
            try:
                self._socket.connect(str(path))
                break
            except OSError as error:
                self._socket.close()
                if time.monotonic() > until:
                    raise HostError("QEMU does not answer", f"{path}: {error}", "look at its log beside it") from error
                time.sleep(0.05)
        self._lines = self._socket.makefile("r")
        self._line()  # the greeting
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: Any) -> Any:
        """Run a command and return its answer; raises HostError if QEMU refuses it."""
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            answer = self._line()
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise HostError(f"QEMU refuses {command}", answer["error"].get("desc", ""), "look at its log")

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def _line(self) -> dict[str, Any]:
        text = self._lines.readline()
        if not text:
            raise HostError("QEMU has ended", fix="look at its log")
        found: dict[str, Any] = json.loads(text)
        return found
