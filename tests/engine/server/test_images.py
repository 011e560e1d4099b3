"""Image files for a model with an image as its input, by every way into the server, and what wrong ones are told."""

import base64
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.model_server import EdgeClient, ModelServer, Reply, serving

PREDICT = "/v1/models/image:predict"
INFER = "/v2/models/image/infer"
PIXELS = [(7 * number) % 256 for number in range(48)]
"""4 by 4 pixels of red, green and blue: the size of the model's input, so that nothing is scaled."""


def png(pixels: list[int], width: int = 4, height: int = 4) -> bytes:
    """Return a PNG file."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + bytes(pixels[3 * width * y : 3 * width * (y + 1)]) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


FILE = png(PIXELS)
TEXT = base64.b64encode(FILE).decode()


@pytest.fixture(scope="module")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    flags = ["--model_name=image", f"--model_base_path={models / 'image'}"]
    with serving(tmp_path_factory.mktemp("server"), *flags) as running:
        yield running


def v2(server: ModelServer, *data: object, datatype: str = "BYTES", shape: list[int] | None = None) -> Reply:
    given = {"name": "image", "datatype": datatype, "shape": shape or [len(data)], "data": list(data)}
    return server.request("POST", INFER, {"inputs": [given]})


def test_tensorflow_servings_json_takes_files(server: ModelServer) -> None:
    for instance in ({"b64": TEXT}, TEXT):
        assert server.request("POST", PREDICT, {"instances": [instance] * 2}).json == {"predictions": [PIXELS] * 2}


def test_a_body_may_be_the_file(server: ModelServer) -> None:
    assert server.request("POST", PREDICT, FILE, Content_Type="image/png").json == {"predictions": [PIXELS]}


def test_v2_takes_files_in_json_and_in_binary(server: ModelServer) -> None:
    for data in (TEXT, {"b64": TEXT}):
        [output] = v2(server, data, data).json["outputs"]
        assert (output["shape"], output["data"]) == ([2, 48], PIXELS * 2)
    element = struct.pack("<I", len(FILE)) + FILE
    given = {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(element)}}
    head = json.dumps({"inputs": [given]}).encode()
    reply = server.request("POST", INFER, head + element, Inference_Header_Content_Length=str(len(head)))
    assert reply.json["outputs"][0]["data"] == PIXELS


def test_the_client_sends_files(server: ModelServer, tmp_path: Path) -> None:
    photograph = tmp_path / "cat.png"
    photograph.write_bytes(FILE)
    code, output = EdgeClient(server, "predict", "image", "--input", str(photograph)).end()
    assert code == 0, output
    assert [int(line.split()[1]) for line in output.splitlines()[1:]] == PIXELS


def test_a_large_picture_is_scaled(server: ModelServer) -> None:
    even = png([200] * 3 * 64 * 32, 64, 32)
    assert server.request("POST", PREDICT, even, Content_Type="image/png").json == {"predictions": [[200] * 48]}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"instances": ["cat.jpg"]}, "image 0: the 7 bytes are neither a JPEG nor a PNG file"),
        ({"instances": [{"b64": TEXT}, {"b64": TEXT[:64]}]}, "image 1: the PNG file cannot be read"),
        ({"instances": [[{"b64": TEXT}]]}, "takes them one after the other"),
        ({"instances": [[1, 2, 3]]}, "[1,4,4,3]"),
    ],
)
def test_wrong_inputs_are_told_why(body: dict[str, Any], says: str, server: ModelServer) -> None:
    reply = server.request("POST", PREDICT, body)
    assert (reply.status, says in reply.json["error"]) == (400, True), reply


def test_v2_tells_why_too(server: ModelServer) -> None:
    for reply, says in (
        (v2(server, "cat.jpg"), "image 0: the 7 bytes are neither a JPEG nor a PNG file"),
        (v2(server, TEXT, TEXT, shape=[1, 2]), "takes them one after the other"),
        (
            v2(server, *PIXELS, datatype="FP32", shape=[1, 4, 4, 3]),
            "input image is DT_FLOAT, but the model takes DT_UINT8",
        ),
    ):
        assert (reply.status, says in reply.json["error"]) == (400, True), reply


def test_the_client_tells_why(server: ModelServer, tmp_path: Path) -> None:
    wrong = tmp_path / "notes.txt"
    wrong.write_text("no image")
    code, output = EdgeClient(server, "predict", "image", "--input", str(wrong)).end()
    assert (code, "expected DT_UINT8 [1,4,4,3], the input has 8 bytes instead of 48" in output) == (5, True), output
    wrong.write_bytes(FILE[:60])
    code, output = EdgeClient(server, "predict", "image", "--input", str(wrong)).end()
    assert (code, "image 0: the PNG file cannot be read" in output) == (4, True), output
