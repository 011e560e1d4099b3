"""Serves a repository over HTTP on the local network: byte ranges, types, an access log, TLS where requested.

``snapshots/<suite>/<time>/`` is the publication that was live at that time, as apt's option Snapshot expects it
(sources.list(5)): a time between two publications shows the earlier.

For boards in a lab and for Reef's own clients; a public repository belongs behind a web server.
"""

import contextlib
import email.utils
import http
import os
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

TYPES = {
    ".deb": "application/vnd.debian.binary-package", ".gz": "application/gzip", ".xz": "application/x-xz",
    ".zst": "application/zstd", ".gpg": "application/pgp-keys", ".asc": "application/pgp-keys",
    ".changelog": "text/plain; charset=utf-8",
    ".sources": "text/plain; charset=utf-8", ".html": "text/html; charset=utf-8", "": "text/plain; charset=utf-8",
}  # fmt: skip
STAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z")
MOMENT = re.compile(r"[0-9]{8}(?:T[0-9]{6}Z)?")
"""A time as apt asks for it, or a day, which means its beginning, as in Debian's archive of snapshots."""
RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
"""A range; its numbers have no more digits than the size of a file."""
BYTES = "application/octet-stream"
BY_HASH = "/by-hash/"
BLOCK = 1 << 18
IDLE_S = 60.0
"""Seconds after which a silent connection is closed, so that sleeping boards occupy no threads."""

Say = Callable[[str], None]


def type_of(path: str) -> str:
    """Return the Content-Type of a repository's file by its path."""
    return BYTES if BY_HASH in path else TYPES.get(Path(path).suffix, BYTES)


class Handler(SimpleHTTPRequestHandler):
    """Answers GET and HEAD for files below its folder; for a folder it sends its index.html or 404."""

    protocol_version = "HTTP/1.1"
    server_version = "Reef"
    sys_version = ""
    timeout = IDLE_S

    def __init__(self, *arguments: Any, say: Say, **more: Any) -> None:
        self._say = say
        self._left: int | None = None
        super().__init__(*arguments, **more)

    def translate_path(self, path: str) -> str:
        """Return the file for a URL's path; a time among the publications of a suite leads to one of them."""
        return _dated(os.fspath(self.directory), super().translate_path(path))

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log one request: who, when, what, how it was answered."""
        line = (format % arguments).encode("unicode_escape").decode()
        self._say(f"{self.client_address[0]} [{self.log_date_time_string()}] {line}")

    def guess_type(self, path: str | os.PathLike[str]) -> str:
        """Return a file's type from its name; the names of index files by hash have none."""
        return type_of(os.fspath(path))

    def list_directory(self, path: str | os.PathLike[str]) -> None:  # noqa: ARG002 - the base class gives it
        """Answer 404 for a folder without an index.html."""
        self.send_error(http.HTTPStatus.NOT_FOUND)

    def send_head(self) -> Any:
        """Send the head of an answer; for a range, position the file at its start."""
        self._left = None
        path = Path(self.translate_path(self.path))
        asked = self.headers.get("Range")
        if asked is None or not path.is_file() or not self._fresh(path):
            return super().send_head()
        size = path.stat().st_size
        span = _span(asked, size)
        if span is None:
            return super().send_head()
        start, end = span
        if start >= size:
            self.send_response(http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        return self._part(path, start, end, size)

    def _part(self, path: Path, start: int, end: int, size: int) -> IO[bytes]:
        file = path.open("rb")
        file.seek(start)
        self._left = end - start + 1
        self.send_response(http.HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Range", f"bytes {start}-{end}/{size}")
        self.send_header("Content-Length", str(self._left))
        self.send_header("Last-Modified", self.date_time_string(int(path.stat().st_mtime)))
        self.end_headers()
        return file

    def _fresh(self, path: Path) -> bool:
        """Return whether the part that a client has is of the current file (RFC 9110, If-Range)."""
        condition = self.headers.get("If-Range")
        if not condition:
            return True
        try:
            moment = email.utils.parsedate_to_datetime(condition).timestamp()
        except (TypeError, ValueError):
            return False
        return int(path.stat().st_mtime) == int(moment)

    def end_headers(self) -> None:
        """Offer byte ranges with every answer."""
        self.send_header("Accept-Ranges", "bytes")
        super().end_headers()

    def copyfile(self, source: Any, outputfile: Any) -> None:
        """Send a file, or the requested range."""
        if self._left is None:
            return super().copyfile(source, outputfile)
        while self._left and (block := source.read(min(BLOCK, self._left))):
            outputfile.write(block)
            self._left -= len(block)
        return None


def _dated(folder: str, path: str) -> str:
    """Return ``path`` below ``folder``, with the publication instead of a time that none has."""
    start = os.path.join(folder, "snapshots", "")
    suite, _, rest = path.removeprefix(start).partition("/")
    moment, slash, rest = rest.partition("/")
    if not path.startswith(start) or not MOMENT.fullmatch(moment) or os.path.isdir(f"{start}{suite}/{moment}"):
        return path
    stamp = publication_at(folder, suite, moment)
    return f"{start}{suite}/{stamp}{slash}{rest}" if stamp else path


def publication_at(folder: str, suite: str, moment: str) -> str:
    """Return the stamp of a suite's newest publication that is not after ``moment``, nothing where there is none."""
    try:
        live = os.readlink(f"{folder}/dists/{suite}").split("/")[3]
        names = os.listdir(f"{folder}/snapshots/{suite}")
    except (OSError, IndexError):
        return ""
    # Folders newer than the live publication are arriving, or a killed run left them.
    return max((name for name in names if STAMP.fullmatch(name) and name <= min(moment, live)), default="")


def _span(asked: str, size: int) -> tuple[int, int] | None:
    """Return first and last byte of a single range, None for anything else (the whole file is sent then)."""
    match = RANGE.fullmatch(asked.strip())
    if match is None or match.groups() == ("", ""):
        return None
    if not match[1]:
        return max(size - int(match[2]), 0), size - 1
    start, end = int(match[1]), min(int(match[2] or size - 1), size - 1)
    return (start, end) if start <= end or start >= size else None


@contextlib.contextmanager
def serving(
    folder: Path, *, host: str = "127.0.0.1", port: int = 0, say: Say = lambda _: None,
    certificate: tuple[Path, Path] | None = None,
) -> Iterator[str]:  # fmt: skip
    """Serve ``folder`` during the block and yield its URL; ``port`` 0 takes a free port.

    ``certificate`` is a PEM chain and its key, for HTTPS. Raises OSError for an occupied port.
    """

    def handler(*arguments: Any, **more: Any) -> Handler:
        return Handler(*arguments, directory=str(folder), say=say, **more)

    with ThreadingHTTPServer((host, port), handler) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield f"{'https' if certificate else 'http'}://{host}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
