#!/usr/bin/env python3
"""Write the descriptors that the wheel tensorflow-serving-api carries as a FileDescriptorSet for protoc.

    descriptors.py WHEEL_FOLDER OUTPUT FILE.proto...

Each `*_pb2.py` of the wheel passes its descriptor to `AddSerializedFile(b'...')`. The byte string is read from the
syntax tree; nothing of the wheel runs. Ends with 1 if a wanted file is not in the wheel.
"""

import ast
import sys
from pathlib import Path


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


def main() -> int:
    """Write the set; each descriptor is field 1 of it, of wire type 2."""
    folder, output, *names = sys.argv[1:]
    written = bytearray()
    for name in names:
        module = Path(folder, name.removesuffix(".proto") + "_pb2.py")
        found = descriptor(module) if module.is_file() else None
        if found is None:
            print(f"{module}: no descriptor; expected the wheel tensorflow-serving-api 2.21.0", file=sys.stderr)
            return 1
        written += b"\x0a" + varint(len(found)) + found
    Path(output).write_bytes(written)
    return 0


if __name__ == "__main__":
    sys.exit(main())
