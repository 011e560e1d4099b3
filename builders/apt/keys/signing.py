"""The key that signs the repository: made on first use, checked before each use; Reef never reads its secret half.

Ed25519 (RFC 8032) in packets of version 4 (RFC 4880), for signing only: the gpgv of every board release since buster
and trixie's sqv accept it, and its signatures are deterministic, so that the same Release and date give the same bytes.
"""

import errno
import os
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from builders.apt.keys.gnupg import Home, home_path, opened
from builders.errors import PublishError
from builders.host import process
from builders.host.files import disk_error, disk_errors, write_whole
from builders.host.log import Log
from builders.model.settings import Settings

DAY_S = 86400
RECORD = "reef-signing-key"
USER_ID = "Reef archive signing key"
REVOKED, EXPIRED = "r", "e"
EXTENSION_DAYS = 1095
VERSION_4 = 40
"""Digits of the fingerprint of a key of version 4 (RFC 4880, 12.2). GnuPG 2.3 and later also makes version 5."""
EXPORT = "export it as text: gpg --homedir HOME --armor --export-secret-keys FINGERPRINT"
DIGESTS = ("--digest-algo", "SHA512", "--cert-digest-algo", "SHA512")


@dataclass(frozen=True)
class SigningKey:
    """A usable signing key: its home, fingerprint, times in seconds since 1970 (``expires`` None for never),
    and the public key as keyring file (``public``) and as text (``armored``).

    ``older`` are the keys that it takes over from: they sign too, and the keyring contains them.
    """

    home: Path
    fingerprint: str
    created: int
    expires: int | None
    public: bytes
    armored: bytes
    older: tuple[str, ...] = ()

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """All keys that sign, the newest first."""
        return self.fingerprint, *self.older

    def sign(self, release: Path, *, date: int) -> None:
        """Write ``InRelease`` and ``Release.gpg`` beside ``release``; same bytes and ``date``, same signatures.

        ``date`` in seconds since 1970: no earlier than the key, no later than now. Raises PublishError and DiskError.
        """
        # Publications within one second are dated ahead, which apt accepts; sqv (apt 3) accepts no such signature.
        moment = max(min(date, int(time.time())), self.created)
        signers = [word for name in self.fingerprints for word in ("--local-user", name)]
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
                f"if it has a passphrase, give it to the agent first: gpg --homedir {self.home} --clearsign /dev/null",
            ) from error


def signing_key(settings: Settings, log: Log) -> SigningKey:
    """Return the key that ``reef.yml`` names, else Reef's own, which is made on first use.

    Raises PublishError where the key is missing, revoked, expired or about to expire (``signing.refuse_days``); warns
    within ``signing.warn_days`` of its end.
    """
    with opened(home_path(settings)) as home:
        try:
            names = chosen(home, settings) or (_adopted(home) or made(home, settings, log),)
            key = _read(home, names[0], _usable(home, names[1:], log))
        except process.ProgramFailed as error:
            raise PublishError(
                f"gpg cannot use its home {home.path}", error.detail, "correct what gpg reports"
            ) from error
    _check_end(key, settings, log)
    return key


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
        records = [line.split(":") for line in listed.splitlines()]
        found = [records[n + 1][9] for n, line in enumerate(records) if line[0] == "sec" and records[n + 1][0] == "fpr"]
        names = chosen(home, settings)
        if not found:
            raise PublishError("the given text contains no secret key", fix=EXPORT)
        if (not names and len(found) > 1) or (names and names[0] not in found):
            reason = f"signing with {names[0]}" if names else "signing.key in reef.yml must name the one to sign with"
            raise PublishError(
                "it is not clear which key signs", f"given: {', '.join(found)}; {reason}", "give that key alone"
            )
        home.gpg("--import", input_text=text)
        if not settings.signing.key:
            record(home, names or found)
    log.note(f"signing with {(names or found)[0]}, in {home.path}")
    return (names or found)[0]


def chosen(home: Home, settings: Settings) -> tuple[str, ...]:
    """Return the fingerprints to sign with, the newest first: as set, else as recorded; none before the first key."""
    if settings.signing.key:
        names = [settings.signing.key, *settings.signing.previous]
        return tuple(name.replace(" ", "").upper() for name in names)
    path = home.path / RECORD
    with disk_errors(path):
        return tuple(path.read_text().split()) if path.exists() else ()


def record(home: Home, fingerprints: Iterable[str]) -> None:
    """Record which keys sign from now on, the newest first; raises DiskError."""
    write_whole(home.path / RECORD, "".join(f"{name}\n" for name in fingerprints))


def _usable(home: Home, fingerprints: Iterable[str], log: Log) -> tuple[str, ...]:
    """Return those of the older keys that boards still accept; warns of the others."""
    found = []
    for name in fingerprints:
        secret = next((record for record in home.records("--list-secret-keys", name) if record[0] == "sec"), None)
        if secret and secret[14] != "#" and secret[1] not in (REVOKED, EXPIRED):
            found.append(name)
        else:
            log.warn(f"the older key {name} signs no more: it is missing, revoked or expired")
    return tuple(found)


def _adopted(home: Home) -> str | None:
    """Return the key of a run that was killed before it could record it, and record it."""
    records = home.records("--list-secret-keys")
    for number, record_line in enumerate(records):
        if record_line[0] == "uid" and record_line[9] == USER_ID and record_line[1] not in (REVOKED, EXPIRED):
            before = [fields[9] for fields in records[:number] if fields[0] == "fpr"]
            record(home, [before[-1]])
            return before[-1]
    return None


def made(home: Home, settings: Settings, log: Log, older: Iterable[str] = ()) -> str:
    """Make a key, record it before the ``older`` ones, and return its fingerprint; raises ProgramFailed."""
    days = settings.signing.expires_days
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


def _read(home: Home, fingerprint: str, older: tuple[str, ...]) -> SigningKey:
    records = home.records("--list-secret-keys", fingerprint)
    secret = next((record for record in records if record[0] == "sec"), None)
    if secret is None or secret[14] == "#":
        raise PublishError(
            f"the signing key {fingerprint} is missing",
            f"no secret key of that fingerprint in {home.path}",
            "restore it from your copy (gpg --import), or correct signing.key in reef.yml; to start again with "
            f"another key, which every board then needs, remove {home.path / RECORD}",
        )
    created, expires = int(secret[5]), int(secret[6]) if secret[6] else None
    _refuse_unusable(home, fingerprint, secret[1], created, expires)
    full = next(record[9] for record in records if record[0] == "fpr")
    if len(full) != VERSION_4:
        raise PublishError(
            f"no board can verify the signing key {full}",
            "it has a fingerprint of version 5; apt's gpgv (GnuPG 2.2) and sqv read keys of version 4",
            "make another, as gpg --quick-generate-key NAME ed25519 sign does, and set signing.key to it",
        )
    names = (full, *older)
    return SigningKey(home.path, full, created, expires, _public(home, names), _public(home, names, "--armor"), older)


def _refuse_unusable(home: Home, fingerprint: str, validity: str, created: int, expires: int | None) -> None:
    now = time.time()
    if validity == REVOKED:
        raise PublishError(
            f"the signing key {fingerprint} is revoked",
            f"boards refuse what it signs; its home: {home.path}",
            f"remove {home.path / RECORD} to make a new key, and give that key to every board",
        )
    if expires is not None and expires <= now:
        raise PublishError(
            f"the signing key {fingerprint} expired on {day_of(expires)}",
            f"boards refuse what it signs; its home: {home.path}",
            f"extend it: ./inv keys --extend {EXTENSION_DAYS}; every board needs the new keyring file then",
        )
    if created > now + DAY_S:
        raise PublishError(
            f"this machine's clock is before the signing key's creation on {day_of(created)}", fix="set the clock"
        )


def _public(home: Home, fingerprints: Iterable[str], *form: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="reef-key-") as folder:
        path = Path(folder) / "public"
        home.gpg(*form, "--output", str(path), "--export-options", "export-minimal", "--export", *fingerprints)
        return path.read_bytes()


def _check_end(key: SigningKey, settings: Settings, log: Log) -> None:
    if key.expires is None:
        return
    days = (key.expires - time.time()) / DAY_S
    end = f"the signing key {key.fingerprint} expires on {day_of(key.expires)}, in {days:.0f} days"
    if days <= settings.signing.refuse_days:
        raise PublishError(
            end,
            "boards without a longer-lived keyring refuse the repository then "
            f"(signing.refuse_days: {settings.signing.refuse_days})",
            f"extend it now: ./inv keys --extend {EXTENSION_DAYS}",
        )
    if days <= settings.signing.warn_days:
        log.warn(f"{end}; boards then refuse the repository. Extend it: ./inv keys --extend {EXTENSION_DAYS}")


def day_of(moment: int) -> str:
    """Return the UTC day of ``moment`` (seconds since 1970) as ``2026-12-31``."""
    return time.strftime("%Y-%m-%d", time.gmtime(moment))
