"""The secret keys in gpg's home, and which part of a key signs: the primary key or a subkey.

A home may hold subkeys alone: the primary key stays offline. Reef chooses the part as gpg does. It names the part to
gpg with ``!``, and gpg takes no other (gpg(1), "How to specify a user ID").
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from builders.apt.keys.gnupg import Home
from builders.errors import PublishError

REVOKED, EXPIRED, INVALID = "r", "e", "i"
SECRET, PUBLIC = ("sec", "ssb"), ("pub", "sub")
OFFLINE = "#"
"""The field of a listing for a secret half that is elsewhere."""
VERSION_4 = 40
"""Digits of the fingerprint of a key of version 4 (RFC 4880, 12.2). GnuPG 2.3 and later also makes version 5."""
SHORTEST_ID = 8
"""Digits of the shortest key ID that gpg accepts."""
HEX = frozenset("0123456789ABCDEF")


@dataclass(frozen=True)
class KeyPart:
    """A primary key or a subkey, as one record of gpg's listing has it (GnuPG's doc/DETAILS).

    Times are in seconds since 1970, None for never. ``token`` is the serial number of the smart card
    that holds the secret half, `OFFLINE` without one.
    """

    fingerprint: str
    validity: str
    algorithm: str
    created: int
    expires: int | None
    capabilities: str
    token: str

    @property
    def signs(self) -> bool:
        """Whether it has the flag to sign."""
        return "s" in self.capabilities

    @property
    def secret(self) -> bool:
        """Whether this home can use its secret half."""
        return self.token != OFFLINE


@dataclass
class SecretKey:
    """A key of the home: its parts, the primary key first, and its user IDs."""

    parts: list[KeyPart] = field(default_factory=list)
    users: list[str] = field(default_factory=list)

    @property
    def primary(self) -> KeyPart:
        """The part by which boards and users know the key; it certifies the others."""
        return self.parts[0]

    def part_named(self, digits: str) -> KeyPart | None:
        """Return the part with a fingerprint or key ID: its last digits, from version 5 on its first."""
        for part in self.parts:
            if part.fingerprint.endswith(digits) or (
                len(part.fingerprint) > VERSION_4 and part.fingerprint.startswith(digits)
            ):
                return part
        return None

    def named(self, name: str) -> bool:
        """Return whether gpg would find the key by ``name``: a fingerprint, a key ID, a mail address, a user ID."""
        digits = _digits(name)
        if digits:
            return self.part_named(digits) is not None
        text = name.strip().strip("<>").casefold()
        users = [user.strip("<>").casefold() for user in self.users]
        whole = text in users or text in (user.rpartition("<")[2] for user in users)
        return whole or ("@" not in text and any(text in user for user in users))


@dataclass(frozen=True)
class Signer:
    """A key, and the ``part`` of it that signs."""

    key: SecretKey
    part: KeyPart

    @property
    def fingerprint(self) -> str:
        """The primary key's fingerprint, which boards know."""
        return self.key.primary.fingerprint

    @property
    def created(self) -> int:
        """The time before which it can make no signature."""
        return max(self.part.created, self.key.primary.created)

    @property
    def expires(self) -> int | None:
        """The earlier end of the part and the primary key."""
        return end_of(self.key, self.part)

    @property
    def revoked(self) -> bool:
        """Whether the part or the primary key is revoked."""
        return any(part.validity == REVOKED for part in (self.part, self.key.primary))

    @property
    def usable(self) -> bool:
        """Whether gpg signs with it today."""
        spoiled = any(part.validity in (REVOKED, EXPIRED, INVALID) for part in (self.part, self.key.primary))
        over = self.expires is not None and self.expires <= time.time()
        return self.part.signs and self.part.secret and not spoiled and not over


def end_of(key: SecretKey, part: KeyPart) -> int | None:
    """Return the end of a part: with the primary key every part ends."""
    return min((end for end in (part.expires, key.primary.expires) if end is not None), default=None)


def extensions(signer: Signer, days: int) -> list[tuple[str, ...]]:
    """Return the arguments of each ``gpg --quick-set-expire`` that lets ``signer`` end ``days`` days from now.

    A part that never ends stays so.
    """
    primary, part = signer.key.primary, signer.part
    result: list[tuple[str, ...]] = [(primary.fingerprint, f"{days}d")] if primary.expires is not None else []
    if part != primary and part.expires is not None:
        result.append((primary.fingerprint, f"{days}d", part.fingerprint))
    return result


def secret_keys(home: Home) -> list[SecretKey]:
    """Return every key of the home of which a part has its secret half there; raises ProgramFailed."""
    return parse(home.records("--list-secret-keys"))


def parse(records: Iterable[Sequence[str]], kinds: tuple[str, str] = SECRET) -> list[SecretKey]:
    """Return the keys in the records of a listing: those of ``kinds``, a primary key and a subkey."""
    found: list[SecretKey] = []
    begun: Sequence[str] | None = None
    for record in records:
        if record[0] == kinds[0]:
            found.append(SecretKey())
        if record[0] in kinds:
            begun = record
        elif record[0] == "fpr" and begun:
            found[-1].parts.append(_part(begun, record[9]))
            begun = None
        elif record[0] == "uid" and record[1] != REVOKED and found:
            found[-1].users.append(record[9])
    return found


def _part(record: Sequence[str], fingerprint: str) -> KeyPart:
    own = "".join(letter for letter in record[11] if letter.islower())
    curve = record[16] if len(record) > 16 else ""
    kind = {"1": f"rsa{record[2]}", "17": f"dsa{record[2]}"}.get(record[3], curve)
    expires = int(record[6]) if record[6] else None
    return KeyPart(fingerprint, record[1], kind, int(record[5]), expires, own, record[14])


def find(keys: Sequence[SecretKey], name: str, place: str, advice: str) -> Signer:
    """Return the key that ``name`` names among the ``keys`` in ``place``, and the part of it that signs.

    The name of a subkey, or a name that ends with ``!``, names that part alone. Otherwise the newest usable signing
    subkey signs, else the primary key, as gpg chooses. Raises PublishError where none or several match, or where no
    part can sign here; ``advice`` is what to do about a key that is missing. An expired or revoked key is returned.
    """
    given = name.removesuffix("!")
    matches = [key for key in keys if key.named(given)]
    signers = [_signer(key, name) for key in matches]
    signers = [signer for signer in signers if signer.usable] or signers
    if len({signer.fingerprint for signer in signers}) > 1:
        raise PublishError(
            "it is not clear which key signs",
            f"{name} names {', '.join(signer.fingerprint for signer in signers)}",
            "set signing.key in reef.yml to the fingerprint of one",
        )
    if not signers:
        raise PublishError(f"the signing key {name} is missing", f"no secret key of that name in {place}", advice)
    signer = signers[0]
    if not signer.part.secret:
        raise PublishError(
            f"the signing key {name} is missing", f"only the public half of {signer.part.fingerprint} is in {place}",
            advice,
        )  # fmt: skip
    if not signer.part.signs:
        raise PublishError(
            f"the key {name} cannot sign",
            f"{signer.part.fingerprint} in {place} does not have the flag to sign",
            f"add a signing subkey where the primary key is: gpg --quick-add-key {signer.fingerprint} ed25519 sign",
        )
    return signer


def _signer(key: SecretKey, name: str) -> Signer:
    """Return the part of ``key`` that signs, or that explains why none does."""
    digits, exact = _digits(name.removesuffix("!")), name.endswith("!")
    part = key.part_named(digits) if digits else key.primary
    if part and (exact or part != key.primary):
        return Signer(key, part)
    signers = [Signer(key, part) for part in key.parts if part.signs]
    usable = [signer for signer in signers if signer.usable]
    # Where none is usable, those that come last explain the most: here but expired before expired elsewhere.
    some = usable or [signer for signer in signers if signer.part.secret] or signers or [Signer(key, key.primary)]
    subkeys = [signer for signer in some if signer.part != key.primary]
    return max(subkeys, key=lambda signer: signer.part.created) if subkeys else some[0]


def normal(name: str) -> str:
    """Return a fingerprint or key ID in capitals without spaces and ``0x``, and any other name as it is."""
    exact = "!" if name.endswith("!") else ""
    digits = _digits(name.removesuffix("!"))
    return f"{digits}{exact}" if digits else name


def _digits(name: str) -> str:
    """Return the digits of a fingerprint or key ID, none of another name."""
    digits = name.replace(" ", "").upper().removeprefix("0X")
    return digits if len(digits) >= SHORTEST_ID and HEX.issuperset(digits) else ""
