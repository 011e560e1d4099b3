"""A workspace, recipes written as files, archives packed for the test, and a real web server on loopback."""

import hashlib
import io
import socket
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from builders.host import apt_access
from builders.host.apt_access import AptAccess
from builders.host.log import Log
from builders.host.workspace import Workspace
from builders.model.arch import AMD64
from builders.model.context import Context
from builders.model.recipe import Recipe, load_recipe
from builders.model.settings import Settings
from builders.model.source_tree import SourceTree
from builders.sources import fetch
from builders.sources.http import transfer


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


Members = Mapping[str, bytes | tarfile.TarInfo]


def pack_tar(members: Members, mode: str = "w:gz") -> bytes:
    """Pack a tar from file contents, or from ready headers for what is no plain file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
            else:
                header = tarfile.TarInfo(name)
                header.size = len(content)
                header.mode = 0o755 if name.endswith(".sh") else 0o644
                tar.addfile(header, io.BytesIO(content))
    return packed.getvalue()


def pack_zip(members: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            header = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            header.external_attr = (stat.S_IFREG | (0o755 if name.endswith(".sh") else 0o644)) << 16
            archive.writestr(header, content)
        for name, target in (links or {}).items():
            header = zipfile.ZipInfo(name)
            header.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(header, target)
    return packed.getvalue()


def header(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    result = tarfile.TarInfo(name)
    result.type = kind
    result.linkname = target
    return result


def relink(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def link(name: str, target: str) -> tarfile.TarInfo:
    return header(name, tarfile.SYMTYPE, target)


def write_recipe(folder: Path, sources: list[dict[str, Any]], edits: list[dict[str, Any]] | None = None) -> Recipe:
    """Write ``folder/demo/recipe.yml`` with these sources and read it back as users' recipes are read."""
    document = {
        "name": "demo", "version": "1.0", "summary": "A demonstration", "homepage": "http://localhost",
        "license": "MIT",
        "changelog": [{"revision": 1, "date": "2026-01-01T00:00:00Z", "changes": ["First."]}],
        "sources": sources, "edits": edits or [],
        "targets": {"suites": ["trixie"], "architectures": ["arm64"]},
        "build": {}, "packages": [{"name": "demo", "summary": "A demonstration", "description": "It shows."}],
    }  # fmt: skip
    place = folder / "demo"
    place.mkdir(parents=True, exist_ok=True)
    (place / "recipe.yml").write_text(yaml.safe_dump(document))
    return load_recipe(place)


def archive(*urls: str, sha256: str, name: str = "main", **more: Any) -> dict[str, Any]:
    """Return an archive source as a recipe writes it; ``strip`` is 0 unless given."""
    strip = more.pop("strip", 0)
    return {"name": name, "archive": {"urls": list(urls), "sha256": sha256, "strip": strip}, **more}


@dataclass
class Bench:
    """One workspace with its settings and what the log said."""

    folder: Path
    settings: Settings = field(default_factory=Settings)
    said: io.StringIO = field(default_factory=io.StringIO)

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.folder / "artifacts")

    @property
    def cache(self) -> Path:
        return self.workspace.cache.downloads / "sha256"

    @property
    def context(self) -> Context:
        log = Log(live=False, console=Console(file=self.said, highlight=False, soft_wrap=True))
        return Context(self.folder, self.settings, self.workspace, AMD64, log)

    def fetch(self, recipe: Recipe, *, offline: bool = False) -> SourceTree:
        return fetch(recipe, self.context, offline=offline)

    def fetch_archive(self, data: bytes, **more: Any) -> SourceTree:
        """Fetch a recipe with one source: an archive with these bytes, by ``file://``."""
        place = self.folder / "upstream"
        place.mkdir(exist_ok=True)
        (place / "archive").write_bytes(data)
        source = archive(f"file://{place / 'archive'}", sha256=sha256(data), **more)
        return self.fetch(write_recipe(self.folder, [source]))

    def nothing_made(self) -> bool:
        """Tell whether neither a tree nor rubbish of one is left."""
        return not any(
            path
            for place in (self.workspace.cache.trees, self.workspace.cache.scratch)
            if place.exists()
            for path in place.iterdir()
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PAUSE_S", 0)
    monkeypatch.setattr(apt_access, "access", lambda _: AptAccess())
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "no_proxy", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)


Answer = Callable[["Handler", bytes], None]
"""Answers one request for a path that holds these bytes."""


class Handler(BaseHTTPRequestHandler):
    """Answers as its site's plan for the path says, one answer after the other, the last for ever."""

    site: "Site"

    def do_GET(self) -> None:
        with self.site.lock:
            self.site.requests.append((self.path, dict(self.headers)))
            answers = self.site.plan.get(self.path, [whole])
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if self.path in self.site.files:
            answer(self, self.site.files[self.path])
        else:
            self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@dataclass
class Site:
    """A web server on loopback: ``files`` by path, ``plan`` of answers by path, ``requests`` as they came."""

    server: ThreadingHTTPServer
    files: dict[str, bytes] = field(default_factory=dict)
    plan: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def put(self, path: str, data: bytes, *answers: Answer) -> str:
        """Serve ``data`` at ``path`` with these answers and return its URL."""
        self.files[path] = data
        self.plan[path] = list(answers) or [ranged]
        return self.url + path

    def ranges(self) -> list[str | None]:
        """Return the Range header of each request."""
        return [headers.get("Range") for _, headers in self.requests]


@pytest.fixture
def site() -> Iterator[Site]:
    class SiteHandler(Handler):
        """This site's own."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), SiteHandler)
    server.daemon_threads = True
    result = SiteHandler.site = Site(server)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield result
    server.shutdown()
    server.server_close()


def whole(handler: Handler, data: bytes) -> None:
    """Send everything, whatever range was asked for."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


def ranged(handler: Handler, data: bytes, *, tag: str = '"one"', send: int | None = None) -> None:
    """Send what was asked for as a good server does; only the first ``send`` bytes of it where given."""
    asked, condition = handler.headers.get("Range"), handler.headers.get("If-Range")
    start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and condition in (None, tag) else 0
    if start >= len(data):
        handler.send_error(416)
        return
    handler.send_response(206 if start else 200)
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
    if tag:
        handler.send_header("ETag", tag)
    handler.send_header("Content-Length", str(len(data) - start))
    handler.end_headers()
    handler.wfile.write(data[start:] if send is None else data[start : start + send])


def cut(send: int, tag: str = '"one"') -> Answer:
    """Return an answer that breaks off after ``send`` bytes."""
    return lambda handler, data: ranged(handler, data, tag=tag, send=send)


def tagged(tag: str) -> Answer:
    """Return a good answer with another ETag (none where empty)."""
    return lambda handler, data: ranged(handler, data, tag=tag)


def status(code: int) -> Answer:
    return lambda handler, _data: handler.send_error(code)


def instead(other: bytes, answer: Answer = whole) -> Answer:
    """Return an answer that gives other bytes than the path holds."""
    return lambda handler, _data: answer(handler, other)


def refuse_sockets(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Turn every socket that is opened into a failure, and note it."""
    opened: list[object] = []

    def refuse(self: socket.socket, address: object) -> None:
        opened.append(address)
        raise AssertionError(f"a socket was opened to {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *address: refuse(socket.socket(), address))
    return opened
