"""What happens to signing keys over the years: listed, extended, followed by a new one with an overlap, retired.

In the overlap both keys sign every publication and the keyring holds both, so that a board which knows only the old
one still updates, and gets the new one with the package reef-archive-keyring.
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
    """One key in the home: times in seconds since 1970, ``expires`` None for never; ``role`` says what it does."""

    fingerprint: str
    role: str
    created: int
    expires: int | None

    @property
    def days_left(self) -> float | None:
        return None if self.expires is None else (self.expires - time.time()) / signing.DAY_S


def list_keys(settings: Settings) -> list[KeyFacts]:
    """Return every key of the home whose secret half is there; raises PublishError."""
    with opened(home_path(settings)) as home:
        names = signing.chosen(home, settings)
        return [_facts(*pair, names) for pair in _secrets(home)]


def _secrets(home: Home) -> list[tuple[list[str], str]]:
    """Return the record (GnuPG's doc/DETAILS) and the fingerprint of every secret key."""
    records = home.records("--list-secret-keys")
    found = []
    for number, one in enumerate(records):
        if one[0] == "sec":
            found.append((one, next(after[9] for after in records[number:] if after[0] == "fpr")))
    return found


def _facts(one: list[str], fingerprint: str, names: tuple[str, ...]) -> KeyFacts:
    role = "not used"
    if fingerprint in names:
        role = "signs" if fingerprint == names[0] else "signs too, until it is retired"
    role = {signing.REVOKED: "revoked", signing.EXPIRED: "expired"}.get(one[1], role)
    return KeyFacts(fingerprint, role, int(one[5]), int(one[6]) if one[6] else None)


def extend(settings: Settings, days: int) -> None:
    """Let the keys that sign end ``days`` days from now.

    Raises InputError for too few days, PublishError where gpg does not do it.
    """
    if days <= settings.signing.refuse_days:
        raise InputError(
            f"{days} days are too few", f"publishing is refused {settings.signing.refuse_days} days before a key's end"
        )
    with opened(home_path(settings)) as home:
        for fingerprint in _some(home, settings):
            _gpg(home, "extend", fingerprint, "--quick-set-expire", fingerprint, f"{days}d")


def rotate(settings: Settings, log: Log) -> str:
    """Make the key that takes over and return its fingerprint; the one so far goes on signing beside it.

    Raises PublishError where an overlap is under way already, or where reef.yml names the key.
    """
    if settings.signing.key:
        raise PublishError(
            "reef.yml names the signing key, so Reef makes no other",
            f"signing.key: {settings.signing.key}",
            "make one with gpg, set signing.key to it and list this one in signing.previous",
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
            raise PublishError("gpg cannot make a key", error.detail) from error


def retire(settings: Settings, fingerprint: str) -> None:
    """End the overlap: ``fingerprint`` signs no more. Boards that never got the new keyring refuse what follows.

    Raises InputError for what is no fingerprint of an older key that signs, PublishError.
    Its secret half stays in the home.
    """
    wanted = fingerprint.replace(" ", "").upper()
    if not FINGERPRINT.fullmatch(wanted):
        raise InputError(f"not a fingerprint: {fingerprint!r}", "40 hexadecimal digits, as ./inv keys shows")
    if settings.signing.key:
        raise PublishError("reef.yml names the signing keys", fix="take the key out of signing.previous there")
    with opened(home_path(settings)) as home:
        names = _some(home, settings)
        if wanted not in names[1:]:
            older = names[1:]
            raise InputError(
                f"{wanted} is no older key that signs", f"signing: {', '.join(names)}",
                nearest(wanted, older) if older else "there is none to retire",
            )  # fmt: skip
        signing.record(home, [name for name in names if name != wanted])


def _some(home: Home, settings: Settings) -> tuple[str, ...]:
    names = signing.chosen(home, settings)
    if not names:
        raise PublishError("there is no signing key yet", f"in {home.path}", "the first publish-apt makes one")
    return names


def _gpg(home: Home, verb: str, fingerprint: str, *arguments: str) -> None:
    try:
        home.gpg(*arguments)
    except process.ProgramFailed as error:
        raise PublishError(f"cannot {verb} the key {fingerprint}", error.detail) from error
