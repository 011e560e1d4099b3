"""Verifying a repository as a stranger would: from the public key alone, everything that Release leads to."""

import os
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from builders import process
from builders.apt import seen
from builders.apt.compression import UNPACK, UNPACK_ERRORS
from builders.apt.index import Entry, names_files, parse_index
from builders.apt.layout import KEYRING, SUITE, checked
from builders.apt.live import digest_of
from builders.apt.proof import Proof
from builders.apt.release import Digest, Release, parse_release
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
    """A suite found sound: numbers of index files and .debs rehashed, and the fingerprints of the keys that signed.

    ``sources`` is the number of source packages, every file of which was rehashed.
    """

    suite: str
    indices: int
    debs: int
    fingerprints: tuple[str, ...]
    sources: int = 0


def verify(repository: Path, suite: str, keyring: Path | None = None, proof: Proof | None = None) -> Verified:
    """Check a suite of a repository folder against ``keyring`` (binary form), by default the one at its root.

    Both signatures, Release against InRelease, the size and SHA-256 of each file that Release names, the set of
    files around it, by-hash names, each compressed index against the plain one, and size and SHA-256 of each .deb.
    With a ``proof`` what it knows is not hashed or unpacked again, and what is found goes there, for the caller to
    save. Raises PublishError naming the first thing that is wrong.
    """
    known = proof or Proof()
    folder = repository / "dists" / checked("suite name", suite, SUITE)
    release, fingerprints = _signed(folder, suite, keyring or repository / KEYRING)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda path: _by_hash(path, known), _file_set(folder, release)))
        list(pool.map(lambda name: _index(folder, name, release, known), release.files))
        entries: dict[str, Entry] = {}
        for name in filter(names_files, release.files):
            found = parse_index(name, _read(folder / name), str(folder / name))
            entries |= {entry.filename: entry for entry in found}
        # Source packages share files; where they disagree on one, one of them is found wrong.
        wanted = {file: entry for entry in entries.values() for file in entry.files}
        list(pool.map(lambda file: _file(repository, wanted[file], file, known), wanted))
    sources = sum(entry.is_source for entry in entries.values())
    return Verified(suite, len(release.files), len(entries) - sources, fingerprints, sources)


def glance(repository: Path, suite: str) -> None:
    """Check that a suite is signed as `verify` wants it, and that what its Release names is there in its size.

    It takes the same time however much is published. Raises PublishError.
    """
    folder = repository / "dists" / checked("suite name", suite, SUITE)
    release, _ = _signed(folder, suite, repository / KEYRING)
    for name, digest in release.files.items():
        found = _facts(folder / name).st_size
        if found != digest.size:
            raise _wrong(folder / name, f"Release says {digest.size} bytes, found {found}")


def _signed(folder: Path, suite: str, keyring: Path) -> tuple[Release, tuple[str, ...]]:
    """Return a suite's Release and the fingerprints of who signed it."""
    fingerprints = _signatures(folder, keyring.absolute())
    release = parse_release(_read(folder / "Release"), str(folder / "Release"))
    if release.fields["Suite"] != suite:
        raise _wrong(folder / "Release", f"it is for {release.fields['Suite']}, not {suite}")
    return release, fingerprints


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


def _file_set(folder: Path, release: Release) -> list[Path]:
    """Return the files by hash, once it is clear that all others are named by Release."""
    lying = {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}
    named = {name for name in lying if "/by-hash/" not in name} - set(SIGNED)
    if strange := sorted(named - set(release.files)):
        raise _wrong(folder / strange[0], "Release does not name it")
    return [folder / name for name in sorted(lying - named - set(SIGNED))]


def _by_hash(path: Path, known: Proof) -> None:
    if _digest(path, known).sha256 != path.name:
        raise _wrong(path, "its bytes are not those of its name")


def _digest(path: Path, known: Proof) -> Digest:
    """Return the digest of an index file; generations and names share files by links, each is read once."""
    facts = _facts(path)
    stamp = seen.stamp(facts)
    if stamp not in known.hashed:
        known.hashed[stamp] = Digest(facts.st_size, sha256_of(path))
    return known.hashed[stamp]


def _index(folder: Path, name: str, release: Release, known: Proof) -> None:
    """Check an index file, its by-hash twin and its plain form."""
    path, digest = folder / name, release.files[name]
    found = _digest(path, known)
    if found != digest:
        raise _wrong(path, f"Release says {digest}\nfound        {found}")
    if not (path.parent / "by-hash" / "SHA256" / digest.sha256).is_file():
        raise _wrong(path, f"by-hash/SHA256/{digest.sha256} is missing beside it")
    plain = release.files.get(name.removesuffix(path.suffix))
    text = plain.sha256 if plain else ""
    if not path.suffix or path.suffix not in UNPACK or known.knows_text(digest.sha256, text):
        return
    unpacked = digest_of(_plain(path, _read(path)))
    if plain and unpacked != plain:
        raise _wrong(path, "it does not unpack to what the plain index holds")
    known.found_text(digest.sha256, text)


def _plain(path: Path, content: bytes) -> bytes:
    try:
        return UNPACK[path.suffix](content)
    except (KeyError, *UNPACK_ERRORS) as error:
        raise _wrong(path, f"it does not unpack: {error}") from error


def _file(repository: Path, entry: Entry, file: tuple[str, int, str], known: Proof) -> None:
    """Check one file of an entry: its path, size and SHA-256."""
    name, size, sha256 = file
    path = f"{repository}/{name}"
    try:
        facts = os.stat(path)
    except OSError as error:
        raise _wrong(Path(path), f"the index names it for {entry}, but it is missing") from error
    stamp = seen.stamp(facts)
    if facts.st_size == size and known.knows_file(name, stamp, sha256):
        return
    digest = sha256_of(Path(path))
    if (facts.st_size, digest) != (size, sha256):
        raise _wrong(Path(path), f"the index says {size} bytes, {sha256}\nfound {facts.st_size} bytes, {digest}")
    known.found_file(name, stamp, digest)


def _facts(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        raise _wrong(path, str(error)) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _wrong(path, str(error)) from error


def _wrong(path: Path, why: str) -> PublishError:
    return PublishError(f"{path} is wrong", why, MEND)
