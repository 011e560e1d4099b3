"""The places that build: this machine's Docker engine, and those that reef.yml names."""

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
"""Before a node's name in the name of the builder that Reef creates for it."""
HERE = "here"
"""What the engine that Docker's own tools use is called, where reef.yml names no nodes."""


@dataclass(frozen=True)
class Node:
    """One place that builds: ``endpoint`` is the Docker engine whose own BuildKit it is; None where BuildKit runs on
    its own (drivers docker-container, kubernetes, remote) and buildx has a builder for it. ``architectures`` are those
    that reef.yml says it runs natively."""

    name: str
    endpoint: Endpoint | None
    architectures: tuple[Architecture, ...] = ()

    def __str__(self) -> str:
        if self.endpoint is None:
            return f"the builder {self.builder}"
        return f"the Docker engine at {self.endpoint}" if self.name == HERE else f"node {self.name} at {self.endpoint}"

    @property
    def builder(self) -> str:
        """What buildx calls the node: its own builder, or the one that every docker context has."""
        if self.endpoint is None:
            return PREFIX + self.name
        return endpoint.as_context(self.endpoint) if self.endpoint.tls else "default"

    @property
    def environment(self) -> Mapping[str, str]:
        """What buildx needs in its environment to reach the node."""
        if self.endpoint is None:
            return {}
        if self.endpoint.tls:
            return {"DOCKER_CONTEXT": self.builder, "DOCKER_HOST": ""}
        return {"DOCKER_HOST": self.endpoint.host, "DOCKER_CONTEXT": ""}


def named(settings: Settings, folder: Path) -> list[Node]:
    """Return the nodes that reef.yml names; ``folder`` is where it lies. Raises HostError for an unknown context."""
    return [_node(one, folder) for one in settings.buildx.nodes]


def _node(one: BuildxNode, folder: Path) -> Node:
    architectures = tuple(arch.ARCHITECTURES[name] for name in one.architectures)
    if one.driver != "docker":
        return Node(one.name, None, architectures)
    if "://" not in one.endpoint:
        return Node(one.name, endpoint.of_context(one.endpoint), architectures)
    tls = (folder / one.certificates).absolute() if one.certificates else None
    if tls and (missing := [name for name in endpoint.TLS_FILES if not (tls / name).is_file()]):
        raise InputError(
            f"node {one.name}: no {', '.join(missing)} in {tls}",
            f"wanted: {', '.join(endpoint.TLS_FILES)}",
            "mend buildx: in reef.yml",
        )
    return Node(one.name, Endpoint(one.endpoint, tls=tls), architectures)


def here() -> Node:
    """Return the engine that Docker's own tools would use."""
    return Node(HERE, endpoint.current())


def choose(nodes: list[Node], wanted: Architecture) -> Node:
    """Return the node to run ``wanted``'s programs: the first that says it does natively, else the first that says
    nothing, else the first (which then has to emulate)."""
    return next(
        (n for n in nodes if wanted in n.architectures), next((n for n in nodes if not n.architectures), nodes[0])
    )


def creation(one: BuildxNode) -> list[str] | None:
    """Return the words after ``buildx`` that create the builder for a node; None where none is needed."""
    if one.driver == "docker":
        return None
    words = ["create", f"--name={PREFIX}{one.name}", f"--driver={one.driver}"]
    if one.architectures:
        words += ["--platform=" + ",".join(arch.ARCHITECTURES[name].oci for name in one.architectures)]
    words += [f"--driver-opt={name}={value}" for name, value in one.options.items()]
    return [*words, one.endpoint] if one.endpoint else words


def create(one: BuildxNode) -> bool:
    """Create the builder for a node unless it is there; tell whether it was created."""
    words = creation(one)
    if words is None or PREFIX + one.name in _known():
        return False
    client.call(words)
    return True


def remove(one: BuildxNode) -> bool:
    """Remove the builder that `create` made for a node, with what it keeps; tell whether it was there."""
    if creation(one) is None or PREFIX + one.name not in _known():
        return False
    client.call(["rm", PREFIX + one.name])
    return True


def everywhere(settings: Settings, folder: Path) -> list[Node]:
    """Return the nodes that reef.yml names, else the engine that Docker's own tools would use."""
    return named(settings, folder) or [here()]


def remove_images(settings: Settings, folder: Path, workspace: Workspace) -> list[str]:
    """Remove what the project of ``workspace`` made in the Docker engines that it uses, and roots that nobody uses;
    return the images' names."""
    owner = daemon.owner(workspace)
    used = everywhere(settings, folder)
    places = [node.endpoint for node in used if node.endpoint]
    if any(node.endpoint is None for node in used) and ping.answers():
        places.append(endpoint.current())  # where buildx brings the kept roots of builders on their own
    return [name for place in places for name in daemon.connect(place).remove_ours(owner)]


@dataclass(frozen=True)
class NodeState:
    """A node as `states` found it: ``trouble`` is why it cannot build now, empty where nothing is known against it."""

    name: str
    driver: str
    where: str
    native: str
    state: str
    trouble: str = ""


def states(settings: Settings, folder: Path) -> list[NodeState]:
    """Return the state of each node, of those too that cannot be reached."""
    if settings.buildx.nodes:
        return [_state(one.name, one, folder) for one in settings.buildx.nodes]
    return [_state(HERE, None, folder)]


def _state(name: str, one: BuildxNode | None, folder: Path) -> NodeState:
    driver = one.driver if one else "docker"
    native = ", ".join(one.architectures if one else ()) or "its own CPU"
    where = one.endpoint if one else ""
    try:
        node = _node(one, folder) if one else here()
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
