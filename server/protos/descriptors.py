#!/usr/bin/env python3
"""Write the descriptors that the wheel tensorflow-serving-api carries as a FileDescriptorSet for protoc.

    descriptors.py WHEEL_FOLDER OUTPUT [--without=FILE.proto] FILE.proto...

Each `*_pb2.py` of the wheel passes its descriptor to `AddSerializedFile(b'...')`. The byte string is read from the
syntax tree; nothing of the wheel runs. Ends with 1 if a wanted file is not in the wheel. A file that `--without` names
is left out: the others lose the import of it and the fields of its types, which are unknown fields then.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

# Numbers of fields in google/protobuf/descriptor.proto.
NAME, DEPENDENCY, MESSAGE_TYPE = 1, 3, 4  # of FileDescriptorProto; NAME of DescriptorProto too
FIELD = 2  # of DescriptorProto
TYPE_NAME = 6  # of FieldDescriptorProto


def descriptor(module: Path) -> bytes | None:
    """Return the serialized FileDescriptorProto of a generated module, or None."""
    calls = (node for node in ast.walk(ast.parse(module.read_bytes(), str(module))) if isinstance(node, ast.Call))
    for call in calls:
        if isinstance(call.func, ast.Attribute) and call.func.attr == "AddSerializedFile":
            value = ast.literal_eval(call.args[0])
            if isinstance(value, bytes):
                return value
    return None


def varint(number: int) -> bytes:
    """Return a number in protocol buffers' variable length encoding."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield number, content and whole text of each field; the content of one that is no bytes is empty."""
    position = 0

    def number() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while position < len(message):
        start = position
        key = number()
        content = b""
        if key & 7 == 2:
            size = number()
            content = message[position : position + size]
            position += size
        else:
            number()  # descriptors have no fields of a fixed size
        yield key >> 3, content, message[start:position]


def names(message: bytes, number: int) -> set[bytes]:
    """Return the names of the messages in a field of a descriptor."""
    found = (content for key, content, _ in fields(message) if key == number)
    return {content for one in found for key, content, _ in fields(one) if key == NAME}


def trimmed(file: bytes, without: str, types: set[bytes]) -> bytes:
    """Return a file's descriptor without the import of `without` and without the fields of `types`."""
    kept = bytearray()
    for number, content, whole in fields(file):
        if number == DEPENDENCY and content == without.encode():
            continue
        if number != MESSAGE_TYPE:
            kept += whole
            continue
        message = b"".join(
            part for key, field, part in fields(content) if key != FIELD or not types & type_names(field)
        )
        kept += varint(MESSAGE_TYPE << 3 | 2) + varint(len(message)) + message
    return bytes(kept)


def type_names(field: bytes) -> set[bytes]:
    """Return the name of a field's type without its package, in a set; an empty set for a number or a text."""
    return {content.rpartition(b".")[2] for key, content, _ in fields(field) if key == TYPE_NAME}


def main() -> int:
    """Write the set; each descriptor is field 1 of it, of wire type 2."""
    folder, output, *files = sys.argv[1:]
    without = ""
    if files[0].startswith("--without="):
        without = files.pop(0).partition("=")[2]
    found = {}
    for name in [*files, without] if without else files:
        module = Path(folder, name.removesuffix(".proto") + "_pb2.py")
        content = descriptor(module) if module.is_file() else None
        if content is None:
            print(f"{module}: no descriptor; expected the wheel tensorflow-serving-api 2.21.0", file=sys.stderr)
            return 1
        found[name] = content
    types = names(found[without], MESSAGE_TYPE) if without else set()
    written = bytearray()
    for name in files:
        content = trimmed(found[name], without, types) if without else found[name]
        written += b"\x0a" + varint(len(content)) + content
    Path(output).write_bytes(written)
    return 0


if __name__ == "__main__":
    sys.exit(main())
