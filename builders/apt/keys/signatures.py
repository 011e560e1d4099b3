"""Which keys made the signatures of a Release file, and how keys signed themselves, read from the packets (RFC 4880).

The keyring does not show it: a key with two signing subkeys looks the same whichever of them signs.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from pathlib import Path

ARMOR = re.compile(
    rb"-----BEGIN PGP SIGNATURE-----\n(?:[^\n:]+: [^\n]*\n)*\n([A-Za-z0-9+/=\n]*?)\n?(?:=[A-Za-z0-9+/]{4}\n)?-----END"
)
SIGNATURE, KEY, USER_ID, SUBKEY = 2, 6, 13, 14
VERSION_4 = 4
WEAK_DIGESTS = (1, 2, 3)
"""MD5, SHA-1 and RIPEMD-160 (RFC 4880, 9.4)."""
ISSUER_FINGERPRINT = 33
"""Subpacket with the signing part's fingerprint, which GnuPG 2.1.16 and later writes (RFC 9580, 5.2.3.35)."""


def issuers(path: Path) -> frozenset[str]:
    """Return the fingerprints of the primary keys or subkeys that signed ``InRelease``; of a broken file, none."""
    try:
        armored = ARMOR.search(path.read_bytes())
        content = base64.b64decode(armored[1]) if armored else b""
        return frozenset(name for kind, body in _packets(content) if kind == SIGNATURE for name in _issuer(body))
    except (OSError, binascii.Error, IndexError):
        return frozenset()


def weakly_signed(keyring: bytes) -> bool:
    """Return whether a key of a keyring file has a user ID or subkey that it signed with weak digests alone."""
    digests: list[list[int]] = []
    for kind, body in _packets(keyring):
        if kind in (KEY, USER_ID, SUBKEY):
            digests.append([])
        elif kind == SIGNATURE and body[0] == VERSION_4 and digests:
            digests[-1].append(body[3])
    return any(found and set(found) <= set(WEAK_DIGESTS) for found in digests)


def _packets(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Return the kind and the body of each packet (RFC 4880, 4.2)."""
    place = 0
    while place < len(content):
        tag = content[place]
        if tag & 0x40:
            kind, (place, size) = tag & 0x3F, _length(content, place + 1)
        else:
            kind, octets = (tag >> 2) & 0xF, 1 << (tag & 3)
            size = int.from_bytes(content[place + 1 : place + 1 + octets], "big")
            place += 1 + octets
        yield kind, content[place : place + size]
        place += size


def _length(content: bytes, place: int) -> tuple[int, int]:
    """Return the place after a length of the new format, and the length (RFC 4880, 4.2.2)."""
    first = content[place]
    if first < 192:
        return place + 1, first
    if first < 255:
        return place + 2, ((first - 192) << 8) + content[place + 1] + 192
    return place + 5, int.from_bytes(content[place + 1 : place + 5], "big")


def _issuer(body: bytes) -> Iterator[str]:
    """Return the fingerprint in the hashed subpackets of a signature of version 4 (RFC 4880, 5.2.3)."""
    if body[0] != VERSION_4:
        return
    place, end = 6, 6 + int.from_bytes(body[4:6], "big")
    while place < end:
        place, size = _length(body, place)
        if body[place] & 0x7F == ISSUER_FINGERPRINT:
            yield body[place + 2 : place + size].hex().upper()
        place += size
