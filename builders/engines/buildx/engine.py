"""The buildx engine proper: a job becomes a Dockerfile over one folder, its output comes back as files."""

import os
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from builders.engines import EngineName
from builders.engines.buildx import failed
from builders.engines.buildx.builder import client, failures, mounts, nodes, probe
from builders.engines.buildx.builder.client import Build, BuildFailed
from builders.engines.buildx.builder.nodes import Node, NodeState
from builders.engines.buildx.builder.progress import Progress
from builders.engines.buildx.docker import daemon, endpoint, ping
from builders.engines.buildx.docker.daemon import Daemon
from builders.engines.buildx.docker.endpoint import Endpoint
from builders.engines.buildx.images import PINS, Images
from builders.engines.buildx.job import JobBuild
from builders.engines.roots import binfmt, namespaces
from builders.errors import HostError
from builders.host import needs
from builders.host.files import disk_errors
from builders.host.log import Log, size
from builders.host.needs import Need
from builders.host.workspace import Workspace
from builders.model.arch import Architecture
from builders.model.jobs import BuildJob, JobResult, Root
from builders.model.settings import Settings

PROBE_S = 120.0
LOW_BYTES = 5 * 2**30
"""Less free space on the engine's disk than one larger build with its roots and checks takes."""


class BuildxEngine:
    """Runs jobs in BuildKit; ``machine`` is the CPU of this machine, ``folder`` where reef.yml lies; ``log`` is told
    what does not look well before a job begins.

    With ``fresh`` each job gets a root made for it, and empty caches.
    """

    name: EngineName = "buildx"
    caches_hidden = True

    def __init__(
        self, workspace: Workspace, settings: Settings, machine: Architecture, folder: Path, log: Log, *,
        fresh: bool = False,
    ) -> None:  # fmt: skip
        self._workspace = workspace
        self._settings = settings
        self._machine = machine
        self._folder = folder
        self._log = log
        self._fresh = f"-{os.urandom(4).hex()}" if fresh else ""
        self._daemons: dict[str, Daemon | None] = {}
        self._shown: set[tuple[str, str]] = set()

    def check(self, root: Root) -> None:
        """Raise HostError where buildx, an engine, or the emulation of the root's CPU there is missing; warn of a disk
        that is nearly full."""
        client.program()
        node = self._node(root.build)
        engine = self._daemon(node)
        if engine and engine.endpoint.socket and not root.build.runs_on(engine.machine) and os.geteuid() == 0:
            binfmt.ensure(root.build)  # the kernel is this machine's
        if engine and node.name not in {name for name, _ in self._shown}:
            self._tell_space(node, engine)
        if (node.name, root.build.debian) not in self._shown:
            self._show(node, root.build)
            self._shown.add((node.name, root.build.debian))

    def doubt(self) -> str:
        """Return that no engine answers, where reef.yml names no nodes either."""
        if self._settings.buildx.nodes or ping.answers():
            return ""
        return "no Docker engine with buildx answers: see ./inv builders"

    def needs(self, foreign: Collection[Architecture], *, fix: bool) -> Iterator[Need]:
        """Yield what base images take that this machine makes, then buildx, Docker's command line and each engine."""
        yield namespaces.need()
        for architecture in foreign:
            yield binfmt.need(architecture, fix=fix)
        yield needs.checked("buildx", "builds in Docker", client.program)
        yield needs.program("docker", "docker-cli (Debian 12: docker.io)", "enters the kept roots of failed jobs")
        try:
            places = nodes.everywhere(self._settings, self._folder)
        except HostError as error:
            yield Need("Docker engine", "builds", error.what, error.fix)
            return
        for node in places:
            if node.endpoint:
                yield _engine_need(f"Docker engine {node.name}", node.endpoint)

    def has(self, root: Root) -> bool:
        """Tell whether the engine that would run a job in ``root`` has it as an image.

        A builder without an engine tells nobody what it has.
        """
        node = self._node(root.build)
        engine = self._daemon(node)
        return engine is not None and self._images(self._log).made(root, engine) is not None

    def installed(self, root: Root) -> None:
        """Return None: images are not looked into."""

    def cores(self, root: Root) -> int:
        """Return how many processors the node of a root has: this process's share of them where it is this machine."""
        engine = self._daemon(self._node(root.build))
        if engine and (engine.endpoint.socket is None or sys.platform != "linux"):
            return engine.cores  # of another machine, or of the virtual one that Docker runs in
        return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1

    def run(self, job: BuildJob, output: Path, log: Log) -> JobResult:
        """Run ``job``; what it left in its output folder becomes ``output``, which must not exist yet.

        A failed job's root is kept as an image for ``invoke shell`` until the job's next run. Raises RootError,
        BuildError.
        """
        self.forget(job.name)
        node = self._node(job.root.build)
        images = self._images(log)
        with self._workspace.scratch_folder("job") as scratch:
            with self._fresh_removed(node):
                found = JobBuild(job, node, self._daemon(node), images, scratch).run()
            with disk_errors(output):
                output.parent.mkdir(parents=True, exist_ok=True)
                found.output.rename(output)
        return JobResult(job.name, output, found.steps, found.packages)

    def kept_roots(self) -> list[str]:
        """Return the names of the failed jobs whose roots are kept as images."""
        return failed.names(self._workspace)

    def enter(self, job: str) -> int:
        """Enter the kept root of a failed job in a container and return the shell's status; raises RootError."""
        return failed.enter(self._workspace, job)

    def forget(self, job: str) -> None:
        """Remove the image that keeps a failed job's root."""
        failed.forget(self._workspace, job)

    def hidden_caches(self) -> Iterator[tuple[str, Sequence[tuple[str, str]]]]:
        """Yield the names and sizes of each node's cache mounts; warn of a node that does not answer."""
        for node in nodes.everywhere(self._settings, self._folder):
            try:
                yield str(node), mounts.held(node)
            except HostError as error:
                self._log.warn(f"what {node} keeps cannot be shown: {error.what}")

    def clean(self) -> list[str]:
        """Remove the project's docker contexts, images and containers, and roots that no container uses."""
        contexts = [f"docker context {name}" for name in endpoint.remove_contexts()]
        images = nodes.remove_images(self._settings, self._folder, self._workspace)
        return [*contexts, *(f"image {name}" for name in images)]

    def pin(self, suites: Sequence[str]) -> tuple[str, dict[str, str]]:
        """Write down the digests of the suites' base images; return the file's name and the digests by image."""
        return PINS, self._images(self._log).pin(list(suites), nodes.here())

    def create_builders(self) -> Iterator[str]:
        """Create the builders of reef.yml that are missing and yield each."""
        for node in self._settings.buildx.nodes:
            if nodes.create(node):
                yield f"{nodes.PREFIX}{node.name} ({node.driver})"

    def remove_builders(self) -> Iterator[str]:
        """Remove the builders of reef.yml and yield each."""
        for node in self._settings.buildx.nodes:
            if nodes.remove(node):
                yield f"{nodes.PREFIX}{node.name} ({node.driver})"

    def node_states(self) -> list[NodeState]:
        """Return the state of each node, reachable or not."""
        return nodes.states(self._settings, self._folder)

    @contextmanager
    def _fresh_removed(self, node: Node) -> Iterator[None]:
        """Remove, at the end, the caches that were made for one job alone: nobody else would ever ask for them."""
        try:
            yield
        finally:
            if self._fresh:
                with suppress(HostError):  # an engine that is gone, which is told already; BuildKit ages them out
                    mounts.remove(node, self._fresh.removeprefix("-"))

    def _images(self, log: Log) -> Images:
        return Images(self._workspace, self._settings, self._folder, log, self._fresh)

    def _node(self, wanted: Architecture) -> Node:
        return nodes.choose(nodes.everywhere(self._settings, self._folder), wanted)

    def _daemon(self, node: Node) -> Daemon | None:
        if node.name not in self._daemons:
            self._daemons[node.name] = daemon.connect(node.endpoint) if node.endpoint else None
        return self._daemons[node.name]

    def _tell_space(self, node: Node, engine: Daemon) -> None:
        free = engine.free_bytes()
        if free is not None and free < LOW_BYTES:
            self._log.warn(f"only {size(free)} free on the disk of {node}: docker system df shows what takes the rest")

    def _show(self, node: Node, architecture: Architecture) -> None:
        """Let the node run a program of ``architecture``; raises HostError where it does not."""
        with self._workspace.scratch_folder("probe") as scratch:
            call = Build(
                probe.write(architecture, scratch), scratch / "context", architecture, kind="probe", network="none"
            )
            progress = Progress(self._workspace.log_file(f"roots/probe-{node.name}-{architecture}"))
            try:
                client.build(
                    call, builder=node.builder, environment=node.environment, progress=progress, timeout_s=PROBE_S
                )
            except BuildFailed as failure:
                words = f"{failure.tail}\n{failure.words}".strip()
                told = failures.general(failure, str(node), architecture)
                if told is None and "[/probe]" in words.replace('"', ""):
                    told = failures.foreign(str(node), architecture, words)
                raise told or HostError(
                    f"{node} does not build", words, "see its own log, or build with --engine chroot"
                ) from failure


def _engine_need(name: str, place: Endpoint) -> Need:
    """Return the need of a Docker engine that answers and has room."""
    try:
        free = daemon.connect(place).free_bytes()
    except HostError as error:
        return Need(name, "builds", error.what, error.fix)
    return needs.disk_space(name, "builds", free, "docker builder prune, or a larger disk")
