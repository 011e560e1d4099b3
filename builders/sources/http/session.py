"""Opening URLs: retries, time limits, proxies, and readable reasons of failures."""

import os
import socket
from collections.abc import Iterator, Mapping

import requests
import urllib3
from requests.adapters import HTTPAdapter

from builders.sources.context import plain

CONNECT_TIMEOUT_S = 15.0
READ_TIMEOUT_S = 30.0
LONGEST_WAIT_S = 30.0
"""Maximum of a server's Retry-After, in seconds."""
BODY_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError)
"""Errors of reading a response's body from a broken connection."""


class _Retry(urllib3.Retry):
    """Retries of temporary failures; after a refused connection and for an unknown host only one, immediately."""

    def get_retry_after(self, response: urllib3.BaseHTTPResponse) -> float | None:
        wait_s = super().get_retry_after(response)
        return None if wait_s is None else min(wait_s, LONGEST_WAIT_S)


def new_session(proxies: Mapping[str, str] | None = None) -> requests.Session:
    """Return a session with retries; ``proxies`` (by URL scheme) take precedence over the environment's."""
    result = requests.Session()
    retry = _Retry(
        total=4, connect=1, read=3, status=4, other=1, backoff_factor=0.5,
        status_forcelist=(429, 500, 502, 503, 504), raise_on_status=False,
    )  # fmt: skip
    for scheme in ("http://", "https://"):
        result.mount(scheme, HTTPAdapter(max_retries=retry))
    # Archives must arrive as stored on the server, without a further compression.
    result.headers.update({"User-Agent": "reef", "Accept-Encoding": "identity"})
    result.proxies.update(proxies or {})
    if "SSL_CERT_FILE" in os.environ:
        result.verify = os.environ["SSL_CERT_FILE"]
    return result


def opened(session: requests.Session, url: str, headers: Mapping[str, str]) -> requests.Response:
    """Send a GET and return the response, its body unread; raises requests.RequestException."""
    return session.get(url, headers=dict(headers), stream=True, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S))


def body(response: requests.Response, piece_bytes: int) -> Iterator[bytes]:
    """Yield a response's body as it was sent; raises BODY_ERRORS if it is incomplete."""
    raw: urllib3.HTTPResponse = response.raw
    return raw.stream(piece_bytes, decode_content=False)


def why(error: BaseException) -> str:
    """Return the reason of a failed request, in a few words."""
    innermost = error
    for cause in _causes(error):
        innermost = cause
    if isinstance(innermost, ConnectionRefusedError):
        return "connection refused"
    if isinstance(innermost, socket.gaierror | urllib3.exceptions.NameResolutionError):
        return "no such host, or no name server answers"
    if isinstance(innermost, TimeoutError | urllib3.exceptions.TimeoutError):
        return "no answer in time"
    return plain(str(innermost)) or type(innermost).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield a library's error and those inside it: in its cause, its reason or its arguments."""
    seen: set[int] = set()
    here: BaseException | None = error
    while here is not None and id(here) not in seen:
        seen.add(id(here))
        yield here
        inner = [getattr(here, "reason", None), *here.args, here.__cause__, here.__context__]
        here = next((e for e in inner if isinstance(e, BaseException) and id(e) not in seen), None)
