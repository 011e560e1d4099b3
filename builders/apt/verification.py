"""Verifying a repository as a stranger would: from the public key alone, everything that Release leads to."""

import hashlib
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from builders import process
from builders.apt.compression import UNPACK, UNPACK_ERRORS
from builders.apt.index import Entry, parse
from builders.apt.layout import KEYRING, SUITE, checked
from builders.apt.live import digest_of
from builders.apt.release import Release, parse_release
from builders.debfile import sha256_of
from builders.errors import PublishError

SIGNED = ("Release", "InRelease", "Release.gpg")
CLEARSIGNED = re.compile(
    rb"-----BEGIN PGP SIGNED MESSAGE-----\n(?:[A-Za-z]+: [^\n]*\n)+\n(.*?)\n?"
    rb"-----BEGIN PGP SIGNATURE-----\n[^-]*-----END PGP SIGNATURE-----\n",
    re.DOTALL,
)
MEND = "publish again; if that does not mend it, restore the repository from a copy"


@dataclass(frozen=True)
class Verified:
    """A suite found sound: numbers of index files and .debs rehashed, and the fingerprints of the keys that signed."""

    suite: str
    indices: int
    debs: int
    fingerprints: tuple[str, ...]


def verify(repository: Path, suite: str, keyring: Path | None = None) -> Verified:
    """Check a suite of a repository folder against ``keyring`` (binary form), by default the one at its root.

    Both signatures, Release against InRelease, the size and SHA-256 of each file that Release names, the set of
    files around it, by-hash names, each compressed index against the plain one, and size and SHA-256 of each .deb.
    Raises PublishError naming the first thing that is wrong.
    """
    folder = repository / "dists" / checked("suite name", suite, SUITE)
    fingerprints = _signatures(folder, (keyring or repository / KEYRING).absolute())
    release = parse_release(_read(folder / "Release"), str(folder / "Release"))
    if release.fields["Suite"] != suite:
        raise _wrong(folder / "Release", f"it is for {release.fields['Suite']}, not {suite}")
    _file_set(folder, release)
    entries: dict[str, Entry] = {}
    for name in release.files:
        plain = _index(folder, name, release)
        if name.endswith("/Packages"):
            entries |= {entry.filename: entry for entry in parse(plain, str(folder / name))}
    with ThreadPoolExecutor() as pool:
        list(pool.map(partial(_deb, repository), entries.values()))
    return Verified(suite, len(release.files), len(entries), fingerprints)


def _signatures(folder: Path, keyring: Path) -> tuple[str, ...]:
    release, clear, apart = (folder / name for name in SIGNED)
    match = CLEARSIGNED.fullmatch(_read(clear))
    if match is None:
        raise _wrong(clear, "it is not one clear-signed message and nothing else")
    text = re.sub(rb"^- ", b"", match[1], flags=re.MULTILINE)
    if text.rstrip(b"\n") != _read(release).rstrip(b"\n"):
        raise _wrong(clear, "it does not say what Release says")
    signers = _gpgv(clear, keyring, str(clear))
    others = _gpgv(apart, keyring, str(apart), str(release))
    if signers != others:
        raise _wrong(clear, f"it and Release.gpg are from different keys: {', '.join((*signers, *others))}")
    if process.find("sqv"):
        _accepted(apart, ["sqv", "--keyring", str(keyring), str(apart), str(release)])
    return signers


def _gpgv(signature: Path, keyring: Path, *files: str) -> tuple[str, ...]:
    """Return the fingerprints of the good signatures: at least one, and none that is bad.

    Expired and revoked keys count as bad; a key that is not in the keyring says nothing, as for apt: a board that
    has only one of two keys accepts what both signed.
    """
    with tempfile.TemporaryDirectory(prefix="reef-gpgv-") as home:
        # A copy: gpgv takes a colon in a keyring's path for the end of a scheme.
        ring = Path(home) / KEYRING
        ring.write_bytes(_read(keyring))
        argv = ["gpgv", "--homedir", home, "--keyring", str(ring), "--status-fd", "1", *files]
        done = process.run(argv, timeout_s=60, check=False)
    lines = [line.split() for line in done.tail.splitlines() if line.startswith("[GNUPG:] ")]
    words = {line[1] for line in lines}
    unknown, unchecked = (sum(line[1] == word for line in lines) for word in ("NO_PUBKEY", "ERRSIG"))
    strange = words & {"BADSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG"} or unchecked > unknown
    if "GOODSIG" not in words or "VALIDSIG" not in words or strange:
        raise _wrong(signature, f"no good signature of a key in {keyring}:\n{done.tail}")
    return tuple(sorted(line[-1] for line in lines if line[1] == "VALIDSIG"))


def _accepted(signature: Path, argv: list[str]) -> str:
    try:
        return process.capture(argv, timeout_s=60)
    except process.ProgramFailed as error:
        raise _wrong(signature, error.detail) from error


def _file_set(folder: Path, release: Release) -> None:
    lying = {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}
    named = {name for name in lying if "/by-hash/" not in name} - set(SIGNED)
    if strange := sorted(named - set(release.files)):
        raise _wrong(folder / strange[0], "Release does not name it")
    for name in lying - named - set(SIGNED):
        path = folder / name
        if sha256_of(path) != path.name:
            raise _wrong(path, "its bytes are not those of its name")


def _index(folder: Path, name: str, release: Release) -> bytes:
    """Return an index file's plain content after checking it, its by-hash twin and its plain form."""
    path, digest = folder / name, release.files[name]
    content = _read(path)
    if digest_of(content) != digest:
        raise _wrong(path, f"Release says {digest}\nfound        {digest_of(content)}")
    if not (path.parent / "by-hash" / "SHA256" / digest.sha256).is_file():
        raise _wrong(path, f"by-hash/SHA256/{digest.sha256} is missing beside it")
    plain = _plain(path, content)
    if digest_of(plain) != release.files.get(name.removesuffix(path.suffix), digest_of(plain)):
        raise _wrong(path, "it does not unpack to what the plain index holds")
    return plain


def _plain(path: Path, content: bytes) -> bytes:
    try:
        return UNPACK[path.suffix if path.suffix in UNPACK else ""](content)
    except (KeyError, *UNPACK_ERRORS) as error:
        raise _wrong(path, f"it does not unpack: {error}") from error


def _deb(repository: Path, entry: Entry) -> None:
    path = repository / entry.filename
    if not path.is_file():
        raise _wrong(path, f"the index names it for {entry}, but it is missing")
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
    if (size, digest.hexdigest()) != (entry.size, entry.sha256):
        raise _wrong(
            path, f"the index says {entry.size} bytes, {entry.sha256}\nfound {size} bytes, {digest.hexdigest()}"
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _wrong(path, str(error)) from error


def _wrong(path: Path, why: str) -> PublishError:
    return PublishError(f"{path} is wrong", why, MEND)
