"""Reads buildx's progress (``--progress rawjson``) into logs and the display.

It is a stream of JSON objects of BuildKit's client package (SolveStatus), each on one line or, from older buildx,
indented over many: ``vertexes`` are instructions that begin and end, ``logs`` their output in base64, ``statuses`` the
counters within them. Other lines are buildx's own messages.
"""

import base64
import codecs
import json
import re
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from builders.host.log import Log, Step

SCRIPT = re.compile(r'^\[(?:\S+ )?(fetch|run) +\d+/\d+\] RUN .*"/reef/runner\.pl"')
"""The name of an instruction that runs a script of a job, in stage ``fetch`` or ``run``."""
ENDED = re.compile(r"^reef-ended (fetch|run) (\S+)$")
TAIL_LINES = 40


class Progress:
    """Reads buildx's output line by line; ``errors`` has its messages and failed instructions, ``tail`` the last
    output of instructions. All text goes to the file ``log_file`` and the running ``step``."""

    def __init__(self, log_file: Path, step: Step | None = None) -> None:
        self.errors: list[str] = []
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.log_file = log_file
        self.step = step
        self._object: list[str] = []
        self._names: dict[str, str] = {}
        self._rest: dict[str, str] = {}
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}

    def take(self, line: str) -> None:
        """Read one line of buildx's output."""
        if self._object or line == "{":
            self._object.append(line)
            if line == "}":
                self._status(_parsed("\n".join(self._object)) or {})
                self._object = []
        elif (status := _parsed(line)) is not None:
            self._status(status)
        elif line.strip():
            self.errors.append(line)
            self._write(line)

    def _status(self, status: dict[str, Any]) -> None:
        for vertex in status.get("vertexes") or ():
            self._vertex(vertex)
        for counter in status.get("statuses") or ():
            if self.step and counter.get("total"):
                self.step.amount(counter.get("current", 0), counter["total"], counter.get("id", ""))
        for entry in status.get("logs") or ():
            self._text(entry["vertex"], base64.b64decode(entry.get("data", "")))

    def _vertex(self, vertex: dict[str, Any]) -> None:
        digest, name = vertex["digest"], vertex.get("name", "")
        if vertex.get("started") and digest not in self._names:
            self._names[digest] = name
            self.begun(name)
        if vertex.get("error"):
            self.errors.append(vertex["error"])
            self._write(vertex["error"])
        elif vertex.get("completed") and not vertex.get("cached"):
            if rest := self._rest.pop(digest, ""):
                self.line(name, rest)
            self.ended(name)

    def _text(self, digest: str, data: bytes) -> None:
        decoder = self._decoders.setdefault(digest, codecs.getincrementaldecoder("utf-8")("replace"))
        text = self._rest.get(digest, "") + decoder.decode(data)
        *lines, self._rest[digest] = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for line in lines:
            self.line(self._names.get(digest, ""), line)

    def begun(self, name: str) -> None:
        """Show that an instruction began."""
        if self.step and name:
            self.step.line(name)

    def ended(self, name: str) -> None:
        """Take note that an instruction succeeded."""

    def line(self, name: str, line: str) -> None:  # noqa: ARG002 - jobs know their scripts by the name
        """Log one line of an instruction's output."""
        self.tail.append(line)
        self._write(line)
        if self.step:
            self.step.line(line)

    def _write(self, line: str) -> None:
        with self.log_file.open("a") as file:
            file.write(line + "\n")


def _parsed(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


class JobProgress(Progress):
    """The progress of a job's build: the transfer of its inputs and each script are steps, each with its own log."""

    def __init__(self, job: str, logs: dict[str, Path], log: Log) -> None:
        super().__init__(logs["run"])
        self._job = job
        self._logs = logs
        self._log = log
        self._open = ExitStack()
        self._script: str | None = None
        self.failed: str | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the steps while the build runs; an exception marks the open step as failed."""
        with ExitStack() as self._open:
            self.step = self._open.enter_context(self._log.step(f"hand over {self._job}"))
            yield

    def begun(self, name: str) -> None:
        found = SCRIPT.match(name)
        if found and self.failed is None:
            self._script = found[1]
            self.log_file = self._logs[found[1]]
            self.tail.clear()
            self._open.close()
            self.step = self._open.enter_context(self._log.step(f"{found[1]} {self._job}"))
        elif not found:
            super().begun(name)

    def line(self, name: str, line: str) -> None:
        found = SCRIPT.match(name)
        if not found:
            super().line(name, line)
        elif ended := ENDED.match(line):
            self.failed = ended[1] if ended[2] != "0" else self.failed
        elif self.failed is None or self.failed == found[1]:
            super().line(name, line)
