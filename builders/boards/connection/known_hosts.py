"""The boards' host keys, in ``boards.known_hosts`` beside ``boards.yml`` (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).

A key belongs to a board's name, not to its address (HostKeyAlias of ssh_config(5)): a board that gets another address
stays known.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from builders.errors import InputError
from builders.host.files import disk_errors, write_whole

FILE = "boards.known_hosts"


@dataclass(frozen=True)
class HostKey:
    """A public host key: its type, as ``ssh-ed25519``, and its base64 text."""

    kind: str
    text: str

    @property
    def fingerprint(self) -> str:
        """The fingerprint as ssh-keygen(1) shows it: ``SHA256:`` and the digest in base64."""
        digest = hashlib.sha256(base64.b64decode(self.text)).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


@dataclass(frozen=True)
class KnownHosts:
    """The file of host keys."""

    path: Path

    def keys(self, board: str) -> list[HostKey]:
        """Return the keys of a board; raises InputError for a line that is no key."""
        return [key for name, key in self._lines() if name == board]

    def replace(self, board: str, keys: Iterable[HostKey]) -> None:
        """Write the file with ``keys`` as the only keys of a board."""
        kept = [(name, key) for name, key in self._lines() if name != board]
        lines = sorted(f"{name} {key.kind} {key.text}\n" for name, key in (*kept, *((board, key) for key in keys)))
        write_whole(self.path, "".join(lines))

    def _lines(self) -> list[tuple[str, HostKey]]:
        if not self.path.exists():
            return []
        with disk_errors(self.path):
            text = self.path.read_text(errors="replace")
        return parse(text, str(self.path))


def parse(text: str, place: str) -> list[tuple[str, HostKey]]:
    """Return the names and keys of a known_hosts file; raises InputError with the line of a fault."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            name, kind, key = words[:3]
            base64.b64decode(key, validate=True)
        except (ValueError, binascii.Error):
            raise InputError(
                f"{place}:{number}: not a host key", line, "remove the line, then: ./inv trust-boards"
            ) from None
        found.append((name, HostKey(kind, key)))
    return found
