"""The chroot engine.

A root is made once and never written again. Each job sees it through its own overlay, in mount, process and network
namespaces that vanish with the job.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

from builders.engines import EngineName
from builders.engines.chroot import failed, overlay
from builders.engines.chroot.entry import CANNOT_ENTER, UNENTERED, ChrootEntry, Overlay, enter_words, unentered_fix
from builders.engines.environment import environment
from builders.engines.relay.relay import Relay, relayed, variables
from builders.engines.roots import apt_cache, binfmt, bootstrap, disk, manifest, namespaces
from builders.errors import BuildError, HostError, ReefError, RootError
from builders.host import apt_access, debian_mirror, needs, process
from builders.host.debian_mirror import Mirror
from builders.host.excerpt import excerpt_of
from builders.host.files import disk_errors, raise_if_disk_full
from builders.host.log import Log
from builders.host.needs import Need
from builders.host.process import Completed
from builders.model.arch import Architecture
from builders.model.context import Context
from builders.model.jobs import APT_CACHE, BuildJob, Input, JobResult, Root, StepRecord

TOOLS = {
    "mmdebstrap": ("makes build roots", "mmdebstrap"),
    "unshare": ("gives jobs namespaces of their own", "util-linux"),
    "setpriv": ("ends programs together with Reef", "util-linux"),
    "mount": ("puts a job's root together", "mount"),
}
"""Programs that the engine starts, each with its purpose and its Debian package."""


class ChrootEngine:
    """Runs jobs in overlays over cached roots."""

    name: EngineName = "chroot"
    caches_hidden = False

    def __init__(self, context: Context) -> None:
        self._context = context
        self._overlays_tried = False

    def check(self, root: Root) -> None:
        """Raise HostError if a tool, a namespace or the emulation of the root's CPU is missing, or the disk holds no
        overlays; DiskError if it is full or not writable."""
        if sys.platform != "linux":
            raise HostError("the chroot engine needs Linux", f"this is {sys.platform}", "build with --engine buildx")
        for program, (reason, package) in TOOLS.items():
            if not process.find(program):
                raise HostError(
                    f"{program} is not installed; it {reason}",
                    fix=f"sudo apt-get install {package}, or see ./inv doctor",
                )
        namespaces.check()
        if not self._overlays_tried:
            with self._context.workspace.scratch_folder("overlay") as scratch:
                overlay.check(scratch)
            self._overlays_tried = True
        if not root.build.runs_on(self._context.machine):
            binfmt.ensure(root.build)

    def doubt(self) -> str:
        """Return nothing: `check` is fast enough."""
        return ""

    def needs(self, foreign: Collection[Architecture], *, fix: bool) -> Iterator[Need]:
        """Yield the needs of namespaces, of emulators for ``foreign`` CPUs, and of overlays on the workspace's disk."""
        yield namespaces.need()
        for architecture in foreign:
            yield binfmt.need(architecture, fix=fix)
        workspace = self._context.workspace
        yield needs.checked(
            "overlays", "give each job its own changeable root", lambda: _try(overlay.check, workspace.path)
        )
        yield needs.checked("disk of roots", "holds build roots", lambda: _try(disk.check, workspace.cache.path))

    def has(self, root: Root) -> bool:
        """Return whether ``root`` is in the cache."""
        return manifest.made(root, self._context.workspace) is not None

    def installed(self, root: Root) -> tuple[str, ...] | None:
        """Return the packages that the manifest of ``root`` lists, None if it is not in the cache."""
        return manifest.installed(root, self._context.workspace) if self.has(root) else None

    def cores(self, root: Root) -> int:  # noqa: ARG002 - every root is on this machine
        """Return how many processors this process may use."""
        return len(os.sched_getaffinity(0))

    def run(self, job: BuildJob, output: Path, log: Log) -> JobResult:
        """Run ``job``; the content of its output folder becomes ``output``, which must not exist yet.

        A failed job's root is kept for ``./inv shell`` until the job's next run. Raises RootError, BuildError.
        """
        self.forget(job.name)
        rootfs, making = bootstrap.make(job.root, replace(self._context, log=log))
        packages = manifest.installed(job.root, self._context.workspace)
        steps = list(making)
        with self._context.workspace.scratch_folder("job") as scratch, self._archives(job, log):
            scripts = [("fetch", job.fetch), ("run", job.script)] if job.fetch else [("run", job.script)]
            for name, script in scripts:
                entry = self._entry(job, rootfs, scratch, script or "", network=name == "fetch")
                with relayed(job.storage if name == "run" else None, log) as relay:
                    steps.append(self._step(job, name, _with_relay(entry, relay), scratch, log))
            with disk_errors(output):
                output.parent.mkdir(parents=True, exist_ok=True)
                (scratch / "out").rename(output)
        return JobResult(job.name, output, tuple(steps), packages)

    def kept_roots(self) -> list[str]:
        """Return the names of the failed jobs whose changes are kept."""
        return failed.names(self._context.workspace)

    def enter(self, job: str) -> int:
        """Enter the kept root of a failed job, with a network, and return the shell's status; raises RootError."""
        return failed.enter(self._context.workspace, job)

    def forget(self, job: str) -> None:
        """Remove the kept root of a failed job."""
        failed.forget(self._context.workspace, job)

    def hidden_caches(self) -> Iterator[tuple[str, Sequence[tuple[str, str]]]]:
        """Yield nothing: the caches are folders of the workspace."""
        yield from ()

    def clean(self) -> list[str]:
        """Remove nothing: all that jobs leave is in the workspace."""
        return []

    def _archives(self, job: BuildJob, log: Log) -> AbstractContextManager[object]:
        """Return the guard of apt's cached packages, if the job can use them."""
        return apt_cache.kept(self._context.workspace, log) if job.fetch and APT_CACHE in job.caches else nullcontext()

    def _entry(self, job: BuildJob, rootfs: Path, scratch: Path, script: str, *, network: bool) -> ChrootEntry:
        mounts = self._context.workspace.cache.mounts
        binds = {job.output: scratch / "out"} | {cache.destination: mounts / cache.name for cache in job.caches}
        for folder in [scratch / "mnt", *binds.values()]:
            folder.mkdir(parents=True, exist_ok=True)
        overlays = [Overlay("/", [str(rootfs)], str(scratch / "root"))]
        overlays += [
            Overlay(destination, [str(i.path.resolve()) for i in inputs], str(scratch / f"input{number}"))
            for number, (destination, inputs) in enumerate(_by_destination(job.inputs).items())
        ]
        if network and (mirror := self._mirror()):
            apt_access.warn_of_security(self._context.log)
            apt_access.access(mirror)  # an error of it is better reported here than from inside the root
            if mirror.folder:
                overlays.append(Overlay(mirror.folder, [mirror.folder], str(scratch / "mirror")))
        return ChrootEntry(
            mountpoint=str(scratch / "mnt"),
            overlays=overlays,
            binds={destination: str(folder) for destination, folder in binds.items()},
            network=network,
            mirror=self._context.settings.debian_mirror,
            # A source that cannot be used is not waited for again in each step.
            security=not (network and debian_mirror.security_trouble()),
            environment=environment(job),
            workdir=job.workdir,
            script=script,
        )

    def _mirror(self) -> Mirror | None:
        with suppress(HostError):  # the job may need none
            return debian_mirror.chosen(self._context.settings.debian_mirror)
        return None

    def _step(self, job: BuildJob, name: str, entry: ChrootEntry, scratch: Path, log: Log) -> StepRecord:
        log_file = self._context.workspace.log_file(f"{job.name}-{name}")
        entry.write(scratch / "entry.json")
        with log.step(f"{name} {job.name}") as step:
            try:
                done = process.run(
                    [*namespaces.prefix(network=entry.network), *enter_words(scratch / "entry.json")],
                    log=log_file,
                    on_line=step.line,
                    timeout_s=job.limits.time_s,
                    pass_fds=[] if entry.relay is None else [entry.relay],
                )
            except process.ProgramFailed as error:
                raise_if_disk_full(error, scratch)
                raise self._failed(job, name, error.completed, scratch, log_file) from error
        return StepRecord(name, done.seconds, done.peak_memory_bytes)

    def _failed(self, job: BuildJob, name: str, done: Completed, scratch: Path, log_file: Path) -> ReefError:
        """Return the error of a failed script, its root kept, or of a root that cannot be entered."""
        if done.returncode == CANNOT_ENTER and UNENTERED in done.tail:  # a script may end with any status
            detail = f"{done.tail}\nfull log: {log_file}"
            return RootError(f"the root of {job.name} cannot be entered", detail, unentered_fix(done.tail))
        failed.keep(self._context.workspace, job, scratch)
        how, words = f"with status {done.returncode}", excerpt_of(done.tail, log_file)
        if done.timed_out:
            how, words = f"after its time limit of {job.limits.time_s:.0f} s", done.tail
        return BuildError(
            f"{name} of {job.name} failed {how}",
            f"{words}\nfull log: {log_file}",
            f"enter its root: ./inv shell --job {job.name}",
            log_file,
        )


def _try(test: Callable[[Path], None], path: Path) -> None:
    """Run the test of a disk on the disk of ``path``, which need not exist."""
    namespaces.check()
    place = next(folder for folder in (path, *path.parents) if folder.exists())
    try:
        # Not in scratch/: doctor may run as root, and must not leave a folder that the user cannot write.
        with tempfile.TemporaryDirectory(dir=place, prefix=".try.") as folder:
            test(Path(folder))
    except OSError as error:
        raise HostError(f"{place} cannot be written: {error.strerror}", fix=f"sudo chown $USER {place}") from error


def _with_relay(entry: ChrootEntry, relay: Relay | None) -> ChrootEntry:
    if relay is None:
        return entry
    environment = {**entry.environment, **variables(relay.storage)}
    return replace(entry, relay=relay.theirs.fileno(), environment=environment)


def _by_destination(inputs: Iterable[Input]) -> dict[str, list[Input]]:
    grouped: dict[str, list[Input]] = {}
    for layer in inputs:
        grouped.setdefault(layer.destination, []).append(layer)
    return grouped
