"""Docker engines through Docker's SDK; its errors become HostErrors with advice."""

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from builders.engines.buildx.docker.endpoint import Endpoint
from builders.errors import HostError, InputError
from builders.host.workspace import Workspace
from builders.model import arch
from builders.model.arch import Architecture

if TYPE_CHECKING:  # Docker's SDK is slow to import, and a run with nothing to do asks no engine
    import docker
    from docker.tls import TLSConfig

OLDEST = (20, 10)
"""Debian 12 has this version; its BuildKit is the first with cache mounts, which jobs need."""
OWN_NETWORK = (23, 0)
"""The first engine whose Dockerfile frontend (1.4) knows ``RUN --network`` (since 1.3)."""
LABEL = "reef.kind"
"""The label on every image and container of Reef; its value is their purpose."""
OWNER = "reef.workspace"
"""The label on images and containers of a single project; all projects share roots and base images."""
ANSWER_S = 30.0


@dataclass(frozen=True)
class Daemon:
    """A Docker engine that answered; ``data`` is the folder of its data, None on another machine."""

    client: "docker.DockerClient"
    endpoint: Endpoint
    version: tuple[int, ...]
    machine: Architecture
    cores: int
    data: Path | None

    @property
    def run_network(self) -> bool:
        """Whether a single instruction of a build can be denied the network; otherwise only a whole build can."""
        return self.version >= OWN_NETWORK

    def free_bytes(self) -> int | None:
        """Return the free space on the disk of the engine's data, None on another machine."""
        return shutil.disk_usage(self.data).free if self.data and self.data.is_dir() else None

    def has_image(self, name: str) -> bool:
        """Return whether the engine has the image ``name``."""
        from docker.errors import ImageNotFound

        with talking(self.endpoint):
            try:
                self.client.images.get(name)
            except ImageNotFound:
                return False
            return True

    def made_at(self, name: str) -> float:
        """Return the time when an image was made, in seconds since 1970."""
        with talking(self.endpoint):
            created = str(self.client.images.get(name).attrs["Created"])
        # The fraction may have nanoseconds or be missing; whole seconds suffice.
        return datetime.fromisoformat(created[:19] + "+00:00").timestamp()

    def remove_image(self, name: str) -> bool:
        """Remove an image and its containers; return whether it existed."""
        from docker.errors import ImageNotFound

        with talking(self.endpoint):
            try:
                self.client.images.remove(name, force=True)
            except ImageNotFound:
                return False
            return True

    def remove_ours(self, owner: str) -> list[str]:
        """Remove the containers and images of the project ``owner``, and those roots and base images that no container
        uses; return the images' names. Other projects keep their images, and so does everything but Reef."""
        with talking(self.endpoint):
            for container in self.client.containers.list(all=True, filters={"label": f"{OWNER}={owner}"}):
                container.remove(force=True)
            images = self.client.images.list(filters={"label": LABEL})
        removed = []
        for image in images:
            if (of := image.labels.get(OWNER)) in (None, owner):
                names = image.tags or [str(image.id)]
                removed += [name for name in names if self._removed(name, used_too=of is not None)]
        return sorted(removed)

    def _removed(self, name: str, *, used_too: bool) -> bool:
        """Remove an image and return whether it was removed; unless ``used_too``, an image with a container stays."""
        from docker.errors import APIError

        if used_too:
            return self.remove_image(name)
        with talking(self.endpoint):
            try:
                self.client.images.remove(name)
            except APIError as error:
                if error.status_code in (HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND):
                    return False
                raise
            return True


def owner(workspace: Workspace) -> str:
    """Return the value of the label `OWNER` for the project of ``workspace``."""
    return hashlib.sha256(str((workspace.project or workspace.path).absolute()).encode()).hexdigest()[:12]


def connect(endpoint: Endpoint, timeout_s: float = ANSWER_S) -> Daemon:
    """Connect to an engine and read its properties; raises HostError with the reason if it cannot be used."""
    import docker

    with talking(endpoint), _own_authority(endpoint):
        client = docker.DockerClient(
            base_url=endpoint.host,
            tls=_tls(endpoint),
            timeout=int(timeout_s),
            use_ssh_client=endpoint.host.startswith("ssh://"),
        )
        client.api.trust_env = endpoint.tls is None
        info = client.info()
    version = _numbers(info["ServerVersion"])
    if version < OLDEST:
        raise HostError(
            f"the Docker engine at {endpoint} is too old: {info['ServerVersion']}",
            f"needed: {'.'.join(map(str, OLDEST))} or later",
            "upgrade it, or build with --engine chroot",
        )
    data = Path(info["DockerRootDir"]) if endpoint.socket else None
    return Daemon(client, endpoint, version, machine_of(info["Architecture"], endpoint), int(info["NCPU"]), data)


def _numbers(version: str) -> tuple[int, ...]:
    """Return a version's leading numbers: 20, 10 and 24 of ``20.10.24+dfsg1``."""
    found = re.match(r"[0-9.]+", version)
    return tuple(int(part) for part in found[0].split(".") if part) if found else ()


def machine_of(name: str, endpoint: Endpoint) -> Architecture:
    """Return the architecture that an engine names ``name``, by the kernel's name or OCI's."""
    for architecture in arch.ARCHITECTURES.values():
        if name in (architecture.machine, architecture.oci.removeprefix("linux/")):
            return architecture
    try:
        return arch.by_machine(name)
    except InputError as error:
        raise HostError(
            f"the CPU of the Docker engine at {endpoint} is unknown: {name}", error.detail, "build with --engine chroot"
        ) from error


def _tls(endpoint: Endpoint) -> "TLSConfig | bool":
    from docker.tls import TLSConfig

    if endpoint.tls is None:
        return False
    pair = (str(endpoint.tls / "cert.pem"), str(endpoint.tls / "key.pem"))
    return TLSConfig(client_cert=pair, ca_cert=str(endpoint.tls / "ca.pem"), verify=True)


@contextlib.contextmanager
def _own_authority(endpoint: Endpoint) -> Iterator[None]:
    """Make requests use the endpoint's ca.pem: these variables would override a session's own authorities (psf/requests
    issue 4726)."""
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE") if endpoint.tls else ()
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


@contextlib.contextmanager
def talking(endpoint: Endpoint) -> Iterator[None]:
    """Turn errors of the SDK into HostErrors with advice."""
    import requests
    from docker.errors import DockerException

    try:
        yield
    except (DockerException, requests.RequestException, OSError) as error:
        raise unreachable(endpoint, str(error)) from error


def unreachable(endpoint: Endpoint, words: str) -> HostError:
    """Return the error of an engine that does not answer; ``words`` is the reason from the SDK."""
    if "PermissionError" in words or "ermission denied" in words:
        return HostError(
            f"no permission to talk to the Docker engine at {endpoint}",
            words,
            "sudo usermod --append --groups docker $USER, log in again (members are as good as root); "
            "or build with --engine chroot",
        )
    if endpoint.socket is not None:
        fix = "start Docker (sudo systemctl start docker), or build with --engine chroot"
    else:
        fix = "check that the machine and its engine run; docker context ls and DOCKER_HOST show which engine is used"
    return HostError(f"no Docker engine answers at {endpoint}", words, fix)
