"""The key that signs the repository: made on first use, checked before each use, never seen by us.

Ed25519 (RFC 8032, RFC 9580), for signing only: bullseye's gpgv and trixie's sqv both accept it, and its signatures
are deterministic, so that the same Release and date give the same bytes.
"""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from builders import process
from builders.apt.gnupg import Home, home_path, opened
from builders.errors import PublishError
from builders.log import Log
from builders.settings import Settings
from builders.workspace import told, write_whole

DAY_S = 86400
RECORD = "reef-signing-key"
USER_ID = "Reef archive signing key"
REVOKED, EXPIRED = "r", "e"
DIGESTS = ("--digest-algo", "SHA512", "--cert-digest-algo", "SHA512")


@dataclass(frozen=True)
class SigningKey:
    """A usable signing key: its home, fingerprint, times in seconds since 1970 (``expires`` None for never),
    and the public key as keyring file (``public``) and as text (``armored``)."""

    home: Path
    fingerprint: str
    created: int
    expires: int | None
    public: bytes
    armored: bytes

    def sign(self, release: Path, *, date: int) -> None:
        """Write ``InRelease`` and ``Release.gpg`` beside ``release``; same bytes and ``date``, same signatures.

        ``date`` in seconds since 1970; a date before the key's own is taken as the key's. Raises PublishError.
        """
        moment = max(date, self.created)
        common = ("--yes", "--local-user", self.fingerprint, "--faked-system-time", f"{moment}!", *DIGESTS)
        clear, apart = release.with_name("InRelease"), release.with_name("Release.gpg")
        try:
            with opened(self.home) as home:
                home.gpg(*common, "--output", str(clear), "--clearsign", str(release))
                home.gpg(*common, "--output", str(apart), "--armor", "--detach-sign", str(release))
        except process.ProgramFailed as error:
            raise PublishError(
                f"cannot sign with the key {self.fingerprint}",
                error.detail,
                f"if it has a passphrase, give it to the agent first: gpg --homedir {self.home} --clearsign /dev/null",
            ) from error


def signing_key(settings: Settings, log: Log) -> SigningKey:
    """Return the key that ``reef.yml`` names, else Reef's own, which is made on first use.

    Raises PublishError where the key is missing, revoked or expired; warns within ``signing.warn_days`` of its end.
    """
    with opened(home_path(settings)) as home:
        try:
            fingerprint = settings.signing.key or _recorded(home) or _adopted(home) or _made(home, settings, log)
            key = _read(home, fingerprint.replace(" ", "").upper())
        except process.ProgramFailed as error:
            raise PublishError(f"gpg cannot use its home {home.path}", error.detail) from error
    _warn_of_end(key, settings, log)
    return key


def _recorded(home: Home) -> str | None:
    path = home.path / RECORD
    with told(path):
        return path.read_text().strip() if path.exists() else None


def _adopted(home: Home) -> str | None:
    """Return the key of a run that was killed before it could record it, and record it now."""
    records = home.records("--list-secret-keys")
    for number, record in enumerate(records):
        if record[0] == "uid" and record[9] == USER_ID and record[1] not in (REVOKED, EXPIRED):
            before = [fields[9] for fields in records[:number] if fields[0] == "fpr"]
            write_whole(home.path / RECORD, before[-1] + "\n")
            return before[-1]
    return None


def _made(home: Home, settings: Settings, log: Log) -> str:
    days = settings.signing.expires_days
    wish = (
        "%no-protection\nKey-Type: EDDSA\nKey-Curve: ed25519\nKey-Usage: sign\n"
        f"Name-Real: {USER_ID}\nExpire-Date: {days}d\n%commit\n"
    )
    answer = home.gpg(*DIGESTS, "--status-fd", "1", "--generate-key", input_text=wish)
    created = [line.split()[3] for line in answer.splitlines() if line.startswith("[GNUPG:] KEY_CREATED ")]
    fingerprint = created[0]
    write_whole(home.path / RECORD, fingerprint + "\n")
    log.note(f"made the signing key {fingerprint} in {home.path}, valid for {days} days")
    log.note(
        "it has no passphrase: whoever reads that folder can sign. Keep a copy of it elsewhere. To set a passphrase: "
        f"gpg --homedir {home.path} --edit-key {fingerprint} passwd"
    )
    return fingerprint


def _read(home: Home, fingerprint: str) -> SigningKey:
    records = home.records("--list-secret-keys", fingerprint)
    secret = next((record for record in records if record[0] == "sec"), None)
    if secret is None or secret[14] == "#":
        raise PublishError(
            f"the signing key {fingerprint} is missing",
            f"no secret key of that fingerprint in {home.path}",
            "bring it back from your copy (gpg --import), or correct signing.key in reef.yml; to begin anew with "
            f"another key, which every board must then be given, remove {home.path / RECORD}",
        )
    created, expires = int(secret[5]), int(secret[6]) if secret[6] else None
    _refuse_unusable(home, fingerprint, secret[1], created, expires)
    full = next(record[9] for record in records if record[0] == "fpr")
    return SigningKey(home.path, full, created, expires, _public(home, full), _public(home, full, "--armor"))


def _refuse_unusable(home: Home, fingerprint: str, validity: str, created: int, expires: int | None) -> None:
    now = time.time()
    if validity == REVOKED:
        raise PublishError(
            f"the signing key {fingerprint} is revoked",
            f"boards refuse what it signs; its home: {home.path}",
            f"remove {home.path / RECORD} to have a new key made, and give that one to every board",
        )
    if expires is not None and expires <= now:
        raise PublishError(
            f"the signing key {fingerprint} expired on {day_of(expires)}",
            f"boards refuse what it signs; its home: {home.path}",
            f"extend it: gpg --homedir {home.path} --quick-set-expire {fingerprint} 3y; then publish, and give the "
            "new keyring file to every board",
        )
    if created > now + DAY_S:
        raise PublishError(
            f"this machine's clock is before the signing key's birth on {day_of(created)}", fix="set the clock"
        )


def _public(home: Home, fingerprint: str, *form: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="reef-key-") as folder:
        path = Path(folder) / "public"
        home.gpg(*form, "--output", str(path), "--export-options", "export-minimal", "--export", fingerprint)
        return path.read_bytes()


def _warn_of_end(key: SigningKey, settings: Settings, log: Log) -> None:
    if key.expires is None:
        return
    days = (key.expires - time.time()) / DAY_S
    if days <= settings.signing.warn_days:
        log.warn(
            f"the signing key {key.fingerprint} expires on {day_of(key.expires)}, in {days:.0f} days; boards then "
            f"refuse the repository. Extend it: gpg --homedir {key.home} --quick-set-expire {key.fingerprint} 3y"
        )


def day_of(moment: int) -> str:
    """Return the UTC day of ``moment`` (seconds since 1970) as ``2026-12-31``."""
    return time.strftime("%Y-%m-%d", time.gmtime(moment))
