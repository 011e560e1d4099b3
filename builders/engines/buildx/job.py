"""One job in one builder."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from builders.engines.buildx import dockerfile, failed
from builders.engines.buildx.builder import client, failures
from builders.engines.buildx.builder.client import BuildFailed, BuildxBuild
from builders.engines.buildx.builder.nodes import Node
from builders.engines.buildx.builder.progress import JobProgress, Progress
from builders.engines.buildx.docker import daemon
from builders.engines.buildx.docker.daemon import Daemon
from builders.engines.buildx.images import Images, proxies, secrets
from builders.engines.relay import tunnel
from builders.engines.relay.relay import relayed, variables
from builders.errors import BuildError, HostError, ReefError
from builders.host.excerpt import excerpt_of
from builders.host.files import disk_errors
from builders.model.jobs import BuildJob, CacheMount, StepRecord

TAIL_LINES = 40


@dataclass(frozen=True)
class Found:
    """A finished job's output folder in scratch, its steps and the packages in its root."""

    output: Path
    steps: tuple[StepRecord, ...]
    packages: tuple[str, ...]


class JobBuild:
    """Writes one job's build into ``scratch``, builds it on ``node`` and brings back its output.

    ``engine`` is the Docker engine that builds; None for a BuildKit without an engine, which shares no images.
    """

    def __init__(self, job: BuildJob, node: Node, engine: Daemon | None, images: Images, scratch: Path) -> None:
        self._job = job
        self._node = node
        self._engine = engine
        self._images = images
        self._workspace = images.context.workspace
        self._log = images.context.log
        self._result = scratch / "result"
        # BuildKit without an engine always knows RUN --network; in old Docker engines it does not.
        self._run_network = engine.run_network if engine else True
        # The word of a fresh job is part of its commands, which identify its caches later.
        self._nonce = images.fresh.removeprefix("-") + os.urandom(8).hex()
        self._logs = {name: self._workspace.logs / f"{job.name}-{name}.log" for name in ("fetch", "run")}
        network = images.context.settings.buildx.network
        self._call = BuildxBuild(
            scratch / "Dockerfile", scratch / "context", job.root.build,
            network=None if network == "default" else network, arguments={"BUILDKIT_SANDBOX_HOSTNAME": "reef"},
            owner=daemon.owner(self._workspace), inherited=proxies(images.context),
        )  # fmt: skip
        self._root = ""
        self._making: tuple[StepRecord, ...] = ()
        self._passing: list[str] = []
        self._destinations: list[str] = []

    def run(self) -> Found:
        """Run the job; raises RootError, BuildError, and HostError or DiskError for failures of the engine."""
        try:
            return self._run()
        finally:
            # If the engine is gone, `clean --what images` finds them later by their label.
            with suppress(HostError):
                if self._engine:
                    for image in self._passing:
                        self._engine.remove_image(image)

    def _run(self) -> Found:
        self._prepare()
        for name, script in (("fetch", self._job.fetch), ("run", self._job.script)):
            if script:
                self._workspace.log_file(f"{self._job.name}-{name}")
        progress = JobProgress(self._job.name, self._logs, self._log)
        with progress.shown():
            try:
                self._build_all(progress)
            except BuildFailed as failure:
                raise self._error(failure) from failure
            self._keep_logs()
            steps = self._steps()
        packages = (self._result / "records" / "packages").read_text().split()
        return Found(self._result / "out", steps, tuple(sorted(packages)))

    def _prepare(self) -> None:
        context = self._call.context
        if self._engine:
            image, self._making = self._images.root(self._job.root, self._node, self._engine)
            self._passing += [image] if self._images.fresh else []
            self._root = f"FROM {image} AS start"
        with disk_errors(context):
            self._destinations = dockerfile.assemble(self._job, context)
        if not self._engine:
            self._root, arguments = self._images.stage(self._job.root, self._node, context)
            arguments = {**self._call.arguments, **arguments}
            self._call = replace(self._call, arguments=arguments)
        if self._job.fetch or not self._engine:
            self._call = replace(self._call, secrets=secrets(self._images.context))
        self._log.note(f"{self._job.name}: on {self._node}" + (f" ({self._engine.machine})" if self._engine else ""))

    def _build_all(self, progress: JobProgress) -> None:
        fetched = None
        if self._job.fetch and not self._run_network:
            # Only whole builds can be denied the network here, so `fetch` is a build of its own and leaves an image.
            fetched = failed.image_name("reef-fetched", self._workspace, self._job.name)
            self._passing.append(fetched)
            self._write_dockerfile(None)
            self._build(replace(self._call, target="fetch", tag=fetched, kind="fetched"), progress)
        network = self._call.network if self._run_network else "none"
        call = replace(self._call, target="output", output=self._result, network=network)
        with self._way_to_storage() as (storage, sockets):
            self._write_dockerfile(fetched, storage)
            try:
                self._build(replace(call, sockets=sockets), progress)
                return
            except BuildFailed as failure:
                if not sockets or not failures.forwards_no_sockets(failure):
                    raise
        self._write_dockerfile(fetched)
        self._build(call, progress)

    @contextmanager
    def _way_to_storage(self) -> Iterator[tuple[Mapping[str, str], Mapping[str, Path]]]:
        """Give the script's variables and the build's sockets that lead to the job's storage while it runs."""
        with relayed(self._job.storage, self._log) as relay:
            if relay is None:
                yield {}, {}
                return
            with tunnel.opened(relay.take) as way:
                yield variables(relay.storage), {tunnel.NAME: way.path}
            if not way.reached:
                self._log.warn(
                    f"the script on {self._node} did not reach the {relay.storage.what} {relay.storage}; "
                    "the build continued without it"
                )

    def _write_dockerfile(self, fetched: str | None, storage: Mapping[str, str] | None = None) -> None:
        text = dockerfile.job_dockerfile(
            self._without_caches() if self._images.fresh else self._job, self._root, self._destinations,
            nonce=self._nonce, run_network=self._run_network, fetched=fetched, storage=storage,
        )  # fmt: skip
        self._call.dockerfile.write_text(text)

    def _without_caches(self) -> BuildJob:
        """Return the job with empty caches."""
        caches = [CacheMount(f"{cache.name}-{self._nonce}", cache.destination) for cache in self._job.caches]
        return replace(self._job, caches=tuple(caches))

    def _build(self, call: BuildxBuild, progress: Progress) -> None:
        client.build(call, builder=self._node.builder, environment=self._node.environment, progress=progress)

    def _keep_logs(self) -> None:
        """Replace each script's log, which the builder may have shortened, by its whole output."""
        for name, log_file in self._logs.items():
            whole = self._result / "records" / f"{name}.log"
            if whole.exists():
                shutil.copyfile(whole, log_file)

    def _steps(self) -> tuple[StepRecord, ...]:
        """Return the records of the scripts; raises BuildError for a failed script, DiskError for a full disk."""
        steps = list(self._making)
        for name in ("fetch", "run"):
            record = self._result / "records" / name
            if not record.exists():
                continue
            status, seconds, peak = record.read_text().split()
            if status != "0":
                raise self._script_failed(name, status)
            steps.append(StepRecord(name, float(seconds), int(peak)))
        return tuple(steps)

    def _script_failed(self, name: str, status: str) -> ReefError:
        job, log_file = self._job, self._logs[name]
        tail = "\n".join(log_file.read_text(errors="replace").splitlines()[-TAIL_LINES:])
        if failures.NO_SPACE.search(tail):  # an image of its root might not fit either
            return failures.full_disk(str(self._node), f"{tail}\nfull log: {log_file}")
        how, words = f"with status {status}", excerpt_of(tail, log_file)
        if status == "timeout":
            how, words = f"after its time limit of {job.limits.time_s:.0f} s", tail
        # The record of a fresh root would vanish with its workspace, so its image is not kept.
        way_in = "" if self._images.fresh else self._keep_root()
        return BuildError(f"{name} of {job.name} failed {how}", f"{words}\nfull log: {log_file}", way_in, log_file)

    def _keep_root(self) -> str:
        """Keep the failed job's root as an image, which is cheap because it is the builder's newest layer."""
        image = failed.image_name("reef-failed", self._workspace, self._job.name)
        progress = Progress(self._workspace.log_file(f"{self._job.name}-keep"))
        network = self._call.network if self._run_network else "none"
        try:
            self._build(replace(self._call, target="run", tag=image, kind="failed", network=network), progress)
        except (BuildFailed, HostError) as error:
            return f"its root could not be kept: {error}"
        failed.note(self._workspace, self._job, self._engine.endpoint if self._engine else None, image)
        return f"enter its root: ./inv shell --job {self._job.name}"

    def _error(self, failure: BuildFailed) -> ReefError:
        words = f"{failure.tail}\n{failure.words}\nfull log: {self._logs['run']}".lstrip()
        return failures.general(failure, str(self._node), self._job.root.build) or BuildError(
            f"{self._job.name} failed in {self._node}", words, "./inv builders shows the state of each node"
        )
