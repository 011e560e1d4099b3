"""The buildx engine: a job becomes a Dockerfile over one folder, and its output comes back as files."""

import os
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from builders.engines import EngineName
from builders.engines.buildx import failed, images
from builders.engines.buildx.builder import client, failures, mounts, nodes, probe
from builders.engines.buildx.builder.client import BuildFailed, BuildxBuild
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
from builders.model.arch import Architecture
from builders.model.context import Context
from builders.model.jobs import BuildJob, JobResult, Root

PROBE_S = 120.0
LOW_BYTES = 5 * 2**30
"""Free space on the engine's disk below which a larger build with its roots and checks may fail."""


class BuildxEngine:
    """Runs jobs in BuildKit. With ``fresh``, each job runs in a root made for it, with empty caches."""

    name: EngineName = "buildx"
    caches_hidden = True

    def __init__(self, context: Context, *, fresh: bool = False) -> None:
        self._context = context
        self._fresh = f"-{os.urandom(4).hex()}" if fresh else ""
        self._daemons: dict[str, Daemon | None] = {}
        self._probed: set[tuple[str, str]] = set()

    def check(self, root: Root) -> None:
        """Raise HostError if buildx, an engine, or the engine's emulation of the root's CPU is missing; warn of a disk
        that is nearly full."""
        client.program()
        node = self._node(root.build)
        engine = self._daemon(node)
        if engine and engine.endpoint.socket and not root.build.runs_on(engine.machine) and os.geteuid() == 0:
            binfmt.ensure(root.build)  # the kernel is this machine's
        if engine and node.name not in {name for name, _ in self._probed}:
            self._warn_of_space(node, engine)
        if (node.name, root.build.debian) not in self._probed:
            self._probe(node, root.build)
            self._probed.add((node.name, root.build.debian))

    def doubt(self) -> str:
        """Return that no engine answers, unless reef.yml names nodes."""
        if self._context.settings.buildx.nodes or ping.answers():
            return ""
        return "no Docker engine with buildx answers: see ./inv builders"

    def needs(self, foreign: Collection[Architecture], *, fix: bool) -> Iterator[Need]:
        """Yield the needs of making base images, then of buildx, Docker's command line and each engine."""
        yield namespaces.need()
        for architecture in foreign:
            yield binfmt.need(architecture, fix=fix)
        yield needs.checked(
            "mirror in containers", "roots get packages there", partial(images.check_mirror, self._context)
        )
        yield needs.checked("buildx", "builds in Docker", client.program)
        yield needs.program("docker", "docker-cli (Debian 12: docker.io)", "enters the kept roots of failed jobs")
        try:
            places = nodes.all_nodes(self._context.settings, self._context.folder)
        except HostError as error:
            yield Need("Docker engine", "builds", error.what, error.fix)
            return
        for node in places:
            if node.endpoint:
                yield _engine_need(f"Docker engine {node.name}", node.endpoint)

    def has(self, root: Root) -> bool:
        """Return whether the engine that would run a job in ``root`` has its image; False for a builder without an
        engine, whose images are not listed."""
        node = self._node(root.build)
        engine = self._daemon(node)
        return engine is not None and self._images(self._context.log).made(root, engine) is not None

    def installed(self, root: Root) -> None:
        """Return None: the packages in images are not read."""

    def cores(self, root: Root) -> int:
        """Return the number of processors of the root's node; on this machine, of those that this process may use."""
        engine = self._daemon(self._node(root.build))
        if engine and (engine.endpoint.socket is None or sys.platform != "linux"):
            return engine.cores  # of another machine, or of Docker's virtual machine
        return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1

    def run(self, job: BuildJob, output: Path, log: Log) -> JobResult:
        """Run ``job``; the content of its output folder becomes ``output``, which must not exist yet.

        A failed job's root is kept as an image until the job's next run. Raises RootError, BuildError.
        """
        self.forget(job.name)
        node = self._node(job.root.build)
        images = self._images(log)
        with self._context.workspace.scratch_folder("job") as scratch:
            with self._fresh_removed(node):
                found = JobBuild(job, node, self._daemon(node), images, scratch).run()
            with disk_errors(output):
                output.parent.mkdir(parents=True, exist_ok=True)
                found.output.rename(output)
        return JobResult(job.name, output, found.steps, found.packages)

    def kept_roots(self) -> list[str]:
        """Return the names of the failed jobs whose roots are kept as images."""
        return failed.names(self._context.workspace)

    def enter(self, job: str) -> int:
        """Enter the kept root of a failed job in a container and return the shell's status; raises RootError."""
        return failed.enter(self._context.workspace, job)

    def forget(self, job: str) -> None:
        """Remove the image of a failed job's root."""
        failed.forget(self._context.workspace, job)

    def hidden_caches(self) -> Iterator[tuple[str, Sequence[tuple[str, str]]]]:
        """Yield the names and sizes of each node's cache mounts; warn of a node that does not answer."""
        for node in nodes.all_nodes(self._context.settings, self._context.folder):
            try:
                yield str(node), mounts.usage(node)
            except HostError as error:
                self._context.log.warn(f"the caches of {node} cannot be listed: {error.what}")

    def clean(self) -> list[str]:
        """Remove the project's docker contexts, images and containers, and all roots that no container uses."""
        contexts = [f"docker context {name}" for name in endpoint.remove_contexts()]
        images = nodes.remove_images(self._context.settings, self._context.folder, self._context.workspace)
        return [*contexts, *(f"image {name}" for name in images)]

    def pin(self, suites: Sequence[str]) -> tuple[str, dict[str, str]]:
        """Record the digests of the suites' base images; return the file's name and the digests by image."""
        return PINS, self._images(self._context.log).pin(list(suites), nodes.here())

    def create_builders(self) -> Iterator[str]:
        """Create the missing builders of reef.yml and yield a description of each."""
        for node in self._context.settings.buildx.nodes:
            if nodes.create(node):
                yield f"{nodes.PREFIX}{node.name} ({node.driver})"

    def remove_builders(self) -> Iterator[str]:
        """Remove the builders of reef.yml and yield a description of each."""
        for node in self._context.settings.buildx.nodes:
            if nodes.remove(node):
                yield f"{nodes.PREFIX}{node.name} ({node.driver})"

    def node_states(self) -> list[NodeState]:
        """Return the state of each node, reachable or not."""
        return nodes.states(self._context.settings, self._context.folder)

    @contextmanager
    def _fresh_removed(self, node: Node) -> Iterator[None]:
        """Remove, at the end, the caches that were made for a single job."""
        try:
            yield
        finally:
            if self._fresh:
                with suppress(HostError):  # the job reports an engine that is gone
                    mounts.remove(node, self._fresh.removeprefix("-"))

    def _images(self, log: Log) -> Images:
        return Images(replace(self._context, log=log), self._fresh)

    def _node(self, architecture: Architecture) -> Node:
        return nodes.choose(nodes.all_nodes(self._context.settings, self._context.folder), architecture)

    def _daemon(self, node: Node) -> Daemon | None:
        if node.name not in self._daemons:
            self._daemons[node.name] = daemon.connect(node.endpoint) if node.endpoint else None
        return self._daemons[node.name]

    def _warn_of_space(self, node: Node, engine: Daemon) -> None:
        free = engine.free_bytes()
        if free is not None and free < LOW_BYTES:
            self._context.log.warn(f"only {size(free)} free on the disk of {node}: docker system df shows its use")

    def _probe(self, node: Node, architecture: Architecture) -> None:
        """Run a program of ``architecture`` on the node; raises HostError if it fails."""
        with self._context.workspace.scratch_folder("probe") as scratch:
            call = BuildxBuild(
                probe.write(architecture, scratch), scratch / "context", architecture, kind="probe", network="none"
            )
            progress = Progress(self._context.workspace.log_file(f"roots/probe-{node.name}-{architecture}"))
            try:
                client.build(
                    call, builder=node.builder, environment=node.environment, progress=progress, timeout_s=PROBE_S
                )
            except BuildFailed as failure:
                words = f"{failure.tail}\n{failure.words}".strip()
                error = failures.general(failure, str(node), architecture)
                if error is None and "[/probe]" in words.replace('"', ""):
                    error = failures.foreign(str(node), architecture, words)
                raise error or HostError(
                    f"{node} does not build", words, "see its log, or build with --engine chroot"
                ) from failure


def _engine_need(name: str, place: Endpoint) -> Need:
    """Return the need of a Docker engine that answers and has enough free space."""
    try:
        free = daemon.connect(place).free_bytes()
    except HostError as error:
        return Need(name, "builds", error.what, error.fix)
    return needs.disk_space(name, "builds", free, "docker builder prune, or a larger disk")
