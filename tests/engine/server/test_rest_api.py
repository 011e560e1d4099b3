"""Plain HTTP against the model server: one test for each row of the REST API's behaviour.

URLs, statuses and texts are those of TensorFlow Serving: http_rest_api_handler.cc, http_rest_api_util.cc,
json_tensor.cc, http_server.cc and g3doc/api_rest.md.
"""

import gzip
import json
import math
import re
import socket
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.model_server import ModelServer

HALF = "/v1/models/half_plus_two:predict"


def predict(model: str, verb: str = "predict") -> str:
    """Return the URL of a model's call."""
    return f"/v1/models/{model}:{verb}"


@dataclass(frozen=True)
class Row:
    """A request and its reply; ``body`` as text is sent as it is."""

    name: str
    target: str
    body: Any
    reply: Any
    status: int = 200


ANSWERED = [
    Row("rows of one input", HALF, {"instances": [1.0, 2.0, 5.0]}, {"predictions": [2.5, 3.0, 4.5]}),
    Row("whole numbers for floats", HALF, {"instances": [1]}, {"predictions": [2.5]}),
    Row("a column of one input", HALF, {"inputs": [1.0, 2.0]}, {"outputs": [2.5, 3.0]}),
    Row("a column by name", HALF, {"inputs": {"x": [4.0]}}, {"outputs": [4.0]}),
    Row("a signature by name", HALF, {"signature_name": "serving_default", "instances": [2]}, {"predictions": [3.0]}),
    Row("another signature", predict("two_signatures"), {"signature_name": "triple", "instances": [2]},
        {"predictions": [6.0]}),
    Row("rows of several inputs", predict("two_inputs"),
        {"instances": [{"a": [1, 2], "b": [3, 4]}, {"a": [0, 1], "b": [1, 1]}]},
        {"predictions": [{"sum": [4.0, 6.0], "product": [3.0, 8.0]}, {"sum": [1.0, 2.0], "product": [0.0, 1.0]}]}),
    Row("columns of several inputs", predict("two_inputs"), {"inputs": {"a": [[1, 2]], "b": [[3, 4]]}},
        {"outputs": {"sum": [[4.0, 6.0]], "product": [[3.0, 8.0]]}}),
    Row("a version", "/v1/models/two_versions/versions/1:predict", {"instances": [1]}, {"predictions": [2.5]}),
    Row("a label", "/v1/models/two_versions/labels/old:predict", {"instances": [1]}, {"predictions": [2.5]}),
    Row("a URL in capitals", "/V1/MODELS/half_plus_two:PREDICT", {"instances": [1]}, {"predictions": [2.5]}),
    Row("an encoded name", "/v1/models/half%5Fplus%5ftwo:predict", {"instances": [1]}, {"predictions": [2.5]}),
    Row("strings, answered in base64", predict("string_echo"), {"instances": ["a", {"b64": "Z3L8bg=="}]},
        {"predictions": [{"b64": "YQ=="}, {"b64": "Z3L8bg=="}]}),
    Row("small whole numbers", predict("int8"), {"instances": [[-128, 127, 0, 1]]},
        {"predictions": [[-128, 127, 0, 1]]}),
    Row("rows of a fixed batch", predict("fixed_batch"), {"instances": [[0, 2, 4, 6], [2, 2, 2, 2]]},
        {"predictions": [[2.0, 3.0, 4.0, 5.0], [3.0, 3.0, 3.0, 3.0]]}),
    Row("a scalar output in a column", predict("scalar"), {"inputs": [1, 2]}, {"outputs": 3.0}),
]  # fmt: skip


@pytest.mark.parametrize("row", ANSWERED, ids=lambda row: row.name)
def test_it_answers(row: Row, server: ModelServer) -> None:
    reply = server.request("POST", row.target, row.body)
    assert (reply.status, reply.json) == (200, row.reply)
    assert reply.headers["content-type"] == "application/json"


def error(text: str) -> dict[str, str]:
    """Return the body of an error."""
    return {"error": text}


REFUSED = [
    Row("an unknown model", predict("x"), {"instances": [1]}, "Servable not found for request: Latest(x)", 404),
    Row("an unknown version", "/v1/models/half_plus_two/versions/9:predict", {"instances": [1]},
        "Servable not found for request: Specific(half_plus_two, 9)", 404),
    Row("an unknown label", "/v1/models/half_plus_two/labels/L:predict", {"instances": [1]},
        "Unrecognized servable version label: L", 400),
    Row("an unknown signature", HALF, {"signature_name": "s", "instances": [1]},
        'Serving signature name: "s" not found in signature def', 400),
    Row("an unknown verb", predict("half_plus_two", "run"), {"instances": [1]},
        "Malformed request: POST /v1/models/half_plus_two:run", 400),
    Row("a query string", f"{HALF}?a=b", {"instances": [1]}, f"Malformed request: POST {HALF}?a=b", 400),
    Row("neither form", HALF, {}, "Missing 'inputs' or 'instances' key", 400),
    Row("broken JSON", HALF, b'{"instances": [1.0, ', None, 400),
    Row("a row missing a member", HALF, b"{,}",
        "JSON Parse error: Missing a name for object member. at offset: 1", 400),
    Row("a number that loses digits", HALF, {"instances": [16777217]}, None, 400),
    Row("a number that does not fit", predict("int8"), {"instances": [[128, 0, 0, 0]]}, None, 400),
    Row("a fraction for a whole number", predict("int8"), {"instances": [[0.5, 0, 0, 0]]}, None, 400),
    Row("ragged rows", predict("two_inputs"), {"instances": [{"a": [1, 2], "b": [3]}]}, None, 400),
    Row("a scalar output in rows", predict("scalar"), {"instances": [1, 2]}, None, 400),
    Row("deep nesting", HALF, b'{"instances": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, 400),
]  # fmt: skip


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.name)
def test_it_refuses(row: Row, server: ModelServer) -> None:
    reply = server.request("POST", row.target, row.body)
    assert reply.status == row.status
    assert set(reply.json) == {"error"}
    assert row.reply is None or reply.json == error(row.reply)


def test_not_a_number_and_infinity_are_read_and_written(server: ModelServer) -> None:
    """By a model that copies: arithmetic of TensorFlow Lite ends at the greatest number."""
    kinds = ("double", "half", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
    inputs = {kind: [[1, 2]] for kind in kinds} | {"bool": [[True, False]], "float": [[math.nan, -math.inf]]}
    reply = server.request("POST", predict("many_types"), {"inputs": inputs})
    assert reply.status == 200, reply.body
    assert re.search(r'"float_out":\[\[NaN,-Infinity\]\]', "".join(reply.body.decode().split()))


def test_status_is_tensorflow_servings_json(server: ModelServer) -> None:
    reply = server.request("GET", "/v1/models/two_versions/versions/1")
    assert reply.json == {
        "model_version_status": [
            {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }


@pytest.mark.parametrize(
    ("target", "status", "text"),
    [
        ("/v1/models/x", 404, "Could not find any versions of model x"),
        ("/v1/models/half_plus_two/versions/9", 404, "Could not find version 9 of model half_plus_two"),
        ("/v1/models/", 400, None),
        ("/v1/models/half_plus_two/versions/abc", 400, None),
    ],
)
def test_a_status_that_is_not_there(target: str, status: int, text: str | None, server: ModelServer) -> None:
    reply = server.request("GET", target)
    assert reply.status == status
    assert text is None or reply.json == error(text)


def test_metadata_in_json_is_the_signatures(server: ModelServer) -> None:
    reply = server.request("GET", "/v1/models/half_plus_two/metadata")
    assert reply.json["model_spec"] == {"name": "half_plus_two", "signature_name": "", "version": "1"}
    signatures = reply.json["metadata"]["signature_def"]["signature_def"]
    assert signatures["serving_default"]["inputs"]["x"]["dtype"] == "DT_FLOAT"


def test_requests_and_replies_may_be_compressed(server: ModelServer) -> None:
    rows = [float(i) for i in range(5000)]
    body = gzip.compress(json.dumps({"instances": rows}).encode())
    reply = server.request("POST", HALF, body, Content_Encoding="gzip", Accept_Encoding="gzip")
    assert reply.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(reply.body)) == {"predictions": [row / 2 + 2 for row in rows]}


def test_a_bomb_and_a_broken_body_are_refused(server: ModelServer) -> None:
    bomb = gzip.compress(b" " * (200 << 20))
    assert server.request("POST", HALF, bomb, Content_Encoding="gzip").status == 413
    assert server.request("POST", HALF, b"no gzip", Content_Encoding="gzip").status == 400
    assert server.request("POST", HALF, {"instances": [1]}).status == 200


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(server: ModelServer) -> None:
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=30) as raw:
        raw.sendall(f"POST {HALF} HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000000\r\n\r\n".encode())
        assert b" 413 " in raw.recv(1000)


def test_another_path_is_not_found(server: ModelServer) -> None:
    assert server.request("GET", "/v3/models").status == 404
