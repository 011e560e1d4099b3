"""QEMU's control connection (QMP, docs/interop/qmp-spec in QEMU): one JSON object for each line."""

import json
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from builders.errors import HostError
from builders.host import process

ANSWER_S = 120


class Qmp:
    """A connection to the socket of a running QEMU."""

    def __init__(self, path: Path, timeout_s: float, child: process.Companion | None = None) -> None:
        """Connect as soon as QEMU listens; raises HostError after ``timeout_s``, and at the end of the ``child``."""
        until = time.monotonic() + timeout_s
        while (connected := _connected(path)) is None:
            if time.monotonic() > until or (child and not child.running):
                log = path.with_name("qemu.log")
                said = log.read_text(errors="replace")[-2000:] if log.exists() else ""
                raise HostError("QEMU does not answer", said.strip() or str(path), f"look at {log}")
            time.sleep(0.05)
        self._socket = connected
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

    def quit(self) -> None:
        """End QEMU, and return at its end."""
        with suppress(HostError, OSError):
            self.ask("quit")
            while True:
                self._line()

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def _line(self) -> dict[str, Any]:
        text = self._lines.readline()
        if not text:
            raise HostError("QEMU has ended", fix="look at its log")
        found: dict[str, Any] = json.loads(text)
        return found


def listens(path: Path) -> bool:
    """Return whether a QEMU has this socket."""
    if found := _connected(path):
        found.close()
    return found is not None


def _connected(path: Path) -> socket.socket | None:
    """Return a connection to a socket, None if nobody listens there."""
    found = socket.socket(socket.AF_UNIX)
    found.settimeout(ANSWER_S)
    try:
        # The path of a socket is limited to 108 bytes (unix(7)); that of an open folder is short.
        folder = os.open(path.parent, os.O_PATH)
        try:
            found.connect(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
    except OSError:
        found.close()
        return None
    return found
