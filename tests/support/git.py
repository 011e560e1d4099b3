"""Real git repositories, and a web server that gives them out as a folder of files, large files with the LFS API."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

ALONE = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
LFS = "*.tflite filter=lfs diff=lfs merge=lfs -text\n"


def git(repository: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@localhost", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *identity, *arguments],
        cwd=repository,
        env=os.environ | ALONE,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def commit(repository: Path, files: Mapping[str, str | bytes], *init: str) -> str:
    """Commit files to a repository, made with the options ``init`` unless it exists; return the commit."""
    if not repository.exists():
        repository.mkdir(parents=True)
        git(repository, "init", "--quiet", *init)
    for name, content in files.items():
        path = repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(0o755 if name.endswith(".sh") else 0o644)
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "more")
    return git(repository, "rev-parse", "HEAD")


def git_source(repository: Path, files: Mapping[str, str | bytes], **more: Any) -> dict[str, Any]:
    """Make a commit and return it as a recipe writes it."""
    return {"name": "main", "git": {"url": f"file://{repository}", "commit": commit(repository, files), **more}}


def pointer(content: bytes) -> str:
    """Return the pointer of Git LFS for a file."""
    return (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256(content).hexdigest()}\nsize {len(content)}\n"
    )


def store(repository: Path, content: bytes) -> Path:
    """Put a file where Git LFS keeps it in a repository, and return its path."""
    oid = sha256(content).hexdigest()
    path = repository / "lfs/objects" / oid[:2] / oid[2:4] / oid
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


class Served(SimpleHTTPRequestHandler):
    """Gives out a folder; answers the batch requests of git-lfs with files of ``large``, by SHA-256."""

    large: Mapping[str, bytes]

    def do_GET(self) -> None:
        if content := self.large.get(self.path.removeprefix("/large/")):
            self._answer(content, "application/octet-stream")
        else:
            super().do_GET()

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        host = f"http://{self.headers['Host']}/large"
        objects = [
            each | {"actions": {"download": {"href": f"{host}/{each['oid']}"}}}
            if each["oid"] in self.large
            else each | {"error": {"code": 404, "message": "no such file here"}}
            for each in asked["objects"]
        ]
        self._answer(json.dumps({"objects": objects}).encode(), "application/vnd.git-lfs+json")

    def _answer(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path, *large: bytes) -> Iterator[str]:
    """Serve a folder on loopback, with large files; gives the URL."""

    class Handler(Served):
        """This server's own."""

    Handler.large = {sha256(content).hexdigest(): content for content in large}
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
