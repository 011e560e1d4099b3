"""Verifies a repository from its public key alone: everything that Release leads to."""

import hashlib
import os
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from builders.apt.indices.compression import OPEN, UNPACK_ERRORS
from builders.apt.indices.entry import names_files, parse_index
from builders.apt.indices.release import Digest, Release, parse_release
from builders.apt.repository.layout import KEYRING, SUITE, checked
from builders.apt.state import read_cache
from builders.apt.state.verify_cache import VerifyCache
from builders.errors import PublishError
from builders.host import process
from builders.host.files import sha256_of

SIGNED = ("Release", "InRelease", "Release.gpg")
CLEARSIGNED = re.compile(
    rb"-----BEGIN PGP SIGNED MESSAGE-----\n(?:[A-Za-z]+: [^\n]*\n)+\n(.*?)\n?"
    rb"-----BEGIN PGP SIGNATURE-----\n[^-]*-----END PGP SIGNATURE-----\n",
    re.DOTALL,
)
BLOCK = 1 << 20
AT_ONCE = 1000
"""Number of files that are passed to a pool of threads together."""
REPUBLISH = "publish again; if the error remains, restore the repository from a copy"


@dataclass(frozen=True)
class Verified:
    """A correct suite: numbers of index files and .debs that were hashed, and the fingerprints of the signing keys.

    ``sources`` is the number of source packages; every file of them was hashed.
    """

    suite: str
    indices: int
    debs: int
    fingerprints: tuple[str, ...]
    sources: int = 0


def verify(
    repository: Path, suite: str, keyring: Path | None = None, verify_cache: VerifyCache | None = None
) -> Verified:
    """Check a suite of a repository folder against ``keyring`` (binary form), by default the one at its root.

    Checks both signatures, Release against InRelease, the size and SHA-256 of each file that Release names, the set of
    files around it, by-hash names, each compressed index against the plain one, and size and SHA-256 of each .deb. What
    ``verify_cache`` knows is not hashed or unpacked again, and what is found is added to it, for the caller to save.
    Raises PublishError for the first error.
    """
    known = verify_cache or VerifyCache()
    folder = repository / "dists" / checked("suite name", suite, SUITE)
    release, fingerprints = _signed(folder, suite, keyring or repository / KEYRING)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda path: _by_hash(path, known), _file_set(folder, release)))
        list(pool.map(lambda name: _index(folder, name, release, known), release.present))
        entries, files = _named(folder, release)
        # Most are known after a stat; one task of a pool for each would fill the memory.
        todo = [(name, expected) for name, expected in files if not _is_known(repository, name, expected, known)]
        for start in range(0, len(todo), AT_ONCE):
            list(pool.map(lambda item: _file(repository, item[0], item[1], known), todo[start : start + AT_ONCE]))
    sources = sum(entries.values())
    return Verified(suite, len(release.present), len(entries) - sources, fingerprints, sources)


def glance(repository: Path, suite: str) -> None:
    """Check a suite's signatures, and that the files of its Release exist with their sizes.

    Its time does not depend on the number of packages. Raises PublishError.
    """
    folder = repository / "dists" / checked("suite name", suite, SUITE)
    release, _ = _signed(folder, suite, repository / KEYRING)
    for name, digest in release.present.items():
        found = _facts(folder / name).st_size
        if found != digest.size:
            raise _wrong(folder / name, f"Release says {digest.size} bytes, found {found}")


def _signed(folder: Path, suite: str, keyring: Path) -> tuple[Release, tuple[str, ...]]:
    """Return a suite's Release and the fingerprints of the signing keys."""
    fingerprints = _signatures(folder, keyring.absolute())
    release = parse_release(_read(folder / "Release"), str(folder / "Release"))
    if release.fields["Suite"] != suite:
        raise _wrong(folder / "Release", f"it is for {release.fields['Suite']}, not {suite}")
    return release, fingerprints


def _signatures(folder: Path, keyring: Path) -> tuple[str, ...]:
    release, clear, apart = (folder / name for name in SIGNED)
    match = CLEARSIGNED.fullmatch(_read(clear))
    if match is None:
        raise _wrong(clear, "it is not a single clear-signed message")
    text = re.sub(rb"^- ", b"", match[1], flags=re.MULTILINE)
    if text.rstrip(b"\n") != _read(release).rstrip(b"\n"):
        raise _wrong(clear, "it differs from Release")
    signers = _gpgv(clear, keyring, str(clear))
    others = _gpgv(apart, keyring, str(apart), str(release))
    if signers != others:
        raise _wrong(clear, f"it and Release.gpg are from different keys: {', '.join((*signers, *others))}")
    if process.find("sqv"):
        _accepted(apart, ["sqv", "--keyring", str(keyring), str(apart), str(release)])
    return signers


def _gpgv(signature: Path, keyring: Path, *files: str) -> tuple[str, ...]:
    """Return the fingerprints of the good signatures: at least one. A bad signature is an error.

    Expired and revoked keys count as bad. A key outside the keyring is ignored, as by apt: a board with one of two keys
    accepts what both signed.
    """
    with tempfile.TemporaryDirectory(prefix="reef-gpgv-") as home:
        # A copy: gpgv reads a keyring's path up to a colon as a scheme.
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
    """Return the files by hash; raises PublishError where Release does not name another file."""
    lying = {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}
    named = {name for name in lying if "/by-hash/" not in name} - set(SIGNED)
    if strange := sorted(named - set(release.present)):
        raise _wrong(folder / strange[0], "Release does not name it")
    return [folder / name for name in sorted(lying - named - set(SIGNED))]


def _by_hash(path: Path, known: VerifyCache) -> None:
    if _digest(path, known).sha256 != path.name:
        raise _wrong(path, "its bytes do not match its name")


def _digest(path: Path, known: VerifyCache) -> Digest:
    """Return the digest of an index file; generations and names share files by links, each is hashed once."""
    facts = _facts(path)
    stamp = read_cache.stamp(facts)
    if stamp not in known.hashed:
        known.hashed[stamp] = Digest(facts.st_size, sha256_of(path))
    return known.hashed[stamp]


def _index(folder: Path, name: str, release: Release, known: VerifyCache) -> None:
    """Check an index file, its by-hash link and its plain form."""
    path, digest = folder / name, release.files[name]
    found = _digest(path, known)
    if found != digest:
        raise _wrong(path, f"Release says {digest}\nfound        {found}")
    if not (path.parent / "by-hash" / "SHA256" / digest.sha256).is_file():
        raise _wrong(path, f"by-hash/SHA256/{digest.sha256} is missing beside it")
    plain = release.files.get(name.removesuffix(path.suffix))
    text = plain.sha256 if plain else ""
    if path.suffix not in OPEN or known.knows_text(digest.sha256, text):
        return
    unpacked = _unpacked(path)
    if plain and unpacked != plain:
        raise _wrong(path, "it does not unpack to the plain index")
    known.found_text(digest.sha256, text)


def _unpacked(path: Path) -> Digest:
    """Return the digest of a compressed index's content, block by block: it may be large."""
    digest, size = hashlib.sha256(), 0
    try:
        with OPEN[path.suffix](path) as file:
            while block := file.read(BLOCK):
                digest.update(block)
                size += len(block)
    except UNPACK_ERRORS as error:
        raise _wrong(path, f"it does not unpack: {error}") from error
    return Digest(size, digest.hexdigest())


def _named(folder: Path, release: Release) -> tuple[dict[str, bool], set[tuple[str, Digest]]]:
    """Return by path whether each package that an index names is a source package; and the files of all packages.

    Source packages share files; where they disagree on a file, both digests are returned, and one of them is wrong.
    """
    entries: dict[str, bool] = {}
    files: set[tuple[str, Digest]] = set()
    for name in filter(names_files, release.files):
        for entry in parse_index(name, _read(folder / name), str(folder / name)):
            entries[entry.filename] = entry.is_source
            files.update((path, Digest(size, sha256)) for path, size, sha256 in entry.files)
    return entries, files


def _is_known(repository: Path, name: str, expected: Digest, known: VerifyCache) -> bool:
    """Return whether a file is known from an earlier verification; raises PublishError where it is missing."""
    path = f"{repository}/{name}"
    try:
        facts = os.stat(path)
    except OSError as error:
        raise _wrong(Path(path), "an index names it, but it is missing") from error
    return facts.st_size == expected.size and known.knows_file(name, read_cache.stamp(facts), expected.sha256)


def _file(repository: Path, name: str, expected: Digest, known: VerifyCache) -> None:
    path = repository / name
    facts = _facts(path)
    found = Digest(facts.st_size, sha256_of(path))
    if found != expected:
        raise _wrong(path, f"the index says {expected.size} bytes, {expected.sha256}\n"
                           f"found {found.size} bytes, {found.sha256}")  # fmt: skip
    known.found_file(name, read_cache.stamp(facts), found.sha256)


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
    return PublishError(f"{path} is wrong", why, REPUBLISH)
