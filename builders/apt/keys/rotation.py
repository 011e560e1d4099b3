"""The years of signing keys: listed, extended, replaced with an overlap, retired.

In the overlap both keys sign every publication and the keyring contains both. A board that knows only the old key still
updates, and gets the new key with the package reef-archive-keyring.
"""

import re
import time
from dataclasses import dataclass

from builders.apt.keys import signing
from builders.apt.keys.gnupg import Home, home_path, opened
from builders.errors import InputError, PublishError, nearest
from builders.host import process
from builders.host.log import Log
from builders.model.settings import Settings

FINGERPRINT = re.compile(r"[0-9A-F]{40}([0-9A-F]{24})?")


@dataclass(frozen=True)
class KeyFacts:
    """One key in the home: times in seconds since 1970, ``expires`` None for never; ``role`` is what it does."""

    fingerprint: str
    role: str
    created: int
    expires: int | None

    @property
    def days_left(self) -> float | None:
        return None if self.expires is None else (self.expires - time.time()) / signing.DAY_S


def list_keys(settings: Settings) -> list[KeyFacts]:
    """Return every key of the home with its secret half; raises PublishError."""
    with opened(home_path(settings)) as home:
        names = signing.chosen(home, settings)
        return [_facts(*pair, names) for pair in _secrets(home)]


def _secrets(home: Home) -> list[tuple[list[str], str]]:
    """Return the record (GnuPG's doc/DETAILS) and the fingerprint of every secret key."""
    records = home.records("--list-secret-keys")
    found = []
    for number, record in enumerate(records):
        if record[0] == "sec":
            found.append((record, next(after[9] for after in records[number:] if after[0] == "fpr")))
    return found


def _facts(record: list[str], fingerprint: str, names: tuple[str, ...]) -> KeyFacts:
    role = "not used"
    if fingerprint in names:
        role = "signs" if fingerprint == names[0] else "signs too, until it is retired"
    role = {signing.REVOKED: "revoked", signing.EXPIRED: "expired"}.get(record[1], role)
    return KeyFacts(fingerprint, role, int(record[5]), int(record[6]) if record[6] else None)


def extend(settings: Settings, days: int) -> None:
    """Set the end of the keys that sign to ``days`` days from now.

    Raises InputError for too few days, PublishError where gpg refuses.
    """
    if days <= settings.signing.refuse_days:
        raise InputError(
            f"{days} days are too few",
            f"publishing is refused {settings.signing.refuse_days} days before a key's end",
            f"give more days, as in ./inv keys --extend {signing.EXTENSION_DAYS}",
        )
    with opened(home_path(settings)) as home:
        for fingerprint in _some(home, settings):
            _gpg(home, "extend", fingerprint, "--quick-set-expire", fingerprint, f"{days}d")


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
    name = fingerprint.replace(" ", "").upper()
    if not FINGERPRINT.fullmatch(name):
        raise InputError(
            f"not a fingerprint: {fingerprint!r}", "it has 40 hexadecimal digits", "./inv keys shows the fingerprints"
        )
    if settings.signing.key:
        raise PublishError("reef.yml names the signing keys", fix="remove the key from signing.previous there")
    with opened(home_path(settings)) as home:
        names = _some(home, settings)
        if name not in names[1:]:
            older = names[1:]
            raise InputError(
                f"{name} is not an older key that signs", f"signing: {', '.join(names)}",
                nearest(name, older) if older else "no key is to be retired",
            )  # fmt: skip
        signing.record(home, [other for other in names if other != name])


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
