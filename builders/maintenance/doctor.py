"""The needs of this machine, each with its reason, its state and what to do."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from builders import host
from builders.host import debian_mirror, needs, process
from builders.host.needs import Need
from builders.host.workspace import ELSEWHERE
from builders.model.arch import ARCHITECTURES
from builders.model.context import Context
from builders.model.settings import Folder, Rsync
from builders.pipeline.project import Project

HOST_PACKAGES = Path(host.__file__).with_name("packages.txt")


def examine(project: Project, *, fix: bool = False) -> list[Need]:
    """Return every need with its state; with ``fix``, QEMU is first registered where it is missing (as root)."""
    served = {name for recipe in project.recipes.values() for name in recipe.targets.architectures}
    foreign = [ARCHITECTURES[name] for name in sorted(served - {project.machine.debian})]
    found = [*_packages(), *project.engines.get().needs(foreign, fix=fix)]
    if not project.settings.debian_mirror:
        found.append(needs.checked("Debian mirror", "roots and pool sources come from it", debian_mirror.host_mirror))
    found += _disks(project)
    uploads = project.settings.repository.upload
    if any(isinstance(upload, Folder | Rsync) for upload in uploads):
        found.append(needs.program("rsync", "rsync", "uploads to folders and other machines"))
    if any(isinstance(upload, Rsync) for upload in uploads):
        found.append(needs.program("ssh", "openssh-client", "uploads to other machines"))
    return found


def host_packages(path: Path = HOST_PACKAGES) -> dict[str, str]:
    """Return the Debian packages that Reef needs on this machine, with their reasons."""
    lines = [line.split(maxsplit=1) for line in path.read_text().splitlines() if line and line[0] != "#"]
    return {words[0]: words[1] for words in lines}


def _packages() -> Iterator[Need]:
    packages = host_packages()
    if not process.find("dpkg-query"):
        yield Need(
            "Debian packages",
            "contain the programs that Reef calls",
            "dpkg-query is not installed: this is not a Debian machine",
            f"publish on Debian 12 or 13; to build in Docker here, install the programs of {', '.join(packages)}",
        )
        return
    listed = process.run(
        ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *packages], check=False
    ).tail
    installed = {line.split()[0] for line in listed.splitlines() if line.endswith(" installed")}
    for name, reason in packages.items():
        missing = name not in installed
        yield Need(name, reason, "not installed" if missing else "", f"sudo apt-get install {name}" if missing else "")


def _disks(context: Context) -> Iterator[Need]:
    """Yield the space on the disks of artifacts and of a shared cache, and whether this user can write the cache."""
    place = context.workspace.path if context.workspace.path.exists() else context.folder
    cache, fix = context.workspace.cache, "./inv clean, or a larger disk"
    free, reason = shutil.disk_usage(place).free, "roots, sources and builds"
    if cache.shared:
        existing = next(folder for folder in (cache.path, *cache.path.parents) if folder.exists())
        writable = os.access(existing, os.W_OK | os.X_OK)
        trouble = ("", "") if writable else (f"{existing} cannot be written", ELSEWHERE)
        yield Need(f"cache {cache.path}", "roots and sources", *trouble)
        if existing.stat().st_dev != place.stat().st_dev:
            cache_free = shutil.disk_usage(existing).free
            yield needs.disk_space("disk space of the cache", "roots and sources", cache_free, fix)
            reason = "builds"
    yield needs.disk_space("disk space", reason, free, fix)
