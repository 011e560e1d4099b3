"""The key that signs the repository: made on first use, checked before each use; Reef never reads its secret half.

Ed25519 (RFC 8032) in packets of version 4 (RFC 4880), for signing only: the gpgv of every board release since buster
and trixie's sqv accept it, and its signatures are deterministic, so that the same Release and date give the same bytes.
"""

import errno
import os
import re
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from builders.apt.keys import secret_keys
from builders.apt.keys.gnupg import Home, home_path, opened
from builders.apt.keys.secret_keys import EXPIRED, REVOKED, VERSION_4, Signer
from builders.apt.keys.signatures import weakly_signed
from builders.errors import InputError, PublishError
from builders.host import process
from builders.host.files import disk_error, disk_errors, write_whole
from builders.host.log import Log
from builders.model.settings import Settings

DAY_S = 86400
RECORD = "reef-signing-key"
USER_ID = "Reef archive signing key"
EXTENSION_DAYS = 1095
LAST_TIME = 2**32 - 1
EXPORT = "export it as text: gpg --homedir HOME --armor --export-secret-keys FINGERPRINT"
WEAK = re.compile(r"(rsa|dsa)1?\d{1,3}|brainpool\w+|secp256k1")
"""Kinds of keys whose signatures sqv of Debian 13 refuses (tried with sqv 1.3.0)."""
DIGESTS = ("--digest-algo", "SHA512", "--cert-digest-algo", "SHA512")


@dataclass(frozen=True)
class SigningKey:
    """A usable signing key: its home, the primary key's fingerprint, times in seconds since 1970, and the public key as
    keyring file (``public``) and as text (``armored``).

    ``expires`` is the earlier end of the primary key and the part that signs, None for never. ``parts`` are the
    fingerprints of all parts that sign, the newest first. ``older`` are the keys that it takes over from: they sign
    too, and the keyring contains them.
    """

    home: Path
    fingerprint: str
    created: int
    expires: int | None
    public: bytes
    armored: bytes
    parts: tuple[str, ...]
    older: tuple[str, ...] = ()

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """The primary keys' fingerprints of all keys that sign, the newest first.

        For Signed-By, apt takes every subkey of them (SubKeyMapping in methods/gpgv.cc, already in apt 1.8).
        """
        return tuple(dict.fromkeys((self.fingerprint, *self.older)))

    def sign(self, release: Path, *, date: int) -> None:
        """Write ``InRelease`` and ``Release.gpg`` beside ``release``; same bytes and ``date``, same signatures.

        ``date`` in seconds since 1970: no earlier than the key, no later than now; gpg does not stop its clock in the
        present second, which alone may end before it signs. Raises PublishError and DiskError.
        """
        # Publications within one second are dated ahead, which apt accepts; sqv (apt 3) accepts no such signature.
        moment = max(min(date, int(time.time())), self.created)
        signers = [word for name in self.parts for word in ("--local-user", f"{name}!")]
        common = ("--yes", *signers, "--faked-system-time", f"{moment}!", *DIGESTS)
        clear, apart = release.with_name("InRelease"), release.with_name("Release.gpg")
        try:
            with opened(self.home) as home:
                home.gpg(*common, "--output", str(clear), "--clearsign", str(release))
                home.gpg(*common, "--output", str(apart), "--armor", "--detach-sign", str(release))
        except process.ProgramFailed as error:
            if os.strerror(errno.ENOSPC) in error.detail:
                raise disk_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(clear)), clear) from error
            raise PublishError(
                f"cannot sign with the key {self.fingerprint}",
                error.detail,
                "if it has a passphrase or is on a card, give the passphrase or PIN to the agent first: gpg --homedir "
                f"{self.home} --local-user {self.parts[0]}! --clearsign /dev/null",
            ) from error


def signing_key(settings: Settings, log: Log) -> SigningKey:
    """Return the key that ``reef.yml`` names, else Reef's own, which is made on first use.

    Raises PublishError where the key is missing, revoked, expired or about to expire (``signing.refuse_days``); warns
    within ``signing.warn_days`` of its end.
    """
    with opened(home_path(settings)) as home:
        try:
            names = chosen(home, settings) or (_adopted(home) or made(home, settings, log),)
            signer = found(home, names[0])
            key = _read(home, signer, _usable(home, names[1:], log))
        except process.ProgramFailed as error:
            raise unusable_home(home, error) from error
    _warn_of_weak(signer, key, log)
    _check_end(signer, settings, log)
    return key


def unusable_home(home: Home, error: process.ProgramFailed) -> PublishError:
    """Return the error of a home that gpg cannot read."""
    return PublishError(f"gpg cannot use its home {home.path}", error.detail, "correct what gpg reports")


def found(home: Home, name: str) -> Signer:
    """Return the key of the home that ``name`` names; raises PublishError, ProgramFailed."""
    return secret_keys.find(
        secret_keys.secret_keys(home), name, str(home.path),
        "restore it from your copy (gpg --import), or correct signing.key in reef.yml; to start again with "
        f"another key, which every board then needs, remove {home.path / RECORD}",
    )  # fmt: skip


def load(settings: Settings, text: str, log: Log) -> str:
    """Import a secret key (``text``, as gpg exports it) into the home, to sign with it; return its fingerprint.

    Raises PublishError for text without a usable key or with several (``signing.key`` then names one), and where
    another key signs already.
    """
    with opened(home_path(settings)) as home:
        try:
            listed = home.gpg("--with-colons", "--import-options", "show-only", "--import", input_text=text)
        except process.ProgramFailed as error:
            raise PublishError("gpg cannot read this as a key", error.detail, EXPORT) from error
        given = secret_keys.parse(line.split(":") for line in listed.splitlines())
        if not given:
            raise PublishError("the given text contains no secret key", fix=EXPORT)
        prints = [key.primary.fingerprint for key in given]
        names = chosen(home, settings)
        name = names[0].removesuffix("!") if names else ""
        if (not names and len(prints) > 1) or (names and not any(key.named(name) for key in given)):
            reason = f"signing with {names[0]}" if names else "signing.key in reef.yml must name the one to sign with"
            raise PublishError(
                "it is not clear which key signs", f"given: {', '.join(prints)}; {reason}", "give that key alone"
            )
        try:
            home.gpg("--import", input_text=text)
        except process.ProgramFailed as error:
            raise PublishError("gpg cannot import the key", error.detail, EXPORT) from error
        signer = secret_keys.find(secret_keys.secret_keys(home), (names or prints)[0], "the given text", EXPORT)
        if not names:
            record(home, prints)
    log.note(f"signing with {signer.part.fingerprint}, in {home.path}")
    return signer.fingerprint


def chosen(home: Home, settings: Settings) -> tuple[str, ...]:
    """Return the fingerprints to sign with, the newest first: as set, else as recorded; none before the first key."""
    if settings.signing.key:
        names = [settings.signing.key, *settings.signing.previous]
        return tuple(secret_keys.normal(name) for name in names)
    path = home.path / RECORD
    with disk_errors(path):
        return tuple(path.read_text().split()) if path.exists() else ()


def record(home: Home, fingerprints: Iterable[str]) -> None:
    """Record which keys sign from now on, the newest first; raises DiskError."""
    write_whole(home.path / RECORD, "".join(f"{name}\n" for name in fingerprints))


def _usable(home: Home, names: Iterable[str], log: Log) -> tuple[Signer, ...]:
    """Return those of the older keys that boards still accept; warns of the others."""
    signers = []
    for name in names:
        try:
            signer = found(home, name)
            _refuse_unusable(home, signer)
        except PublishError as error:
            log.warn(f"the older key {name} signs no more: {error.what}")
        else:
            signers.append(signer)
    return tuple(signers)


def _adopted(home: Home) -> str | None:
    """Return the key of a run that was killed before it could record it, and record it."""
    for key in secret_keys.secret_keys(home):
        if USER_ID in key.users and key.primary.validity not in (REVOKED, EXPIRED):
            record(home, [key.primary.fingerprint])
            return key.primary.fingerprint
    return None


def made(home: Home, settings: Settings, log: Log, older: Iterable[str] = ()) -> str:
    """Make a key, record it before the ``older`` ones, and return its fingerprint; raises ProgramFailed, InputError."""
    days = settings.signing.expires_days
    require_representable(days)
    parameters = (
        "%no-protection\nKey-Type: EDDSA\nKey-Curve: ed25519\nKey-Usage: sign\n"
        f"Name-Real: {USER_ID}\nExpire-Date: {days}d\n%commit\n"
    )
    answer = home.gpg(*DIGESTS, "--status-fd", "1", "--generate-key", input_text=parameters)
    created = [line.split()[3] for line in answer.splitlines() if line.startswith("[GNUPG:] KEY_CREATED ")]
    fingerprint = created[0]
    record(home, [fingerprint, *older])
    log.note(f"made the signing key {fingerprint} in {home.path}, valid for {days} days")
    log.note(
        "it has no passphrase: whoever reads that folder can sign. Keep a copy of it elsewhere. To set a passphrase: "
        f"gpg --homedir {home.path} --edit-key {fingerprint} passwd"
    )
    return fingerprint


def require_representable(days: int) -> None:
    """Raise InputError for an end beyond OpenPGP's times of 32 bits: gpg 2.2 lets such a key end at once."""
    most = int((LAST_TIME - time.time()) / DAY_S)
    if days > most:
        raise InputError(
            f"{days} days are too many", f"keys end on {day_of(LAST_TIME)} at the latest (RFC 4880, 3.5)",
            f"give at most {most} days",
        )  # fmt: skip


def _read(home: Home, signer: Signer, older: tuple[Signer, ...]) -> SigningKey:
    _refuse_unusable(home, signer)
    signers = (signer, *older)
    names = tuple(dict.fromkeys(each.fingerprint for each in signers))
    return SigningKey(
        home.path, signer.fingerprint, max(each.created for each in signers), signer.expires,
        _public(home, names, "--no-armor"), _public(home, names, "--armor"),
        parts=tuple(dict.fromkeys(each.part.fingerprint for each in signers)), older=names[1:],
    )  # fmt: skip


def _refuse_unusable(home: Home, signer: Signer) -> None:
    name, now = signer.part.fingerprint, time.time()
    if len(name) != VERSION_4:
        raise PublishError(
            f"no board can verify the signing key {name}",
            "it has a fingerprint of version 5; apt's gpgv (GnuPG 2.2) and sqv read keys of version 4",
            "make another, as gpg --quick-generate-key NAME ed25519 sign does, and set signing.key to it",
        )
    if signer.revoked:
        raise PublishError(
            f"the signing key {name} is revoked",
            f"boards refuse what it signs; its home: {home.path}",
            f"remove {home.path / RECORD} to make a new key, and give that key to every board",
        )
    if signer.expires is not None and signer.expires <= now:
        raise PublishError(
            f"the signing key {name} expired on {day_of(signer.expires)}",
            f"boards refuse what it signs; its home: {home.path}",
            f"extend it: {how_to_extend(signer)}; every board needs the new keyring file then",
        )
    if signer.created > now + DAY_S:
        raise PublishError(
            f"this machine's clock is before the signing key's creation on {day_of(signer.created)}",
            fix="set the clock",
        )
    if not signer.usable:
        raise PublishError(
            f"gpg cannot use the signing key {name}",
            f"its record in {home.path} is not valid",
            "gpg --list-keys shows it",
        )


def _public(home: Home, fingerprints: Iterable[str], form: str) -> bytes:
    """Return the public keys that boards need: the primary keys with the subkeys that sign, no pictures."""
    only = ("--export-options", "export-minimal,no-export-attributes", "--export-filter", "drop-subkey=usage !~ s")
    with tempfile.TemporaryDirectory(prefix="reef-key-") as folder:
        path = Path(folder) / "public"
        home.gpg(form, "--output", str(path), *only, "--export", *fingerprints)
        return path.read_bytes()


def _warn_of_weak(signer: Signer, key: SigningKey, log: Log) -> None:
    """Warn of keys that boards with sqv refuse, although gpg and gpgv take them: this machine may lack sqv."""
    refuse = "boards of Debian 13 and later refuse what the key signs"
    if WEAK.fullmatch(signer.part.algorithm):
        log.warn(f"{refuse}: {signer.part.fingerprint} is of the kind {signer.part.algorithm}")
    if weakly_signed(key.public):
        log.warn(
            f"{refuse}: {signer.fingerprint} signed its own user IDs or subkeys with SHA-1. Sign them again where the "
            f"primary key is: gpg --cert-digest-algo SHA512 --quick-set-expire {signer.fingerprint} {EXTENSION_DAYS}d"
            " (again with each subkey's fingerprint at the end)"
        )


def _check_end(signer: Signer, settings: Settings, log: Log) -> None:
    if signer.expires is None:
        return
    days = (signer.expires - time.time()) / DAY_S
    end = f"the signing key {signer.part.fingerprint} expires on {day_of(signer.expires)}, in {days:.0f} days"
    if days <= settings.signing.refuse_days:
        raise PublishError(
            end,
            "boards without a longer-lived keyring refuse the repository then "
            f"(signing.refuse_days: {settings.signing.refuse_days})",
            f"extend it now: {how_to_extend(signer)}",
        )
    if days <= settings.signing.warn_days:
        log.warn(f"{end}; boards then refuse the repository. Extend it: {how_to_extend(signer)}")


def how_to_extend(signer: Signer, days: int = EXTENSION_DAYS) -> str:
    """Return the command that extends a key; where its primary key is offline, the commands for the place of it."""
    if signer.key.primary.secret:
        return f"./inv keys --extend {days}"
    name = signer.fingerprint
    commands = [f"gpg --quick-set-expire {' '.join(words)}" for words in secret_keys.extensions(signer, days)]
    return (
        f"where the primary key of {name} is, run {', '.join(commands)} and gpg --armor --export {name}; import the "
        "result here: gpg --homedir HOME --import"
    )


def day_of(moment: int) -> str:
    """Return the UTC day of ``moment`` (seconds since 1970) as ``2026-12-31``."""
    return time.strftime("%Y-%m-%d", time.gmtime(moment))
