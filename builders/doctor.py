"""Everything that the host needs, each with its reason, its state and what to do."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from builders import mirror, process
from builders.arch import ARCHITECTURES
from builders.destination import Folder, Rsync
from builders.engines.chroot import binfmt, namespace, overlay
from builders.errors import HostError
from builders.project import Project

HOST_PACKAGES = Path(__file__).with_name("host-packages.txt")
WANTED_BYTES = 15 * 2**30
"""Free disk space that one TensorFlow Lite build with its roots and checks is comfortable with."""


@dataclass(frozen=True)
class Need:
    """One thing the host needs: ``trouble`` is empty where it is there; ``fix`` is one command or sentence."""

    name: str
    reason: str
    trouble: str
    fix: str = ""


def examine(project: Project, *, mend: bool = False, misc: Path = binfmt.MISC) -> list[Need]:
    """Return every need with its state; with ``mend`` QEMU is registered first where it is missing (as root).

    ``misc`` is where the kernel tells which CPUs' programs it runs.
    """
    needs = list(_packages())
    needs.append(_probe("namespaces", "keep a job's mounts and processes apart", namespace.check))
    served = {name for recipe in project.recipes.values() for name in recipe.targets.architectures}
    for name in sorted(served - {project.machine.debian}):
        needs.append(_emulation(name, misc, mend=mend))
    if not project.settings.debian_mirror:
        needs.append(_probe("Debian mirror", "roots and pool sources come from it", _mirror))
    needs.append(_space(project))
    uploads = project.settings.repository.upload
    if any(isinstance(one, Folder | Rsync) for one in uploads):
        needs.append(_program("rsync", "rsync", "uploads to folders and other machines"))
    if any(isinstance(one, Rsync) for one in uploads):
        needs.append(_program("ssh", "openssh-client", "uploads to other machines"))
    if project.engine_name() == "buildx":
        needs += _docker(project)
    else:
        needs.append(_probe("overlays", "give each job a root of its own to change", lambda: _overlays(project)))
    return needs


def _docker(project: Project) -> Iterator[Need]:
    """Yield what the buildx engine needs, where it is the one that builds."""
    from builders.engines.buildx import client, daemon, nodes

    yield _probe("buildx", "builds in Docker", client.program)
    yield _program("docker", "docker-cli (Debian 12: docker.io)", "enters the kept roots of failed jobs")
    try:
        places = nodes.everywhere(project.settings, project.folder)
    except HostError as error:
        yield Need("Docker engine", "builds", error.what, error.fix)
        return
    for node in places:
        if node.endpoint is None:
            continue
        reason = "builds"
        try:
            free = daemon.connect(node.endpoint).free_bytes()
        except HostError as error:
            yield Need(f"Docker engine {node.name}", reason, error.what, error.fix)
            continue
        short = free is not None and free < WANTED_BYTES
        trouble = f"{(free or 0) / 2**30:.1f} GB free, {WANTED_BYTES / 2**30:.0f} GB wanted" if short else ""
        yield Need(
            f"Docker engine {node.name}", reason, trouble, "docker builder prune, or a larger disk" if short else ""
        )


def host_packages(path: Path = HOST_PACKAGES) -> dict[str, str]:
    """Return the Debian packages that Reef needs on this machine, with their reasons."""
    lines = [line.split(maxsplit=1) for line in path.read_text().splitlines() if line and line[0] != "#"]
    return {words[0]: words[1] for words in lines}


def _packages() -> Iterator[Need]:
    wanted = host_packages()
    if not process.find("dpkg-query"):
        yield Need(
            "Debian packages",
            "hold the programs that Reef calls",
            "dpkg-query is not installed: this is not a Debian machine",
            f"publish on Debian 12 or 13; to build in Docker here, install what gives this: {', '.join(wanted)}",
        )
        return
    listed = process.run(
        ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *wanted], check=False
    ).tail
    installed = {line.split()[0] for line in listed.splitlines() if line.endswith(" installed")}
    for name, reason in wanted.items():
        missing = name not in installed
        yield Need(name, reason, "not installed" if missing else "", f"sudo apt-get install {name}" if missing else "")


def _probe(name: str, reason: str, check: Callable[[], object]) -> Need:
    try:
        check()
    except HostError as error:
        why = error.detail.rpartition("\n")[2]  # the last line is what a program ended with
        return Need(name, reason, f"{error.what}: {why}" if why else error.what, error.fix)
    return Need(name, reason, "")


def _program(name: str, package: str, reason: str) -> Need:
    if process.find(name):
        return Need(name, reason, "")
    return Need(name, reason, "not installed", f"sudo apt-get install {package}")


def _mirror() -> None:
    mirror.host_mirror()


def _emulation(name: str, misc: Path, *, mend: bool) -> Need:
    architecture = ARCHITECTURES[name]
    reason = f"runs {name} programs for the checks"
    if mend:
        return _probe(f"QEMU {name}", reason, lambda: binfmt.ensure(architecture, misc))
    registered = binfmt.registered(architecture, misc)
    return Need(
        f"QEMU {name}",
        reason,
        "" if registered else "not registered with the kernel",
        "" if registered else "sudo ./inv doctor --fix",
    )


def _overlays(project: Project) -> None:
    namespace.check()
    place = _place(project)
    try:
        # Not in scratch/: doctor may run as root, and must leave no folder there that the user cannot write.
        with tempfile.TemporaryDirectory(dir=place, prefix=".overlay.") as folder:
            overlay.check(Path(folder))
    except OSError as error:
        raise HostError(f"{place} cannot be written: {error.strerror}", fix="make it yours") from error


def _place(project: Project) -> Path:
    return project.workspace.path if project.workspace.path.exists() else project.folder


def _space(project: Project) -> Need:
    free = shutil.disk_usage(_place(project)).free
    trouble = "" if free >= WANTED_BYTES else f"{free / 2**30:.1f} GB free, {WANTED_BYTES / 2**30:.0f} GB wanted"
    return Need("disk space", "roots, sources and builds", trouble, "./inv clean, or a larger disk" if trouble else "")
