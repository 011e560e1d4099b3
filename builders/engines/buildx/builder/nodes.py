"""Nodes, the places that build: this machine's Docker engine, or the nodes in reef.yml."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builders.engines.buildx.builder import client
from builders.engines.buildx.docker import daemon, endpoint, ping
from builders.engines.buildx.docker.endpoint import Endpoint
from builders.errors import InputError, ReefError
from builders.host.workspace import Workspace
from builders.model import arch
from builders.model.arch import Architecture
from builders.model.settings import BuildxNode, Settings

PREFIX = "reef-"
"""The prefix of the names of builders that Reef creates."""
HERE = "here"
"""The name of the node with the engine that Docker's own tools use."""


@dataclass(frozen=True)
class Node:
    """One place that builds: ``endpoint`` is a Docker engine with its own BuildKit; None for a BuildKit without an
    engine (drivers docker-container, kubernetes, remote), for which buildx has a builder. ``architectures`` are the
    CPUs that it runs natively according to reef.yml."""

    name: str
    endpoint: Endpoint | None
    architectures: tuple[Architecture, ...] = ()

    def __str__(self) -> str:
        if self.endpoint is None:
            return f"the builder {self.builder}"
        return f"the Docker engine at {self.endpoint}" if self.name == HERE else f"node {self.name} at {self.endpoint}"

    @property
    def builder(self) -> str:
        """The name of the node's builder in buildx; every docker context has a builder of the same name."""
        if self.endpoint is None:
            return PREFIX + self.name
        return endpoint.as_context(self.endpoint) if self.endpoint.tls else "default"

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables with which buildx reaches the node."""
        if self.endpoint is None:
            return {}
        if self.endpoint.tls:
            return {"DOCKER_CONTEXT": self.builder, "DOCKER_HOST": ""}
        return {"DOCKER_HOST": self.endpoint.host, "DOCKER_CONTEXT": ""}


def named(settings: Settings, folder: Path) -> list[Node]:
    """Return the nodes in reef.yml, which is in ``folder``. Raises HostError for an unknown context."""
    return [_node(described, folder) for described in settings.buildx.nodes]


def _node(described: BuildxNode, folder: Path) -> Node:
    architectures = tuple(arch.ARCHITECTURES[name] for name in described.architectures)
    if described.driver != "docker":
        return Node(described.name, None, architectures)
    if "://" not in described.endpoint:
        return Node(described.name, endpoint.of_context(described.endpoint), architectures)
    tls = (folder / described.certificates).absolute() if described.certificates else None
    if tls and (missing := [name for name in endpoint.TLS_FILES if not (tls / name).is_file()]):
        raise InputError(
            f"node {described.name}: no {', '.join(missing)} in {tls}",
            f"needed: {', '.join(endpoint.TLS_FILES)}",
            "put them there, or correct certificates: under buildx: in reef.yml",
        )
    return Node(described.name, Endpoint(described.endpoint, tls=tls), architectures)


def here() -> Node:
    """Return the node with the engine that Docker's own tools use."""
    return Node(HERE, endpoint.current())


def choose(nodes: list[Node], architecture: Architecture) -> Node:
    """Return the node to run programs of ``architecture``.

    It is the first node that names the CPU, else the first that names none, else the first, which has to emulate.
    """
    naming = (node for node in nodes if architecture in node.architectures)
    naming_none = (node for node in nodes if not node.architectures)
    return next(naming, None) or next(naming_none, nodes[0])


def creation(described: BuildxNode) -> list[str] | None:
    """Return the arguments of ``buildx`` that create the builder of a node, None if the node needs no builder."""
    if described.driver == "docker":
        return None
    words = ["create", f"--name={PREFIX}{described.name}", f"--driver={described.driver}"]
    if described.architectures:
        words += ["--platform=" + ",".join(arch.ARCHITECTURES[name].oci for name in described.architectures)]
    words += [f"--driver-opt={name}={value}" for name, value in described.options.items()]
    return [*words, described.endpoint] if described.endpoint else words


def create(described: BuildxNode) -> bool:
    """Create the builder of a node unless it exists; return whether it was created."""
    words = creation(described)
    if words is None or PREFIX + described.name in _known():
        return False
    client.call(words)
    return True


def remove(described: BuildxNode) -> bool:
    """Remove the builder that `create` made for a node, with its caches; return whether it existed."""
    if creation(described) is None or PREFIX + described.name not in _known():
        return False
    client.call(["rm", PREFIX + described.name])
    return True


def all_nodes(settings: Settings, folder: Path) -> list[Node]:
    """Return the nodes in reef.yml, or without any, the node with the engine that Docker's own tools use."""
    return named(settings, folder) or [here()]


def remove_images(settings: Settings, folder: Path, workspace: Workspace) -> list[str]:
    """Remove the images and containers of the project of ``workspace``, and roots that no container uses, from the
    project's Docker engines; return the images' names."""
    owner = daemon.owner(workspace)
    used = all_nodes(settings, folder)
    places = [node.endpoint for node in used if node.endpoint]
    if any(node.endpoint is None for node in used) and ping.answers():
        places.append(endpoint.current())  # into which buildx loads the kept roots of builders without an engine
    return [name for place in places for name in daemon.connect(place).remove_ours(owner)]


@dataclass(frozen=True)
class NodeState:
    """The state of a node; ``trouble`` is the reason why it cannot build now, empty if none is known."""

    name: str
    driver: str
    where: str
    native: str
    state: str
    trouble: str = ""


def states(settings: Settings, folder: Path) -> list[NodeState]:
    """Return the state of each node, reachable or not."""
    if settings.buildx.nodes:
        return [_state(described.name, described, folder) for described in settings.buildx.nodes]
    return [_state(HERE, None, folder)]


def _state(name: str, described: BuildxNode | None, folder: Path) -> NodeState:
    driver = described.driver if described else "docker"
    native = ", ".join(described.architectures if described else ()) or "its own CPU"
    where = described.endpoint if described else ""
    try:
        node = _node(described, folder) if described else here()
        if node.endpoint is None:
            made = node.builder in _known()
            trouble = "" if made else "not created: ./inv builders --create"
            return NodeState(name, driver, where, native, trouble or "created", trouble)
        where = str(node.endpoint)
        engine = daemon.connect(node.endpoint)
    except ReefError as error:
        return NodeState(name, driver, where, native, error.what, f"{error.what}; {error.fix}")
    version = ".".join(map(str, engine.version))
    return NodeState(name, driver, where, native, f"Docker {version}, {engine.machine}, {engine.cores} cores")


def _known() -> list[str]:
    """Return the names of the builders that buildx has."""
    return client.call(["ls"]).replace("*", " ").split()
