"""The rehearsal of recipes/tensorflow-serving: its own steps, on a miniature of its sources, with Debian's Bazel.

What differs from the recipe stands in `rehearsed`, and nowhere else.
"""

import functools
import hashlib
import http.server
import io
import shutil
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from tests.support.checkout import CHECKOUT
from tests.support.place import Place

RECIPE = CHECKOUT / "recipes" / "tensorflow-serving"
MINIATURE = CHECKOUT / "tests" / "fixtures" / "serving"
DEBIANS_BAZEL = "3.5.1"
"""The version of bullseye's bazel-bootstrap; the recipe's own, 6.5.0, comes from a host that CI does not reach."""
NATIVE_BAZEL = "4.2.3"
"""That of bookworm's: the older one cannot be told of mirrors."""
TELLS_ITS_VERSION = f"""#!/bin/sh
case $1 in
--version) echo "bazel {NATIVE_BAZEL}" ;; # which Debian built it without
*) exec bazel "$@" ;;
esac
"""


def packed(nonce: str = "") -> bytes:
    """The external archive that the miniature's workspace names; another ``nonce`` gives another digest."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for path in sorted((MINIATURE / "tensorflow").rglob("*")):
            info = archive.gettarinfo(path, str(path.relative_to(MINIATURE)))
            info.uid = info.gid = info.mtime = 0
            info.uname = info.gname = ""
            if info.isfile():
                with path.open("rb") as content:
                    archive.addfile(info, content)
            else:
                archive.addfile(info)
        info = tarfile.TarInfo("tensorflow/nonce")
        info.size = len(nonce)
        archive.addfile(info, io.BytesIO(nonce.encode()))
    return held.getvalue()


class Upstream:
    """Upstream's hosts, on loopback: ``asked`` holds the requests, ``gate`` lets answers wait.

    ``nonce`` makes the archive one that no run before this one can have fetched.
    """

    def __init__(self, folder: Path, nonce: str) -> None:
        self.nonce = nonce
        self.asked: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        (folder / "tensorflow.tar").write_bytes(packed(nonce))
        handler = functools.partial(self._handler(), directory=str(folder))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def _handler(self) -> type[http.server.SimpleHTTPRequestHandler]:
        upstream = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                upstream.asked.append(self.path)
                upstream.gate.wait(300)
                with suppress(ConnectionError):  # of a reader that was ended meanwhile
                    super().do_GET()

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@contextmanager
def upstream(folder: Path, nonce: str = "") -> Iterator[Upstream]:
    """Serve the miniature's external archive until the end of the block."""
    folder.mkdir(parents=True)
    held = Upstream(folder, nonce)
    thread = threading.Thread(target=held.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield held
    finally:
        held.gate.set()
        held.server.shutdown()
        held.server.server_close()
        thread.join()


def tree(folder: Path, url: str, nonce: str = "") -> Path:
    """Put the miniature's workspace into ``folder``, its archive at ``url``."""
    shutil.copytree(MINIATURE / "tree", folder)
    workspace = folder / "WORKSPACE"
    digest = hashlib.sha256(packed(nonce)).hexdigest()
    text = workspace.read_text().replace("@URL@", url).replace("@SHA256@", digest)
    workspace.write_text(text)
    return folder


def rehearsed(place: Place, changes: Mapping[str, Any] | None = None, *, natively: bool = False) -> None:
    """Give ``place`` the recipe, with Debian's Bazel for the pinned one; ``changes`` go over its ``build.bazel``.

    ``natively`` it is for amd64, which has other flags of the CPU, and in a bookworm root; Bazel is a program among the
    sources, as the pinned one is.
    """
    folder = place.folder / "recipes" / "tensorflow-serving"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(RECIPE, folder)
    recipe = yaml.safe_load((RECIPE / "recipe.yml").read_text())
    recipe["sources"] = [source for source in recipe["sources"] if not source["name"].startswith("bazel-")]
    recipe["build"]["tools"] = ["bazel-bootstrap"]  # the others are for what upstream's real dependencies run
    recipe["build"]["bazel"] |= {"version": DEBIANS_BAZEL, "programs": {}, **(changes or {})}
    if natively:
        recipe["targets"] = {"suites": ["bookworm", "trixie"], "architectures": ["amd64"]}
        recipe["build"]["root"] = "bookworm"
        recipe["sources"].append({"name": "bazel-amd64", "unpack": "reef-bazel", "local": {"path": "bazel"}})
        (folder / "bazel").mkdir()
        (folder / "bazel/amd64").write_text(TELLS_ITS_VERSION)
        (folder / "bazel/amd64").chmod(0o755)
        recipe["build"]["bazel"] |= {
            "version": NATIVE_BAZEL, "programs": {"amd64": "reef-bazel/amd64"},
            "variants": {"generic": ["--copt=-march=x86-64"]},
        }  # fmt: skip
    (folder / "recipe.yml").write_text(yaml.safe_dump(recipe))


def words(tree: Path, *more: str, target: str = "trixie/arm64", strategy: str = "cross") -> list[str]:
    """The command line that builds the rehearsal, by default for trixie and crosswise."""
    given = ["--recipe", "tensorflow-serving", "--target", target, "--strategy", strategy]
    return ["build-arm", *given, "--source", f"serving={tree}", *more]
