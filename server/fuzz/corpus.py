#!/usr/bin/env python3
"""Write the first inputs of a fuzzer, a file each.

corpus.py FUZZER FOLDER
"""

import gzip
import struct
import sys
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path


def varint(number: int) -> bytes:
    """Return a number in protocol buffers' variable length encoding."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def field(number: int, value: int | bytes) -> bytes:
    """Return a field of a protocol buffer: a number, or bytes of any kind."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


# The forms of a predict body and what is refused; values of each dtype of json_fuzz.cc.
BODIES = [
    '{"instances": [[1, 2.5], [-3e2, NaN]]}',
    '{"instances": [{"x": 1, "y_bytes": "a"}, {"x": 2, "y_bytes": {"b64": "aGk="}}]}',
    '{"instances": [{"b64": "aGk="}, {"b64": ""}], "signature_name": "s"}',
    '{"inputs": {"x": [[[1], [2]]], "y_bytes": ["\\u00e9\\n", ""]}}',
    '{"inputs": [true, false]}',
    '{"inputs": [Infinity, -Infinity, 16777217, 3.4e38, 1e39, 65504]}',
    '{"inputs": [-9223372036854775808, 18446744073709551615]}',
    '{"inputs": [[], []]}',
    '{"inputs": [1, [2]], "inputs": 0}',
    '{"inputs": ' + "[" * 64 + "]" * 64 + "}",
    '{"examples": [{"x": 1.5, "y": ["a", {"b64": "aGk="}]}, {"x": [1, true]}], "context": {"c": 7}}',
    '{"examples": [{}]} trailing',
    "{x}",
]


def json() -> Iterable[bytes]:
    """Return bodies behind each choice of a signature."""
    return (bytes([choice]) + body.encode() for choice in (*range(9), 128, 135) for body in BODIES)


def json_v2() -> Iterable[bytes]:
    """Return infer requests with and without bytes behind the JSON."""
    flat = '{"name": "a", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3.5, 4]}'
    nested = '{"name": "b", "shape": [1, 2], "datatype": "INT8", "data": [[1, 2]]}'
    texts = '{"name": "c", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]}'
    raw = '{"name": "d", "shape": [2], "datatype": "UINT16", "parameters": {"binary_data_size": 4}}'
    raw_texts = '{"name": "e", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": 10}}'
    outputs = '"outputs": [{"name": "y", "parameters": {"binary_data": true}}]'
    bodies = [
        ('{"id": "1", "inputs": [' + flat + "]}", b""),
        ('{"inputs": [' + nested + ", " + texts + "]}", b""),
        ('{"inputs": [' + raw + '], "parameters": {"binary_data_output": true}, ' + outputs + "}", b"\1\0\2\0"),
        ('{"inputs": [' + raw_texts + "]}", b"\2\0\0\0hi\0\0\0\0"),
    ]
    return (struct.pack("<H", len(body)) + body.encode() + binary for body, binary in bodies)


# Fields of TensorProto: the dtype's number, the field of its values, and values for two elements.
TENSORS = [
    (1, 5, struct.pack("<2f", 1.5, -2)),
    (2, 6, struct.pack("<2d", 1.5, -2)),
    (3, 7, varint(1) + varint(2)),
    (4, 7, varint(1) + varint(255)),
    (5, 7, varint(1) + varint(32767)),
    (6, 7, varint(1) + varint(127)),
    (7, 8, b"text"),
    (8, 9, struct.pack("<4f", 1, 2, 3, 4)),
    (9, 10, varint(1) + varint(1 << 40)),
    (10, 11, b"\1\0"),
    (17, 7, varint(1) + varint(65535)),
    (18, 12, struct.pack("<4d", 1, 2, 3, 4)),
    (19, 13, varint(15360) + varint(49152)),
    (22, 16, varint(1) + varint(1 << 31)),
    (23, 17, varint(1) + varint(1 << 63)),
]


def shape(*sizes: int) -> bytes:
    """Return the field tensor_shape."""
    return field(2, b"".join(field(2, field(1, size)) for size in sizes))


def tensor_proto() -> Iterable[bytes]:
    """Return tensors of each dtype, by typed field and by content, and shapes that are refused."""
    for dtype, number, values in TENSORS:
        yield field(1, dtype) + shape(2) + field(number, values)
        yield field(1, dtype) + shape(2, 3) + field(number, values)
        yield field(1, dtype) + shape(2) + field(4, b"\0" * 16)
    yield field(1, 1) + shape(1 << 20, 1 << 20) + field(5, struct.pack("<f", 1))
    yield field(1, 1) + shape((1 << 63) - 1, 3)
    yield field(1, 1) + field(2, field(3, 1))


def example(*features: tuple[str, bytes]) -> bytes:
    """Return a tensorflow.Example of features whose kind is encoded."""
    entries = (field(1, name.encode()) + field(2, kind) for name, kind in features)
    return field(1, b"".join(field(1, entry) for entry in entries))


def examples() -> Iterable[bytes]:
    """Return lists of examples, with and without a context."""
    floats = example(("x", field(2, field(1, struct.pack("<2f", 1.5, 2)))))
    ints = example(("x", field(3, field(1, varint(1) + varint(2)))))
    texts = example(("x", field(1, field(1, b"text"))), ("y", b""))
    for one in (floats, ints, texts, b""):
        yield field(1, field(1, one) + field(1, one))
        yield field(2, field(1, b"") + field(1, one) + field(2, one))
    yield field(1, b"")


def models_config() -> Iterable[bytes]:
    """Return configurations: each field, and what is refused."""
    model = 'config { name: "a" base_path: "/b" model_platform: "tensorflow" %s }'
    policies = ("latest { num_versions: 2 }", "all {}", "specific { versions: 1 versions: -2 }")
    for policy in policies:
        yield ("model_config_list { " + model % f"model_version_policy {{ {policy} }}" + " }").encode()
    yield ("model_config_list { " + model % 'version_labels { key: "s" value: 3 }' + " }").encode()
    yield ("model_config_list { " + model % "" + model % "" + " }").encode()
    yield b'model_config_list { config: [{ name: "x", base_path: "gs://b/x", model_type: TENSORFLOW }] }'
    yield b'custom_model_config { type_url: "type.googleapis.com/x" }'
    yield b"model_config_list {"


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(colour: int, channels: int, depth: int = 8) -> bytes:
    """Return a PNG file of 4 by 3 pixels."""
    row = b"\0" + bytes(range(4 * channels * depth // 8))
    header = struct.pack(">IIBBBBB", 4, 3, depth, colour, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(range(48))) if colour == 3 else b""
    parts = chunk(b"IHDR", header) + palette + chunk(b"IDAT", zlib.compress(row * 3)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def jpeg(components: int) -> bytes:
    """Return a baseline JPEG file of one grey block for each component: every coefficient is zero."""

    def segment(marker: int, data: bytes) -> bytes:
        return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data

    ids = range(1, components + 1)
    one_code = bytes([1] + [0] * 15 + [0])  # a table whose only code, of one bit, stands for 0
    frame = struct.pack(">BHHB", 8, 8, 8, components) + b"".join(bytes([i, 0x11, 0]) for i in ids)
    scan = bytes([components]) + b"".join(bytes([i, 0]) for i in ids) + bytes([0, 63, 0])
    bits = "00" * components
    data = bytes([int(bits.ljust(8, "1"), 2)])
    return b"".join([
        b"\xff\xd8", segment(0xDB, bytes([0] + [1] * 64)), segment(0xC0, frame), segment(0xC4, b"\0" + one_code),
        segment(0xC4, b"\x10" + one_code), segment(0xDA, scan), data, b"\xff\xd9",
    ])  # fmt: skip


def image() -> Iterable[bytes]:
    """Return small files of each kind behind each choice of a format."""
    files = [png(0, 1), png(2, 3), png(3, 1), png(4, 2), png(6, 4), png(2, 3, 16), jpeg(1), jpeg(3)]
    return (bytes([choice]) + file for choice in range(4) for file in files)


def counted(data: bytes) -> bytes:
    """Return bytes behind their number, as the worker protocol writes them."""
    return struct.pack("<Q", len(data)) + data


def worker_protocol() -> Iterable[bytes]:
    """Return a message of each kind (worker/protocol.cc)."""
    shape_and_bytes = struct.pack("<Qqq", 2, 1, 2) + counted(struct.pack("<2f", 1, 2)) + struct.pack("<Q", 0)
    tensors = struct.pack("<Q", 1) + counted(b"x") + struct.pack("<i", 1) + shape_and_bytes
    strings = struct.pack("<QqQ", 1, 2, 0) + struct.pack("<Q", 2) + counted(b"a") + counted(b"")
    texts = struct.pack("<Q", 1) + counted(b"t") + struct.pack("<i", 7) + strings
    option = struct.pack("<Q", 1) + counted(b"device") + counted(b"usb:0")
    yield b"\1" + struct.pack("<Q", 7) + counted(b"/m/1/model.tflite") + struct.pack("<i", 1) + counted(b"lib") + option
    yield b"\2" + struct.pack("<Q", 7)
    for inputs in (tensors, texts):
        yield b"\3" + struct.pack("<Q", 7) + counted(b"serving_default") + inputs
        yield b"\4" + struct.pack("<i", 0) + counted(b"") + struct.pack("<QQ", 100, 5) + inputs
    yield b"\4" + struct.pack("<i", 14) + counted(b"the device is gone") + struct.pack("<QQQ", 0, 0, 0)


def http() -> Iterable[bytes]:
    """Return requests of each form of a body, in pieces of several sizes."""
    post = "POST /v1/models/m:predict HTTP/1.1\r\nHost: h\r\n"
    requests = [
        "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /x HTTP/1.0\r\n\r\n",
        post + "Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
        post + "Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nT: 1\r\n\r\n",
        post + "Content-Encoding: gzip\r\nContent-Length: 23\r\n\r\n",
        post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "GET http://h/x HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]
    body = gzip.compress(b"abc", mtime=0)
    return (
        bytes([piece]) + text.encode() + (body if "gzip" in text else b"") for piece in (0, 6, 63) for text in requests
    )


def checksum(data: bytes) -> bytes:
    """Return the masked CRC-32C of a TFRecord file."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", (crc >> 15 | crc << 17) + 0xA282EAD8 & 0xFFFFFFFF)


def records() -> Iterable[bytes]:
    """Return TFRecord files: whole, cut, and with a length beyond the end."""

    def record(data: bytes) -> bytes:
        length = struct.pack("<Q", len(data))
        return length + checksum(length) + data + checksum(data)

    file = record(b"first") + record(b"") + record(bytes(range(256)))
    far = struct.pack("<Q", 1 << 62)
    return (b"", file, file[:-1], file[:30], far + checksum(far) + b"rest")


FUZZERS: dict[str, Callable[[], Iterable[bytes]]] = {
    "examples": examples,
    "http": http,
    "image": image,
    "json": json,
    "json_v2": json_v2,
    "models_config": models_config,
    "records": records,
    "tensor_proto": tensor_proto,
    "worker_protocol": worker_protocol,
}


def main() -> int:
    """Write the inputs of the named fuzzer."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for index, data in enumerate(FUZZERS[name]()):
        (folder / str(index)).write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
