"""Settings of the buildx engine: ``buildx`` in ``reef.yml``."""

from typing import Annotated, Literal

import pydantic

from builders.model.yaml_file import Model, duplicates


class BuildxNode(Model):
    """A further machine on which the buildx engine builds: a Docker engine, or a BuildKit of its own."""

    name: Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    """Name of the node in messages, and of its builder."""
    driver: Literal["docker", "docker-container", "kubernetes", "remote"] = "docker"
    """Buildx driver. ``docker`` is the BuildKit inside a Docker engine; ``builders --create`` creates a builder for the
    others."""
    endpoint: str = ""
    """Name of a Docker context, ``ssh://USER@HOST`` or ``tcp://HOST:PORT``; not needed for ``kubernetes``."""
    certificates: str | None = None
    """Folder with ca.pem, cert.pem and key.pem for an endpoint with TLS, absolute or relative to reef.yml."""
    architectures: list[Literal["amd64", "arm64", "armhf"]] = []
    """CPUs that the node runs natively. Recipes are built natively for them, on this node."""
    options: dict[str, str] = {}
    """Driver options (``--driver-opt``) of the builder that is created, such as replicas, namespace and image."""

    @pydantic.model_validator(mode="after")
    def _reachable(self) -> "BuildxNode":
        if not self.endpoint and self.driver in ("docker", "remote"):
            raise ValueError(f"node {self.name}: driver {self.driver} needs an endpoint")
        if self.certificates and self.driver != "docker":
            raise ValueError(f"node {self.name}: certificates of driver {self.driver} belong in its options")
        return self


class Buildx(Model):
    """How the buildx engine builds."""

    base: Literal["auto", "registry", "bootstrap"] = "auto"
    """Origin of base images: a ``registry``, a ``bootstrap`` with mmdebstrap on this machine, or ``auto``, the first of
    the two that works."""
    image: str = "debian:{suite}-slim"
    """Base image in the registry; ``{suite}`` becomes trixie, for example. ``pin`` records the digests."""
    network: Literal["default", "host"] = "default"
    """Network of the steps that have one (making roots, ``fetch``). Use ``host`` if the engine has no bridge."""
    nodes: list[BuildxNode] = []
    """Machines that build. The default is the engine that the Docker command line uses."""

    @pydantic.field_validator("nodes")
    @classmethod
    def _names_differ(cls, value: list[BuildxNode]) -> list[BuildxNode]:
        if names := duplicates(node.name for node in value):
            raise ValueError(f"duplicate name of a node: {names[0]!r}")
        return value
