"""Opening URLs: retries, time limits, proxies, and readable reasons of failures."""

import os
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth

from builders.host.apt_access import AptAccess
from builders.sources.context import plain

CONNECT_TIMEOUT_S = 15.0
READ_TIMEOUT_S = 30.0
LONGEST_WAIT_S = 30.0
"""Maximum of a server's Retry-After, in seconds."""
FALSE = ("no", "false", "without", "off", "disable", "0")
"""The values that apt reads as false (apt.conf(5))."""
BODY_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError)
"""Errors of reading a response's body from a broken connection."""


class _Retry(urllib3.Retry):
    """Retries of temporary failures; after a refused connection and for an unknown host only one, immediately."""

    def get_retry_after(self, response: urllib3.BaseHTTPResponse) -> float | None:
        wait_s = super().get_retry_after(response)
        return None if wait_s is None else min(wait_s, LONGEST_WAIT_S)


class _Session(requests.Session):
    """A session whose ``fixed`` settings take precedence over the environment's, unlike those of requests."""

    def __init__(self, fixed: Mapping[str, object]) -> None:
        super().__init__()
        self._fixed = fixed

    def merge_environment_settings(self, *settings: Any) -> Any:
        """Return the settings of a request."""
        return {**super().merge_environment_settings(*settings), **self._fixed}


def new_session(access: AptAccess, url: str) -> requests.Session:
    """Return a session with retries for ``url``, with apt's proxy, login and certificates for it."""
    result = _Session(_fixed(access, url))
    if login := access.login(url):
        result.auth = HTTPBasicAuth(*map(os.fsencode, login))
    retry = _Retry(
        total=4, connect=1, read=3, status=4, other=1, backoff_factor=0.5,
        status_forcelist=(429, 500, 502, 503, 504), raise_on_status=False,
    )  # fmt: skip
    for scheme in ("http://", "https://"):
        result.mount(scheme, HTTPAdapter(max_retries=retry))
    # Archives must arrive as stored on the server, without a further compression.
    result.headers.update({"User-Agent": "reef", "Accept-Encoding": "identity"})
    if "SSL_CERT_FILE" in os.environ:
        result.verify = os.environ["SSL_CERT_FILE"]
    return result


def _fixed(access: AptAccess, url: str) -> dict[str, object]:
    """Return the settings of requests that apt has for ``url``."""
    fixed: dict[str, object] = {}
    proxy = access.proxy(url)
    if proxy is not None:
        chosen = "" if requests.utils.should_bypass_proxies(url, no_proxy=None) else proxy
        fixed["proxies"] = {"http": chosen, "https": chosen}
    if authorities := access.option("CAInfo", url):
        fixed["verify"] = authorities
    if (access.option("Verify-Peer", url) or "").lower() in FALSE:
        fixed["verify"] = False
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # the user's own choice
    if certificate := access.option("SslCert", url):
        fixed["cert"] = (certificate, access.option("SslKey", url) or certificate)
    return fixed


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
