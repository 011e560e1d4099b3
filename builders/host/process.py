"""Starts all other programs: with argv lists, an allow-listed environment and time limits; returns the output's tail.

Every program dies with this process, however that ends (``setpriv --pdeathsig``). Ctrl-C ends a program's whole process
group before the interrupt propagates.
"""

import codecs
import io
import os
import select
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from builders.errors import HostError

PASSED_ON = (
    "HOME", "USER", "LOGNAME", "TERM", "TMPDIR", "XDG_RUNTIME_DIR",
    "http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "SSH_AUTH_SOCK",
    "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH",
    "BUILDX_CONFIG", "BUILDX_BUILDER", "GPG_TTY",
)  # fmt: skip
"""Names of environment variables that a program inherits; all others are removed."""

TAIL_LINES = 40
SAMPLE_S = 0.5
GRACE_S = 5.0


@dataclass(frozen=True)
class Completed:
    """A finished program; ``tail`` has its last lines of stdout and stderr, in the order of their output."""

    argv: tuple[str, ...]
    returncode: int
    tail: str
    seconds: float
    peak_memory_bytes: int
    timed_out: bool = False


class ProgramFailed(HostError):
    """A program exited with a status other than 0 or exceeded its time limit; ``completed`` is its record."""

    def __init__(self, completed: Completed, what: str | None = None, fix: str = "") -> None:
        super().__init__(
            what or f"{completed.argv[0]} failed with status {completed.returncode}",
            f"command: {shlex.join(completed.argv)}\n{completed.tail}".rstrip(),
            fix,
        )
        self.completed = completed


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a program: the allow-listed names, a fixed locale, and ``extra`` on top."""
    result = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    path = os.environ.get("PATH", os.defpath)
    # An ordinary user's PATH lacks the sbin folders, which contain some of the tools.
    result["PATH"] = ":".join([path, *(p for p in ("/usr/sbin", "/sbin") if p not in path.split(":"))])
    result["LC_ALL"] = "C.UTF-8"
    return result | dict(extra or {})


def find(program: str) -> str | None:
    """Return the full path of ``program`` on the PATH of started programs, or None."""
    return shutil.which(program, path=environment()["PATH"])


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    extra_environment: Mapping[str, str] | None = None,
    input_text: str | None = None,
    log: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    on_sample: Callable[[], None] | None = None,
    timeout_s: float | None = None,
    check: bool = True,
    pass_fds: Sequence[int] = (),
) -> Completed:
    """Run a program to its end and return its record.

    Its output (both streams) goes line by line to ``on_line`` and is appended to the file ``log``; the program inherits
    the open files ``pass_fds``. ``on_sample`` is called twice a second, also without output. An error that a listener
    raises ends the program. Raises ProgramFailed for a status other than 0 (unless ``check`` is off) and after
    ``timeout_s`` seconds, HostError if the program is not installed.
    """
    started = time.monotonic()
    with _started(argv, cwd, extra_environment, input_text, pass_fds) as child:
        watch = _Watch(child, started, timeout_s, on_sample)
        try:
            tail = _pump(child, watch, log, on_line)
        except BaseException:
            _end(child)
            raise
        seconds = time.monotonic() - started
        done = Completed(tuple(argv), child.returncode, tail, seconds, watch.peak, watch.timed_out)
    if done.timed_out:
        raise ProgramFailed(done, f"{argv[0]} was ended after its time limit of {timeout_s:.0f} s")
    if check and done.returncode:
        raise ProgramFailed(done)
    return done


def capture(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    extra_environment: Mapping[str, str] | None = None,
    input_text: str | None = None,
    timeout_s: float = 300,
    errors: str = "replace",
) -> str:
    """Run a short program and return its standard output; its standard error is shown only when it fails.

    ``errors`` says what becomes of bytes that are not UTF-8: ``surrogateescape`` keeps them for `os.fsencode`.
    Raises ProgramFailed and HostError as `run` does.
    """
    started = time.monotonic()
    try:
        done = subprocess.run(
            _with_parent_death(argv),
            cwd=cwd,
            env=environment(extra_environment),
            input=input_text,
            stdin=subprocess.DEVNULL if input_text is None else None,
            capture_output=True,
            text=True,
            errors=errors,
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError as error:
        raise _missing(argv[0]) from error
    except subprocess.TimeoutExpired as error:
        record = Completed(tuple(argv), -signal.SIGKILL, "", time.monotonic() - started, 0, timed_out=True)
        raise ProgramFailed(record, f"{argv[0]} gave no answer within {timeout_s:.0f} s") from error
    if done.returncode:
        record = Completed(
            tuple(argv), done.returncode, (done.stderr + done.stdout)[-4000:], time.monotonic() - started, 0
        )
        raise ProgramFailed(record)
    return done.stdout


@dataclass(frozen=True)
class Answer:
    """A finished program whose two streams were read apart; ``returncode`` is negative for a signal that ended it."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: str
    seconds: float
    timed_out: bool = False


def ask(
    argv: Sequence[str], *, given: Sequence[bytes | Path] = (), timeout_s: float = 300,
    extra_environment: Mapping[str, str] | None = None, on_sample: Callable[[], None] | None = None,
) -> Answer:  # fmt: skip
    """Run a program that reads ``given``, bytes and files in turn, and return its answer, whatever its status.

    ``on_sample`` is called twice a second, in the thread of the caller; an error that it raises ends the program.
    Raises HostError if the program is not installed, OSError if the file cannot be read.
    """
    started = time.monotonic()
    timed_out = False
    # Files, not pipes: a program may leave a daemon behind that holds its streams, as ssh does.
    with ExitStack() as stack:
        source, out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        for part in given:
            with part.open("rb") if isinstance(part, Path) else io.BytesIO(part) as content:
                shutil.copyfileobj(content, source)
        source.seek(0)
        child = subprocess.Popen(
            _with_parent_death(argv), env=environment(extra_environment), stdin=source, stdout=out, stderr=err,
            start_new_session=True,
        )  # fmt: skip
        try:
            while child.poll() is None:
                _await_end(child, SAMPLE_S)
                if on_sample:
                    on_sample()
                if time.monotonic() - started > timeout_s and child.poll() is None:
                    timed_out = True
                    _end(child)
        except BaseException:
            _end(child)
            raise
        out.seek(0)
        err.seek(0)
        text = err.read().decode(errors="replace")
        return Answer(tuple(argv), child.returncode, out.read(), text, time.monotonic() - started, timed_out)


class Companion:
    """A program that runs beside this process; both its streams go to the end of ``log``."""

    def __init__(
        self, argv: Sequence[str], *, log: Path, cwd: Path | None = None, outlives: bool = False
    ) -> None:  # fmt: skip
        """Start it; it dies with this process unless it ``outlives`` it. Raises HostError if it is not installed."""
        with log.open("ab") as sink:
            self._child = subprocess.Popen(
                list(argv) if outlives else _with_parent_death(argv), cwd=cwd, env=environment(),
                stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    def kill(self) -> None:
        """End it at once, and wait for its end."""
        self._child.kill()
        self._child.wait()


def interactive(argv: Sequence[str], *, cwd: Path | None = None) -> int:
    """Run a program on the user's own terminal, with the user's own environment, and return its status."""
    return subprocess.run(list(argv), cwd=cwd, check=False).returncode


def on_terminal() -> bool:
    """Return whether the standard input is a terminal."""
    return sys.stdin.isatty()


class _Watch:
    """Watches a child's memory (resident bytes, summed over its process tree) and its deadline."""

    def __init__(
        self,
        child: "subprocess.Popen[bytes]",
        started: float,
        timeout_s: float | None,
        on_sample: Callable[[], None] | None,
    ) -> None:
        self.peak = 0
        self.timed_out = False
        self._child = child
        self._deadline = None if timeout_s is None else started + timeout_s
        self._next = started
        self._on_sample = on_sample

    def __call__(self) -> None:
        now = time.monotonic()
        if now >= self._next:
            self.peak = max(self.peak, tree_memory_bytes(self._child.pid))
            self._next = now + SAMPLE_S
            if self._on_sample:
                self._on_sample()
        if self._deadline is not None and now > self._deadline and not self.timed_out:
            self.timed_out = True
            _end(self._child)


def tree_memory_bytes(pid: int) -> int:
    """Return the resident bytes of process ``pid`` and all its descendants, 0 after its end."""
    import psutil  # slow to import, and a run with nothing to do starts no process

    total = 0
    try:
        processes = [root := psutil.Process(pid), *root.children(recursive=True)]
    except psutil.Error:
        return 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue  # it ended after it was listed
    return total


def _missing(program: str) -> HostError:
    return HostError(f"{program} is not installed", fix="run ./inv doctor")


def _with_parent_death(argv: Sequence[str]) -> list[str]:
    if not find(argv[0]):
        raise _missing(argv[0])
    if sys.platform == "linux" and find("setpriv"):
        return ["setpriv", "--pdeathsig", "KILL", "--", *argv]
    return list(argv)


def _started(
    argv: Sequence[str],
    cwd: Path | None,
    extra: Mapping[str, str] | None,
    input_text: str | None,
    pass_fds: Sequence[int],
) -> "subprocess.Popen[bytes]":
    child = subprocess.Popen(
        _with_parent_death(argv),
        cwd=cwd,
        env=environment(extra),
        stdin=subprocess.DEVNULL if input_text is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=tuple(pass_fds),
    )
    if input_text is not None and child.stdin:
        # A thread, so that a child which writes before it reads cannot block both sides.
        threading.Thread(target=_feed, args=(child.stdin, input_text), daemon=True).start()
    return child


def _feed(pipe: IO[bytes], text: str) -> None:
    try:
        pipe.write(text.encode())
        pipe.close()
    except BrokenPipeError:
        return  # the child ended without reading everything; its status shows why


class _Output:
    """Splits a program's output into lines for the log, the tail and the listener while it runs."""

    def __init__(self, sink: IO[bytes] | None, on_line: Callable[[str], None] | None) -> None:
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._sink = sink
        self._on_line = on_line
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def take(self, chunk: bytes) -> None:
        if self._sink:
            self._sink.write(chunk)
            self._sink.flush()
        text = self._rest + self._decoder.decode(chunk, final=not chunk)
        *lines, self._rest = text.replace("\r", "\n").split("\n")
        if not chunk and self._rest:
            lines.append(self._rest)
        for line in lines:
            self.tail.append(line)
            if self._on_line:
                self._on_line(line)


def _pump(
    child: "subprocess.Popen[bytes]", watch: _Watch, log: Path | None, on_line: Callable[[str], None] | None
) -> str:
    with ExitStack() as stack:
        output = _Output(stack.enter_context(log.open("ab")) if log else None, on_line)
        selector = stack.enter_context(selectors.DefaultSelector())
        selector.register(_pipe_of(child), selectors.EVENT_READ)
        ended = False
        while not ended:
            watch()
            if selector.select(SAMPLE_S):
                chunk = os.read(_pipe_of(child).fileno(), 65536)
                output.take(chunk)
                ended = not chunk
            else:
                # A daemon that the program started may keep the pipe open: only the program's end counts.
                ended = child.poll() is not None
        while child.poll() is None:
            watch()
            with suppress(subprocess.TimeoutExpired):
                child.wait(SAMPLE_S)
        return "\n".join(output.tail)


def _await_end(child: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Return at the end of a child, or after so many seconds. `Popen.wait` sees an end up to 50 ms late."""
    try:
        descriptor = os.pidfd_open(child.pid)
    except (AttributeError, OSError):  # not on Linux, or too old a kernel
        with suppress(subprocess.TimeoutExpired):
            child.wait(seconds)
        return
    try:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        poller.poll(seconds * 1000)
    finally:
        os.close(descriptor)


def _pipe_of(child: "subprocess.Popen[bytes]") -> IO[bytes]:
    if child.stdout is None:
        raise AssertionError("every child is started with a pipe")
    return child.stdout


def _end(child: "subprocess.Popen[bytes]") -> None:
    """End the child's whole process group, by SIGTERM and after a while by SIGKILL."""
    for number, patience_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, None)):
        # It has ended, or runs under another id of a user namespace, which ends with its parent.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)
        with suppress(subprocess.TimeoutExpired):
            child.wait(patience_s)
            return
