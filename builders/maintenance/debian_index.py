"""Debian's newest versions of packages that a build bundles: apt itself is asked, in folders of its own.

The machine's apt stays as it is. The indices are fetched at most once a day, within a time limit. Without an
answer (no apt, no network, no mirror) the sentence gives the reason: nothing but a message depends on it.
"""

import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from debian.debian_support import Version

from builders.errors import HostError, ReefError
from builders.host import debian_mirror, process
from builders.host.apt_access import CONFIG, LOGINS, access
from builders.host.files import disk_errors, document_digest, write_whole
from builders.model.arch import Architecture
from builders.model.bundled import BundledPackage, read_bundled
from builders.model.context import Context

NAME = "debian-index"
"""The folder in `Cache.mounts`."""
FETCHED, FAILED, DIGEST = "fetched", "failed", "settings.sha256"
"""Files in a suite's folder: the stamp of the last fetch, why a later one failed, and the digest of apt's settings."""
FOLDERS = (
    "etc/apt.conf.d", "etc/auth.conf.d", "etc/preferences.d", "etc/trusted.gpg.d", "state/lists/partial",
    "cache/archives/partial",
)  # fmt: skip
"""Folders below a suite's folder that apt expects, and leaves empty or fills."""
DAY_S, RETRY_S = 86400.0, 600.0
"""Age at which the indices, and the reason of a failure, are asked for again."""
TIME_S = 60.0
CONNECT_S = 15
FIX = "run ./inv list again when Debian's mirror is reachable"


@dataclass(frozen=True)
class Offer:
    """The newest version of a package, and the suite that has it."""

    version: str
    suite: str


@dataclass(frozen=True)
class _Index:
    """The folder of a suite's indices, and apt's settings, which contain passwords and end with the call."""

    folder: Path
    config: Path


@dataclass(frozen=True)
class Comparison:
    """A sentence on a build's bundled packages, and a line for each package that Debian has in a newer version."""

    sentence: str
    newer: tuple[str, ...] = ()


def compare(context: Context, path: Path, suite: str, architecture: Architecture) -> Comparison:
    """Return how the packages in the ``bundled.tsv`` at ``path`` compare with Debian's.

    They were taken from ``suite`` for ``architecture``.
    """
    try:
        bundled = read_bundled(path)
        offers = newest(context, suite, architecture, [package.name for package in bundled])
    except ReefError as error:
        return Comparison(f"it is unknown whether Debian has newer versions of its bundled packages: {error.what}")
    newer = list(_newer(bundled, offers))
    if not newer:
        return Comparison(f"{len(bundled)} bundled Debian packages are current")
    return Comparison(
        f"Debian has newer versions of {len(newer)} of {len(bundled)} bundled packages",
        tuple(_line(package, offer, suite) for package, offer in newer),
    )


def newest(context: Context, suite: str, architecture: Architecture, packages: Iterable[str]) -> Mapping[str, Offer]:
    """Return the newest version of each package that Debian has; raises a ReefError that says why it is unknown."""
    with _refreshed(context, suite, architecture) as index:
        # Each line: package, version, and "site suite/component architecture Packages" (apt-cache(8), madison).
        said = _apt(index, "apt-cache", "madison", *packages)
    found: dict[str, Offer] = {}
    for line in said.splitlines():
        package, version, place = (part.strip() for part in line.split("|"))
        found.setdefault(package, Offer(version, place.split()[1].partition("/")[0]))  # apt lists the newest first
    return found


def summaries(context: Context, suite: str, architecture: Architecture, packages: Iterable[str]) -> dict[str, str]:
    """Return the first line of the description of each package that the suite has; raises HostError."""
    with _refreshed(context, suite, architecture) as index:
        try:
            text = _apt(index, "apt-cache", "show", "--no-all-versions", *packages)
        except HostError as error:
            if "No packages found" in error.what:
                return {}
            raise
    found = (dict(re.findall(r"^(Package|Description): (.*)$", part, re.MULTILINE)) for part in text.split("\n\n"))
    return {fields["Package"]: fields.get("Description", "") for fields in found if "Package" in fields}


def source_stanzas(context: Context, suite: str, name: str) -> str:
    """Return the stanzas of the source package ``name``, empty if Debian has none; raises HostError."""
    with _refreshed(context, suite, context.machine, "deb-src") as index:
        try:
            return _apt(index, "apt-cache", "--only-source", "showsrc", name)
        except HostError as error:
            if "Unable to locate package" in error.what or "No packages found" in error.what:
                return ""
            raise


def source_names(context: Context, suite: str) -> Mapping[str, Sequence[str]]:
    """Return the names of all source packages of a suite, each with its binary packages; raises HostError."""
    found: dict[str, Sequence[str]] = {}
    with _refreshed(context, suite, context.machine, "deb-src") as index:
        lists = sorted((index.folder / "state" / "lists").glob("*_Sources*"))
        text = _apt(index, "/usr/lib/apt/apt-helper", "cat-file", *map(str, lists)) if lists else ""
    for stanza in text.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Binary): (.*(?:\n .*)*)$", stanza, re.MULTILINE))
        if "Package" in fields:
            found[fields["Package"]] = [name.strip() for name in fields.get("Binary", "").split(",")]
    return found


@contextmanager
def _refreshed(context: Context, suite: str, architecture: Architecture, kind: str = "deb") -> Iterator[_Index]:
    """Give the index of a suite, none older than a day; ``kind`` is ``deb`` or ``deb-src``."""
    name = f"{suite}-{architecture.debian}" if kind == "deb" else f"{suite}-source"
    folder = context.workspace.cache.mounts / NAME / name
    with (
        context.workspace.cache.in_use(),
        context.workspace.locked(NAME, wait_s=TIME_S, beside=folder),
        tempfile.TemporaryDirectory(prefix="reef-") as private,
    ):
        index = _Index(folder, Path(private) / CONFIG)
        _refresh(context, index, suite, architecture, kind)
        yield index


def _newer(
    bundled: Iterable[BundledPackage], offers: Mapping[str, Offer]
) -> Iterator[tuple[BundledPackage, Offer | None]]:
    """Yield the packages of which Debian has a newer version, or none at all any more."""
    for package in bundled:
        offer = offers.get(package.name)
        if offer is None or Version(offer.version) > Version(package.version):
            yield package, offer


def _line(package: BundledPackage, offer: Offer | None, suite: str) -> str:
    start = f"{package.name} {package.version} ->"
    if offer is None:
        return f"{start} no longer in {suite}"
    if offer.suite == suite:
        return f"{start} {offer.version}"
    return f"{start} {offer.version}, in {offer.suite}"


def _refresh(context: Context, index: _Index, suite: str, architecture: Architecture, kind: str) -> None:
    """Fetch the indices if they are a day old. A failure is repeated from its record for some minutes."""
    fetched, failed = index.folder / FETCHED, index.folder / FAILED
    if _configure(context, index, suite, architecture, kind):  # for another mirror, for instance
        fetched.unlink(missing_ok=True)
        failed.unlink(missing_ok=True)
    if _age(fetched) < DAY_S:
        return
    if _age(failed) < RETRY_S:
        raise HostError(failed.read_text(encoding="utf-8"), fix=FIX)
    try:
        of = f"packages of {suite} for {architecture}" if kind == "deb" else f"source packages of {suite}"
        with context.log.step(f"fetch Debian's list of {of}"):
            _apt(index, "apt-get", "update", "--error-on=any")
    except ReefError as error:
        write_whole(failed, error.what)
        raise
    write_whole(fetched, "")


def _age(path: Path) -> float:
    with disk_errors(path):
        return time.time() - path.stat().st_mtime if path.exists() else float("inf")


def _configure(context: Context, index: _Index, suite: str, architecture: Architecture, kind: str) -> bool:
    """Write apt's settings and sources, and return whether they differ from those before."""
    folder, private = index.folder, index.config.parent
    mirror = debian_mirror.chosen(context.settings.debian_mirror)
    security = debian_mirror.security_mirror()
    sources = [_source(kind, mirror.url, suite)]
    sources += [_source(kind, security.url, f"{suite}-security")] if security else []
    files = access(mirror).content(str(private))
    options = [
        *os.fsdecode(files.pop(CONFIG)).splitlines(),
        f'Dir "{folder.absolute()}";',
        'Dir::Etc "etc";', 'Dir::Etc::sourceparts "-";', 'Dir::State "state";', 'Dir::State::status "status";',
        'Dir::Cache "cache";', 'Dir::Cache::srcpkgcache "";',
        f'APT::Architecture "{architecture.debian}";', f'APT::Architectures {{ "{architecture.debian}"; }};',
        'APT::Sandbox::User "root";',  # the cache may be in a folder that apt's own user cannot enter
        'Acquire::Languages "none";', 'Acquire::GzipIndexes "true";', 'Acquire::Retries "0";',
        *(f'Acquire::{method}::Timeout "{CONNECT_S}";' for method in ("http", "https")),
    ]  # fmt: skip
    with disk_errors(folder):
        for name in FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "state" / "status").touch()
        for old in (folder / CONFIG, folder / LOGINS, *folder.glob("*.pem")):  # kept by earlier versions
            old.unlink(missing_ok=True)
        for name, content in files.items():
            (private / name).write_bytes(content)
        _written(index.config, options)
        known = "\n".join(options).replace(str(private), "")
        digest = document_digest([known, {name: sha256(content).hexdigest() for name, content in files.items()}])
        (folder / DIGEST).touch(mode=0o600)  # a short password could be tried
        changed = [_written(folder / DIGEST, [digest]), _written(folder / "etc" / "sources.list", sources)]
    return any(changed)


def _written(path: Path, lines: Iterable[str]) -> bool:
    """Write ``lines`` to ``path``, and return whether that changes it."""
    text = os.fsencode("".join(f"{line}\n" for line in lines))
    before = path.read_bytes() if path.exists() else b""
    if text != before:
        path.write_bytes(text)
    return text != before


def _source(kind: str, site: str, suite: str) -> str:
    return f"{kind} [signed-by={debian_mirror.KEYRING}] {site} {suite} main"


def _apt(index: _Index, *words: str) -> str:
    """Run apt in the index's folder and return what it printed; raises HostError with apt's own first complaint."""
    lines: list[str] = []
    try:
        process.run(
            words, on_line=lines.append, timeout_s=TIME_S,
            extra_environment={"APT_CONFIG": str(index.config)},
        )  # fmt: skip
    except process.ProgramFailed as error:
        complaint = next((line.removeprefix("E: ") for line in lines if line.startswith("E: ")), error.what)
        raise HostError(complaint, fix=FIX) from error
    return "\n".join(line for line in lines if line[:2] not in ("N:", "W:", "E:"))
