"""Transfers of a URL into a ``.part`` file, which resume where they stopped, also in the next run."""

import errno
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import requests

from builders.errors import DiskError
from builders.host.apt_access import AptAccess
from builders.host.files import disk_error, disk_errors, write_whole
from builders.host.log import Step
from builders.sources import file_cache
from builders.sources.context import FetchContext, Reason, Stopped, Unavailable, is_local, shown
from builders.sources.http.session import BODY_ERRORS, body, new_session, opened, why
from builders.sources.tree import file_pieces, write_all

PIECE = 1 << 16
STALLS = 4
"""Maximum number of consecutive attempts without a new byte."""
ATTEMPTS = 40
"""Maximum number of attempts for a URL."""
PAUSE_S = 0.25


class Transfer:
    """Transfers a URL into ``<path>.part`` and, if its digest is right, to ``path``.

    The caller holds the lock of ``path``. ``continued`` is true if bytes of an earlier attempt were kept.
    """

    def __init__(self, context: FetchContext, url: str, path: Path, access: AptAccess) -> None:
        self.part = path.with_suffix(".part")
        self.continued = False
        self._note = path.with_suffix(".part.json")
        self._path = path
        self._context = context
        self._url = url
        self._access = access

    def take(self, step: Step) -> None:
        """Complete the part; raises Unavailable, DiskError, Stopped."""
        with disk_errors(self.part):
            self.part.parent.mkdir(parents=True, exist_ok=True)
        if is_local(self._url):
            self._copy(step)
        else:
            with new_session(self._access, self._url) as session:
                self._persist(session, step)

    def accept(self, sha256: str) -> None:
        """Move the finished part into the cache; if its digest is wrong, remove it and raise Unavailable."""
        try:
            file_cache.accept(self.part, self._path, sha256, shown(self._url))
        except Unavailable:
            self._drop()
            raise
        self._drop()

    def _persist(self, session: requests.Session, step: Step) -> None:
        """Send requests until the part is complete, as long as they bring new bytes."""
        stalls, reason = 0, ""
        for _ in range(ATTEMPTS):
            before = self._have()
            response = self._opened(session)
            try:
                with response:
                    self._receive(response, step)
                return
            except BODY_ERRORS as error:
                reason = why(error)
            stalls = 0 if self._have() > before else stalls + 1
            if stalls >= STALLS:
                break
            if self._context.stop.wait(PAUSE_S * stalls):
                raise Stopped
        raise self._refused(f"the connection broke repeatedly, after {self._have()} bytes: {reason}")

    def _opened(self, session: requests.Session) -> requests.Response:
        try:
            return opened(session, self._url, self._range_headers())
        except BODY_ERRORS as error:
            raise self._refused(why(error)) from error

    def _range_headers(self) -> dict[str, str]:
        """Return the headers of a request for the rest; with If-Range if the part is of the same URL."""
        have = self._have()
        if not have:
            return {}
        headers = {"Range": f"bytes={have}-"}
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            note = {}
        if isinstance(note, dict) and note.get("url") == shown(self._url) and note.get("validator"):
            headers["If-Range"] = str(note["validator"])
        return headers

    def _receive(self, response: requests.Response, step: Step) -> None:
        """Append a response's body to the part; raises BODY_ERRORS if it is incomplete, after writing what arrived."""
        have = self._have()
        if response.status_code == 416 and have:
            self.continued = True
            return  # there is no rest: the digest shows whether the part is the file
        if response.status_code not in (200, 206):
            raise self._refused(f"status {response.status_code} {response.reason}")
        start = _start(response)
        if start not in (0, have):
            self._drop()
            raise requests.ConnectionError(f"the server continued at byte {start} instead of {have}")
        self.continued = self.continued or start > 0
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdigit() else None
        self._check_space(total, start)
        self._write_note(response)
        done = self._write(body(response, PIECE), start, total, step)
        if total is not None and done < total:
            raise requests.ConnectionError(f"{done} of {total} bytes arrived")

    def _write(self, pieces: Iterable[bytes], start: int, total: int | None, step: Step) -> int:
        """Write the pieces to the part from byte ``start`` on; returns the part's size."""
        done = start
        for size in self._written(pieces, start):
            done += size
            step.size(done, total)
            if self._context.stop.is_set():
                raise Stopped
        return done

    def _written(self, pieces: Iterable[bytes], start: int) -> Iterator[int]:
        # Only errors of the disk become a DiskError, not those of the network, which `pieces` raises.
        with disk_errors(self.part):
            handle = os.open(self.part, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            with disk_errors(self.part):
                os.ftruncate(handle, start)
                os.lseek(handle, start, os.SEEK_SET)
            for piece in pieces:
                with disk_errors(self.part):
                    write_all(handle, piece)
                yield len(piece)
        finally:
            os.close(handle)

    def _copy(self, step: Step) -> None:
        """Copy a file of this machine."""
        path = Path(unquote(urlsplit(self._url).path) if self._url.startswith("file:") else self._url)
        try:
            size = path.stat().st_size
            self._check_space(size, 0)
            self._write(file_pieces(path), 0, size, step)
        except OSError as error:
            raise self._refused(error.strerror or str(error)) from error

    def _check_space(self, total: int | None, have: int) -> None:
        free = shutil.disk_usage(self.part.parent).free
        if total is not None and total - have > free:
            raise _no_space(self.part, total - have, free)

    def _write_note(self, response: requests.Response) -> None:
        tag = response.headers.get("ETag", "")
        # A weak tag does not promise equal bytes, which joining two halves needs (RFC 9110, 13.1.5).
        validator = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")
        write_whole(self._note, json.dumps({"url": shown(self._url), "validator": validator}))

    def _have(self) -> int:
        try:
            return self.part.stat().st_size
        except FileNotFoundError:
            return 0

    def _drop(self) -> None:
        self.part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _refused(self, why: str) -> Unavailable:
        return Unavailable([Reason(shown(self._url), why)])


def _start(response: requests.Response) -> int:
    """Return the byte at which a response's body begins; -1 if the server does not say."""
    if response.status_code == 200:
        return 0
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else -1


def _no_space(path: Path, needed: int, free: int) -> DiskError:
    text = f"the download needs {needed / 1e6:.1f} MB, {free / 1e6:.1f} MB are free"
    return disk_error(OSError(errno.ENOSPC, text, str(path)), path)
