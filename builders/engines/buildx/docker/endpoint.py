"""Addresses of Docker engines, found as Docker's own tools find them, without connecting: fast enough for every run.

The order is Docker's: ``DOCKER_HOST``, ``DOCKER_CONTEXT``, the current context of ``config.json``, the default socket.
Contexts are stored in ``$DOCKER_CONFIG/contexts`` (docker/cli: cli/context/store).
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.errors import HostError
from builders.host import process
from builders.host.files import remove_tree, write_whole

DEFAULT_HOST = "unix:///var/run/docker.sock"
TLS_FILES = ("ca.pem", "cert.pem", "key.pem")
"""The files of a folder with certificates."""
DESCRIPTION = "made by Reef"
"""The description of the docker contexts that `as_context` writes."""
PLUGINS = (
    "/usr/local/lib/docker/cli-plugins", "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins", "/usr/libexec/docker/cli-plugins",
    "/Applications/Docker.app/Contents/Resources/cli-plugins",
)  # fmt: skip
"""The folders of plugins of Docker's command line (docker/cli: cli-plugins/manager)."""


@dataclass(frozen=True)
class Endpoint:
    """A Docker engine's address: ``host`` as in DOCKER_HOST, ``context`` its docker context (None: the default),
    ``tls`` the folder with its ca.pem, cert.pem and key.pem."""

    host: str
    context: str | None = None
    tls: Path | None = None

    @property
    def socket(self) -> Path | None:
        """The path of the unix socket of an engine on this machine, otherwise None."""
        return Path(self.host.removeprefix("unix://")) if self.host.startswith("unix://") else None

    def __str__(self) -> str:
        return f"{self.host} (context {self.context})" if self.context else self.host


def configuration() -> Path:
    """Return the folder of Docker's configuration."""
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def current() -> Endpoint:
    """Return the engine that Docker's own command line uses.

    Raises HostError for an unknown context, and for TLS without its files.
    """
    if host := os.environ.get("DOCKER_HOST"):
        verify = os.environ.get("DOCKER_TLS_VERIFY") or os.environ.get("DOCKER_TLS")
        return Endpoint(host, tls=_certificates(host) if verify else None)
    name = os.environ.get("DOCKER_CONTEXT") or _document(configuration() / "config.json").get("currentContext")
    return of_context(name) if name and name != "default" else Endpoint(DEFAULT_HOST)


def _certificates(host: str) -> Path:
    folder = Path(os.environ.get("DOCKER_CERT_PATH") or configuration())
    if missing := [name for name in TLS_FILES if not (folder / name).is_file()]:
        raise HostError(
            f"no certificates for the Docker engine at {host}",
            f"DOCKER_TLS_VERIFY is set, and there is no {', '.join(missing)} in {folder}",
            "set DOCKER_CERT_PATH to their folder; without TLS, unset DOCKER_TLS_VERIFY and DOCKER_TLS",
        )
    return folder


def of_context(name: str) -> Endpoint:
    """Return the engine of the docker context ``name``; raises HostError for an unknown context."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = configuration() / "contexts" / "meta" / digest / "meta.json"
    host = _document(meta).get("Endpoints", {}).get("docker", {}).get("Host")
    if not host:
        raise HostError(
            f"no docker context is called {name!r}",
            f"looked in {meta.parent.parent}",
            "docker context ls shows them; docker context create makes one",
        )
    tls = configuration() / "contexts" / "tls" / digest / "docker"
    return Endpoint(host, name, tls if tls.is_dir() else None)


def as_context(place: Endpoint) -> str:
    """Return the name of a docker context of an engine with TLS; it is written if it is missing or differs.

    buildx reads certificates only from contexts, not from ``DOCKER_CERT_PATH``.
    """
    if place.context or place.tls is None:
        return place.context or "default"
    files = {name: (place.tls / name).read_bytes() for name in TLS_FILES}
    words = b"".join([place.host.encode(), *files.values()])
    name = f"reef-{hashlib.sha256(words).hexdigest()[:12]}"
    digest = hashlib.sha256(name.encode()).hexdigest()
    tls = configuration() / "contexts" / "tls" / digest / "docker"
    tls.mkdir(parents=True, exist_ok=True)
    tls.chmod(0o700)  # before it has a key
    for file, data in files.items():
        write_whole(tls / file, data)
        (tls / file).chmod(0o600)
    docker = {"Host": place.host, "SkipTLSVerify": False}
    meta = {"Name": name, "Metadata": {"Description": DESCRIPTION}, "Endpoints": {"docker": docker}}
    write_whole(configuration() / "contexts" / "meta" / digest / "meta.json", json.dumps(meta))
    return name


def remove_contexts() -> list[str]:
    """Remove the docker contexts that `as_context` wrote, with their copies of keys; return their names.

    A run that needs a context writes it again.
    """
    removed = []
    for meta in sorted((configuration() / "contexts" / "meta").glob("*/meta.json")):
        document = _document(meta)
        name = str(document.get("Name"))
        if name.startswith("reef-") and document.get("Metadata", {}).get("Description") == DESCRIPTION:
            remove_tree(configuration() / "contexts" / "tls" / meta.parent.name)  # first: it has the keys
            remove_tree(meta.parent)
            removed.append(name)
    return removed


def _document(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def buildx() -> str | None:
    """Return the path of the buildx program, which works without Docker's command line; None if it is missing."""
    return next(_buildx_places(), None)


def _buildx_places() -> Iterator[str]:
    for folder in (configuration() / "cli-plugins", *map(Path, PLUGINS)):
        if os.access(folder / "docker-buildx", os.X_OK):
            yield str(folder / "docker-buildx")
    for program in ("docker-buildx", "buildx"):
        if found := process.find(program):
            yield found
