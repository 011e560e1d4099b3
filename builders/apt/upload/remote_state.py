"""The state of a destination before an upload: it must not be newer, and its readers must finish."""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from builders.apt.indices.compression import UNPACK, UNPACK_ERRORS
from builders.apt.indices.entry import names_files, parse_index
from builders.apt.indices.release import Release, parse_release
from builders.apt.repository.layout import KEYRING, STAMP, SUITE, RepositoryLayout, stamp_of
from builders.apt.upload.content import kept_stamps
from builders.apt.upload.store import RemoteFile, Store
from builders.apt.verify.verify import CLEARSIGNED
from builders.errors import PublishError

EMPTY = "empty the destination, then upload again"
OURS = re.compile(r"(pool|dists|snapshots)/.+")
SHOWN = re.compile(r"dists/([^/]+)(?:/InRelease)?")
LINK = re.compile(r"-> \.\./snapshots/([^/]+)/([^/]+)/dists/\1")


@dataclass(frozen=True)
class ShownSuite:
    """One suite as the destination shows it: its InRelease, and its stamp where it is a link into snapshots."""

    suite: str
    inrelease: bytes
    release: Release
    stamp: str | None

    @property
    def named(self) -> dict[str, str]:
        """The keys, by hash, of its indices, each with its index's name."""
        return {by_hash(self.suite, name, digest.sha256): name for name, digest in self.release.present.items()}


def shown_suites(store: Store, held: Mapping[str, RemoteFile], where: str) -> dict[str, ShownSuite]:
    """Return the suites that the destination shows, by name.

    Raises PublishError for files that Reef did not upload, or an invalid InRelease.
    """
    if KEYRING not in held and (strange := next(filter(OURS.fullmatch, held), None)):
        raise PublishError(
            f"{where} contains files that Reef did not upload",
            f"{strange}, but no {KEYRING}",
            "choose an empty folder or prefix, or empty the destination",
        )
    names = sorted({match[1] for key in held if (match := SHOWN.fullmatch(key)) and SUITE.fullmatch(match[1])})
    texts = store.read([f"dists/{name}/InRelease" for name in names]) if names else {}
    result = {}
    for name in names:
        text = texts.get(f"dists/{name}/InRelease")
        if text is None:
            continue  # a dangling link, or not shown yet
        link = LINK.fullmatch(held[f"dists/{name}"].tag) if f"dists/{name}" in held else None
        stamp = link[2] if link and STAMP.fullmatch(link[2]) else None
        result[name] = ShownSuite(name, text, _release(text, f"{where}: dists/{name}/InRelease"), stamp)
    return result


def _release(text: bytes, where: str) -> Release:
    match = CLEARSIGNED.fullmatch(text)
    if match is None:
        raise PublishError(f"{where} is not a signed Release file", fix=EMPTY)
    try:
        return parse_release(re.sub(rb"^- ", b"", match[1], flags=re.MULTILINE), where)
    except PublishError as error:
        raise PublishError(error.what, error.detail, EMPTY) from error


def require_not_newer(shown: Mapping[str, ShownSuite], place: RepositoryLayout, where: str) -> None:
    """Raise PublishError where the destination shows a later publication than this repository holds."""
    for name in place.suites():
        if name in shown and stamp_of(shown[name].release.date) > (ours := place.live_stamp(name) or ""):
            raise PublishError(
                f"{where} shows a later publication of {name} than this repository holds",
                f"destination: {stamp_of(shown[name].release.date)}, this repository: {ours}",
                "upload from the machine that published it; where that is lost, publish something here first",
            )


def forgotten(shown: ShownSuite, place: RepositoryLayout, generations: int) -> bool:
    """Return whether what the destination shows is no longer reachable by hash from the live publication here."""
    stamp = stamp_of(shown.release.date)
    if shown.suite not in place.suites() or stamp not in kept_stamps(place, shown.suite, generations):
        return True
    path = place.indices(shown.suite, stamp) / "InRelease"
    return not path.is_file() or path.read_bytes() != shown.inrelease


def named_by(shown: ShownSuite, store: Store, where: str) -> set[str]:
    """Return the keys that a reader of ``shown`` may still ask for: its indices by hash and its packages' files."""
    packed = {key: name[:-3] for key, name in shown.named.items() if name.endswith(".xz") and names_files(name[:-3])}
    plain = {key: name for key, name in shown.named.items() if names_files(name)}
    found = store.read(list(packed or plain))
    result = set(shown.named)
    for key, content in found.items():
        try:
            text = UNPACK[".xz" if packed else ""](content)
            entries = parse_index((packed or plain)[key], text, f"{where}: {key}")
            result |= {path for entry in entries for path in (*entry.paths, entry.changelog)}
        except PublishError as error:
            raise PublishError(error.what, error.detail, EMPTY) from error
        except UNPACK_ERRORS as error:
            raise PublishError(f"{where}: {key} does not unpack", str(error), EMPTY) from error
    return result


def by_hash(suite: str, name: str, sha256: str) -> str:
    """Return the key by which a reader requests an index."""
    return posixpath.join("dists", suite, posixpath.dirname(name), "by-hash", "SHA256", sha256)
