"""Reads an uploaded repository over HTTP, as boards do: it must be public, and have the uploaded bytes."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import requests

from builders.apt.repository.layout import KEYRING, RepositoryLayout
from builders.apt.repository.publication import read_release
from builders.apt.upload.remote_state import by_hash
from builders.apt.upload.store import File
from builders.errors import PublishError

AT_ONCE = 8
PATIENCE_S = 60
FIX = "make it readable for everyone and correct url: in reef.yml; a cache in front must honour Cache-Control"


def require_public(place: RepositoryLayout, url: str, sent: Sequence[File], name: str) -> None:
    """Raise PublishError where ``url`` returns other bytes for the keyring, a suite's InRelease or its indices by hash.

    Of the ``sent`` .debs only the size is compared.
    """
    digests = {KEYRING: _sha256((place.path / KEYRING).read_bytes())}
    for suite in place.suites():
        digests[f"dists/{suite}/InRelease"] = _sha256((place.path / "dists" / suite / "InRelease").read_bytes())
        release = read_release(place, suite, place.live_stamp(suite) or "")
        digests |= {by_hash(suite, path, digest.sha256): digest.sha256 for path, digest in release.present.items()}
    debs = [file for file in sent if file.key.startswith("pool/")]
    with requests.Session() as session, ThreadPoolExecutor(AT_ONCE) as pool:

        def read(key: str) -> str:
            return _sha256(_asked(session, url, key, name).content)

        def length(file: File) -> int:
            # A range of one byte, with GET as apt does: many stores answer HEAD by other rules.
            with _asked(session, url, file.key, name, Range="bytes=0-0") as answer:
                ranged = answer.status_code == requests.codes.partial_content
                length_text = answer.headers.get("Content-Range" if ranged else "Content-Length", "").rpartition("/")[2]
                if length_text.isdecimal():
                    return int(length_text)
                if not ranged:
                    return _counted(answer, name)
            # The size is unknown (RFC 9110, 14.4: "bytes 0-0/*"), so the file is read.
            with _asked(session, url, file.key, name, stream=True) as answer:
                return _counted(answer, name)

        wrong = [key for key, found in zip(digests, pool.map(read, digests), strict=True) if found != digests[key]]
        wrong += [file.key for file, found in zip(debs, pool.map(length, debs), strict=True) if found != file.size]
    if wrong:
        raise PublishError(f"{name}: {url} returns other bytes than were uploaded", "\n".join(wrong[:5]), FIX)


def _asked(
    session: requests.Session, url: str, key: str, name: str, *, stream: bool = False, **headers: str
) -> requests.Response:
    address = f"{url.rstrip('/')}/{quote(key)}"
    try:
        headers["Accept-Encoding"] = "identity"
        answer = session.get(address, timeout=PATIENCE_S, headers=headers, stream=stream or "Range" in headers)
    except requests.RequestException as error:
        raise PublishError(f"{name}: boards cannot reach {address}", str(error), FIX) from error
    if not answer.ok:
        raise PublishError(f"{name}: boards cannot read {address}", f"HTTP status {answer.status_code}", FIX)
    return answer


def _counted(answer: requests.Response, name: str) -> int:
    """Return the number of bytes of an answer; reads it all."""
    try:
        return sum(map(len, answer.iter_content(1 << 20)))
    except requests.RequestException as error:
        raise PublishError(f"{name}: boards cannot read {answer.url} to its end", str(error), FIX) from error


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
