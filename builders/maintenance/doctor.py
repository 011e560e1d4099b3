"""The needs of this machine, each with its reason, its state and what to do."""

import os
import shutil
from collections.abc import Iterator
from functools import partial

from builders.host import apt_access, debian_mirror, needs, process
from builders.host.needs import Need
from builders.host.workspace import ELSEWHERE
from builders.maintenance.host_packages import host_packages, missing_packages
from builders.model.arch import ARCHITECTURES
from builders.model.context import Context
from builders.model.settings import Folder, Rsync
from builders.pipeline.project import Project


def examine(project: Project, *, fix: bool = False) -> list[Need]:
    """Return every need with its state; with ``fix``, QEMU is first registered where it is missing (as root)."""
    served = {name for recipe in project.recipes.values() for name in recipe.targets.architectures}
    foreign = [ARCHITECTURES[name] for name in sorted(served - {project.machine.debian})]
    found = [*_packages(), *project.engines.get().needs(foreign, fix=fix)]
    found.append(needs.checked("Debian mirror", "roots and pool sources come from it", partial(_check_mirror, project)))
    found += _disks(project)
    uploads = project.settings.repository.upload
    if any(isinstance(upload, Folder | Rsync) for upload in uploads):
        found.append(needs.program("rsync", "rsync", "uploads to folders and other machines"))
    if any(isinstance(upload, Rsync) for upload in uploads):
        found.append(needs.program("ssh", "openssh-client", "uploads to other machines"))
    return found


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
    missing = missing_packages()
    for name, reason in packages.items():
        fix = f"sudo apt-get install {name}"
        yield Need(name, reason, *(("not installed", fix) if name in missing else ("",)))


def _check_mirror(project: Project) -> None:
    """Raise HostError if no mirror can be used, or if this machine's access to it cannot be given to roots."""
    debian_mirror.check(project.settings.debian_mirror)
    apt_access.warn_of_security(project.log)
    apt_access.access(debian_mirror.chosen(project.settings.debian_mirror))


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
