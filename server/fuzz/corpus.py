#!/usr/bin/env python3
"""Write the first inputs of a fuzzer, a file each.

corpus.py FUZZER FOLDER
"""

import struct
import sys
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


FUZZERS: dict[str, Callable[[], Iterable[bytes]]] = {
    "examples": examples,
    "json": json,
    "json_v2": json_v2,
    "tensor_proto": tensor_proto,
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
