"""Manifests of roots: the facts that decide a root's content, and its packages. Only a finished root has one."""

import time
from pathlib import Path

import yaml

from builders.engines import AGED_DAYS
from builders.errors import RootError
from builders.host.files import document_digest
from builders.host.log import Log
from builders.host.workspace import Workspace
from builders.model.jobs import Root

FILE = "manifest.yml"
FORMAT = 1
"""Raised when roots are made in another way, so that older roots are not used again."""


def document(root: Root) -> dict[str, object]:
    """Return the facts that decide a root's content; their digest names the cached root."""
    return {
        "format": FORMAT,
        "suite": root.suite,
        "build": root.build.debian,
        "host": root.host.debian,
        "packages": sorted(set(root.packages)),
    }


def key(root: Root) -> str:
    """Return the cached root's folder name."""
    return f"{root.suite}-{root.build}-{root.host}-{document_digest(document(root))[:12]}"


def made(root: Root, workspace: Workspace) -> Path | None:
    """Return the folder with the finished root's files, None if the root is not made."""
    rootfs = workspace.cache.roots / key(root) / "rootfs"
    return None if _installed(rootfs) is None else rootfs


def installed(root: Root, workspace: Workspace) -> tuple[str, ...]:
    """Return the packages in a finished root as ``name:architecture=version``, sorted. Raises RootError."""
    packages = _installed(workspace.cache.roots / key(root) / "rootfs")
    if packages is None:
        raise RootError(f"the root {key(root)} was removed or damaged meanwhile", fix="run the same command again")
    return packages


def _installed(rootfs: Path) -> tuple[str, ...] | None:
    """Return the packages in a root's manifest, None if it is missing or damaged."""
    try:
        found = yaml.safe_load(rootfs.with_name(FILE).read_text(encoding="utf-8"))
        return tuple(str(package) for package in found["installed"])
    except (FileNotFoundError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return None


def warn_if_root_aged(root: Root, rootfs: Path, log: Log) -> None:
    """Warn of a finished root that is old; ``rootfs`` is its folder."""
    warn_if_aged(f"the root {key(root)}", rootfs.with_name(FILE).stat().st_mtime, "clean --what roots", log)


def warn_if_aged(name: str, made_at: float, remedy: str, log: Log) -> None:
    """Warn of a root or image older than `AGED_DAYS`; ``made_at`` is in seconds since 1970."""
    days = (time.time() - made_at) / 86400
    if days > AGED_DAYS:
        log.warn(f"{name} is {days:.0f} days old; after ./inv {remedy} the next run uses current Debian packages")
