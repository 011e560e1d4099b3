"""Servers through which machines share compiled files: ``ccache_storage`` and ``bazel`` in ``reef.yml``."""

import os
from typing import Annotated, Literal
from urllib.parse import SplitResult, unquote, urlsplit

import pydantic

from builders.errors import InputError
from builders.model.jobs import Storage
from builders.model.yaml_file import Model

STORAGES = {"http": ("http", False), "https": ("http", True), "redis": ("redis", False), "rediss": ("redis", True)}
"""Schemes of a ccache storage's URL: the protocol, and whether it is encrypted by TLS."""
STORAGE_URL = "expected http://HOST:PORT/PATH or redis://HOST:PORT (with TLS: https, rediss)"
BAZEL_URL = "expected http(s)://HOST:PORT/PATH or grpc(s)://HOST:PORT"


class CcacheStorage(Model):
    """A server that shares compiled files between machines (ccache's remote storage), beside each local ccache."""

    url: str
    """``http://HOST:PORT/PATH`` or ``redis://HOST:PORT``; with TLS, ``https`` or ``rediss``. It may contain a user and
    password. The variable REEF_CCACHE_STORAGE takes precedence and keeps a password out of reef.yml."""
    layout: Literal["subdirs", "flat", "bazel"] = "subdirs"
    """Naming of files on an HTTP server: ``flat`` for a server that creates no folders, ``bazel`` for a Bazel cache."""
    read_only: bool = False
    """Whether builds only read from the server."""

    @pydantic.field_validator("url")
    @classmethod
    def _usable(cls, value: str) -> str:
        try:
            parse_storage(value)
        except InputError as error:
            raise ValueError(f"{error.what}; {error.detail}") from None
        return value


class BazelServices(Model):
    """Servers through which Bazel shares work, in its own protocols; for recipes that Bazel builds."""

    remote_cache: Annotated[str, pydantic.StringConstraints(pattern=r"^(https?|grpcs?)://\S+$")] | None = None
    """Server that stores finished actions: any HTTP server with PUT, or a gRPC cache. An HTTP URL may contain a user
    and password. The variable REEF_BAZEL_CACHE takes precedence and keeps a password out of reef.yml."""
    remote_upload: bool = True
    """Whether local results are uploaded to the cache."""
    remote_executor: Annotated[str, pydantic.StringConstraints(pattern=r"^grpcs?://\S+$")] | None = None
    """Cluster that runs actions (Remote Execution API) and caches them; set it or ``remote_cache``, not both. Its
    workers need the packages of the build root."""
    remote_properties: dict[str, str] = {}
    """Properties that the cluster's workers must have, such as ``container-image: docker://...``."""

    @pydantic.model_validator(mode="after")
    def _exclusive(self) -> "BazelServices":
        if self.remote_cache and self.remote_executor:
            raise ValueError("set remote_cache or remote_executor, not both: the executor is also a cache")
        for url in (self.remote_cache, self.remote_executor):
            if url:
                _bazel_server(url, upload=True)
        return self


def parse_storage(url: str, layout: str = "subdirs", *, read_only: bool = False) -> Storage:
    """Read the URL of a ccache storage; raises InputError, which never shows the URL: it may contain a password."""
    wrong = InputError("not the URL of a ccache storage", STORAGE_URL, "correct the URL")
    try:
        parts, port = _split(url)
    except ValueError:
        raise wrong from None
    kind, tls = STORAGES.get(parts.scheme, ("", False))
    path = parts.path.strip("/")
    if not kind or not parts.hostname or parts.query or parts.fragment:
        raise wrong
    if kind == "redis" and path and not path.isdecimal():
        raise wrong
    usual = 6379 if kind == "redis" else 443 if tls else 80
    user, password = _credentials(parts)
    return Storage(kind, tls, parts.hostname, port or usual, path, user, password, layout, read_only)


def ccache_storage(setting: CcacheStorage | None) -> Storage | None:
    """Return the ccache storage of REEF_CCACHE_STORAGE, else of ``setting``; raises InputError."""
    layout, read_only = (setting.layout, setting.read_only) if setting else ("subdirs", False)
    if given := os.environ.get("REEF_CCACHE_STORAGE"):
        try:
            return parse_storage(given, layout, read_only=read_only)
        except InputError as error:
            raise InputError(f"REEF_CCACHE_STORAGE is {error.what}", error.detail, "correct the variable") from None
    return parse_storage(setting.url, layout, read_only=read_only) if setting else None


def bazel_storage(services: BazelServices) -> Storage | None:
    """Return the server through which Bazel shares work: REEF_BAZEL_CACHE, else that of ``services``.

    Raises InputError.
    """
    url = os.environ.get("REEF_BAZEL_CACHE") or services.remote_executor or services.remote_cache
    try:
        return _bazel_server(url, upload=services.remote_upload) if url else None
    except ValueError as error:
        what = "REEF_BAZEL_CACHE is not the URL of a Bazel server"
        raise InputError(what, str(error), "correct the variable") from None


def _bazel_server(url: str, *, upload: bool) -> Storage:
    """Raises ValueError, which never shows the URL: it may contain a password."""
    try:
        parts, port = _split(url)
    except ValueError:
        raise ValueError(BAZEL_URL) from None
    if not parts.hostname or parts.scheme not in ("http", "https", "grpc", "grpcs") or parts.query or parts.fragment:
        raise ValueError(BAZEL_URL)
    tls = parts.scheme in ("https", "grpcs")
    scheme = "http" if parts.scheme.startswith("http") else "tcp"
    user, password = _credentials(parts)
    return Storage(
        scheme, tls, parts.hostname, port or (443 if tls else 80), parts.path.strip("/"), user, password,
        read_only=not upload, what="Bazel server",
    )  # fmt: skip


def _split(url: str) -> tuple[SplitResult, int | None]:
    """Return the parts of a URL and its port; raises ValueError."""
    parts = urlsplit(url)
    return parts, parts.port


def _credentials(parts: SplitResult) -> tuple[str, str]:
    return unquote(parts.username or ""), unquote(parts.password or "")
