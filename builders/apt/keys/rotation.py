"""The years of signing keys: listed, extended, replaced with an overlap, retired.

In the overlap both keys sign every publication and the keyring contains both. A board that knows only the old key still
updates, and gets the new key with the package reef-archive-keyring.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from builders.apt.keys import secret_keys, signing
from builders.apt.keys.gnupg import Home, home_path, opened
from builders.apt.keys.secret_keys import REVOKED, SecretKey, Signer
from builders.errors import InputError, PublishError, nearest
from builders.host import process
from builders.host.log import Log
from builders.model.settings import Settings

FINGERPRINT = re.compile(r"[0-9A-F]{40}([0-9A-F]{24})?")


@dataclass(frozen=True)
class KeyFacts:
    """A primary key or signing subkey in the home: times in seconds since 1970, ``expires`` None for never.

    ``role`` is its task. A subkey ends with its primary key at the latest. A missing key has no ``created``.
    """

    fingerprint: str
    role: str
    created: int | None
    expires: int | None

    @property
    def days_left(self) -> float | None:
        return None if self.expires is None else (self.expires - time.time()) / signing.DAY_S


def list_keys(settings: Settings) -> list[KeyFacts]:
    """Return every key of the home with a secret part, and its subkeys that sign; raises PublishError."""
    with opened(home_path(settings)) as home:
        try:
            keys = secret_keys.secret_keys(home)
        except process.ProgramFailed as error:
            raise signing.unusable_home(home, error) from error
        roles: dict[str, str] = {}
        missing: list[KeyFacts] = []
        for name in signing.chosen(home, settings):
            role = "signs too, until it is retired" if roles or missing else "signs"
            try:
                roles.setdefault(signing.found(home, name).part.fingerprint, role)
            except PublishError:
                missing.append(KeyFacts(name, "missing", None, None))
        return [*missing, *(facts for key in keys for facts in _facts(key, roles))]


def _facts(key: SecretKey, roles: Mapping[str, str]) -> list[KeyFacts]:
    """Return the facts of the primary key and of its subkeys that sign."""
    certifies = "certifies" if key.primary.secret else "certifies, offline"
    signs = any(part.fingerprint in roles for part in key.parts)
    result = []
    for part in key.parts:
        if part != key.primary and not part.signs:
            continue
        role = roles.get(part.fingerprint, certifies if signs and part == key.primary else "not used")
        end = secret_keys.end_of(key, part)
        if part.validity == REVOKED:
            role = "revoked"
        elif end is not None and end <= time.time():
            role = "expired"
        result.append(KeyFacts(part.fingerprint, role, part.created, end))
    return result


def extend(settings: Settings, days: int) -> list[str]:
    """Set the end of the keys that sign to ``days`` days from now; a key without an end stays so.

    Return a line for each that stays as it is. Raises InputError for too few or many days, PublishError where the
    current key's end cannot be moved here or gpg refuses.
    """
    if days <= settings.signing.refuse_days:
        raise InputError(
            f"{days} days are too few",
            f"publishing is refused {settings.signing.refuse_days} days before a key's end",
            f"give more days, as in ./inv keys --extend {signing.EXTENSION_DAYS}",
        )
    signing.require_representable(days)
    left = []
    with opened(home_path(settings)) as home:
        for number, name in enumerate(_some(home, settings)):
            try:
                signer = signing.found(home, name)
                left += _extended(home, signer, days)
            except PublishError as error:
                if not number:
                    raise
                left.append(f"the older key {name} is not extended: {error.what}")
    return left


def _extended(home: Home, signer: Signer, days: int) -> list[str]:
    extensions = secret_keys.extensions(signer, days)
    if not extensions:
        return [f"the signing key {signer.part.fingerprint} never ends"]
    if signer.revoked:
        raise PublishError(
            f"the signing key {signer.part.fingerprint} is revoked", fix="./inv keys --rotate makes another"
        )
    if not signer.key.primary.secret:
        raise PublishError(
            f"the end of the signing key {signer.part.fingerprint} cannot be moved here",
            f"only its primary key can, and {home.path} does not have that key's secret half",
            signing.how_to_extend(signer, days),
        )
    for words in extensions:
        _gpg(home, "extend", signer.fingerprint, "--quick-set-expire", *words)
    return []


def rotate(settings: Settings, log: Log) -> str:
    """Make the key that takes over and return its fingerprint; the current key continues to sign beside it.

    Raises PublishError during an overlap, or where reef.yml names the key.
    """
    if settings.signing.key:
        raise PublishError(
            "reef.yml names the signing key, so Reef makes no other",
            f"signing.key: {settings.signing.key}",
            "make a key with gpg, set signing.key to it and add the current key to signing.previous",
        )
    with opened(home_path(settings)) as home:
        names = _some(home, settings)
        if len(names) > 1:
            raise PublishError(
                "an older key is still signing beside the new one", "\n".join(names),
                f"retire it when every board has the new keyring: ./inv keys --retire {names[-1]}",
            )  # fmt: skip
        try:
            return signing.made(home, settings, log, older=names)
        except process.ProgramFailed as error:
            raise PublishError("gpg cannot make a key", error.detail, "correct what gpg reports") from error


def retire(settings: Settings, fingerprint: str) -> None:
    """End the overlap: ``fingerprint`` signs no more. Boards without the new keyring refuse what follows.

    Raises InputError where it is not the fingerprint of an older key that signs, PublishError. The key's secret half
    stays in the home.
    """
    name = secret_keys.normal(fingerprint)
    if not FINGERPRINT.fullmatch(name):
        raise InputError(
            f"not a fingerprint: {fingerprint!r}", "it has 40 hexadecimal digits", "./inv keys shows the fingerprints"
        )
    if settings.signing.key:
        raise PublishError("reef.yml names the signing keys", fix="remove the key from signing.previous there")
    with opened(home_path(settings)) as home:
        names = _some(home, settings)
        older = {other: other for other in names[1:]} | {_part(home, other): other for other in names[1:]}
        if name not in older:
            raise InputError(
                f"{name} is not an older key that signs", f"signing: {', '.join(names)}",
                nearest(name, older) if older else "no key is to be retired",
            )  # fmt: skip
        signing.record(home, [other for other in names if other != older[name]])


def _part(home: Home, name: str) -> str:
    """Return the fingerprint of the part of a key that signs, as the list shows it; ``name`` if it is missing."""
    try:
        return signing.found(home, name).part.fingerprint
    except PublishError:
        return name


def _some(home: Home, settings: Settings) -> tuple[str, ...]:
    names = signing.chosen(home, settings)
    if not names:
        raise PublishError("no signing key exists yet", f"in {home.path}", "the first publish-apt makes one")
    return names


def _gpg(home: Home, verb: str, fingerprint: str, *arguments: str) -> None:
    try:
        home.gpg(*arguments)
    except process.ProgramFailed as error:
        raise PublishError(f"cannot {verb} the key {fingerprint}", error.detail, "correct what gpg reports") from error
