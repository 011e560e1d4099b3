"""A fake model server of a light board: the state of models as the real one tells it, from the board's folders.

Light boards have no systemd and share this machine's network, so the tests' process answers. A version is available if
its file `model.tflite` is not the text "broken". The real server answers on virtual boards.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.light_board import LightBoard

BASE = "/var/lib/edge-model-server/models"
CONFIG = "/etc/edge-model-server/models.config"


@contextmanager
def answering(reply: Callable[[str], str]) -> Iterator[int]:
    """Serve the text that ``reply`` returns for a path, 404 for an empty one, and give the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = reply(self.path)
            self.send_response(200 if content else 404)
            self.end_headers()
            self.wfile.write((content or '{"error": "not found"}').encode())

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def fake_model_server(board: LightBoard) -> Iterator[None]:
    """Answer for the models of a board, whose configuration is as the package `edge-model-server` brings it."""
    with answering(lambda path: _states(board, path.removeprefix("/v1/models/"))) as port:
        board.shell(f"mkdir -p /etc/edge-model-server /etc/default {BASE}")
        board.path(CONFIG).write_text("model_config_list {\n}\n")
        board.path("/etc/default/edge-model-server").write_text(f'REST_PORT="{port}"\n')
        yield


def _states(board: LightBoard, name: str) -> str:
    """Return the state of a model's latest version, as the real server's JSON."""
    numbers = [int(path.name) for path in board.path(f"{BASE}/{name}").glob("*") if path.name.isdigit()]
    if not numbers or f'name: "{name}"' not in board.path(CONFIG).read_text():
        return ""
    broken = board.path(f"{BASE}/{name}/{max(numbers)}/model.tflite").read_text() == "broken"
    message = 'this is no model (no "TFL3")' if broken else ""
    status = {"error_code": "INTERNAL" if broken else "OK", "error_message": message}
    version = {"version": str(max(numbers)), "state": "LOADING" if broken else "AVAILABLE", "status": status}
    return json.dumps({"model_version_status": [version]}, indent=1)
