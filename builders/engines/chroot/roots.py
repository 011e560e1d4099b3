"""Build roots made by mmdebstrap and cached by a readable manifest."""

import errno
import shlex
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from builders.engines import AGED_DAYS
from builders.engines.chroot import archives, namespace
from builders.errors import RootError
from builders.host import debian_mirror, process
from builders.host.files import disk_error, document_digest, raise_if_disk_full, remove_tree, write_whole
from builders.host.log import Log, size
from builders.host.workspace import Workspace
from builders.model.arch import Architecture
from builders.model.jobs import APT_CACHE, Root, StepRecord
from builders.model.settings import Settings

FORMAT = 1
"""Raised when roots are made another way, so that older ones are not used again."""
LEAST_FREE_BYTES = 300_000_000
"""Less than the smallest root takes. Asked first, as apt 2.6 waits for ever where its indices fill the disk."""


def manifest(root: Root) -> dict[str, object]:
    """Return what decides a root's content; its digest names the cached root."""
    return {
        "format": FORMAT,
        "suite": root.suite,
        "build": root.build.debian,
        "host": root.host.debian,
        "packages": sorted(set(root.packages)),
    }


def key(root: Root) -> str:
    """Return the cached root's folder name."""
    return f"{root.suite}-{root.build}-{root.host}-{document_digest(manifest(root))[:12]}"


def made(root: Root, workspace: Workspace) -> Path | None:
    """Return the folder that holds the finished root's files, None where it is not made."""
    rootfs = workspace.cache.roots / key(root) / "rootfs"
    return None if _noted(rootfs) is None else rootfs


def make(root: Root, workspace: Workspace, settings: Settings, log: Log) -> tuple[Path, tuple[StepRecord, ...]]:
    """Return the root's folder, made first where it is missing, and the step that made it; raises RootError.

    It is made in scratch and renamed when whole: a folder under its final name is a finished root.
    """
    if found := made(root, workspace):
        _tell_age(root, found, log)
        return found, ()
    with workspace.locked(key(root), what=f"the root {key(root)}", say=log.note, beside=workspace.cache.roots):
        if found := made(root, workspace):
            return found, ()
        with workspace.cache.scratch_folder("root") as scratch:
            _require_room(scratch)
            step = _bootstrap(root, scratch / "rootfs", workspace, settings, log)
            document = manifest(root) | {"installed": _installed(scratch / "rootfs")}
            workspace.cache.roots.mkdir(parents=True, exist_ok=True)
            final = workspace.cache.roots / key(root)
            # The manifest comes last: without it the folder is not taken for a root, but for a killed run's rubbish.
            remove_tree(final)
            final.mkdir()
            (scratch / "rootfs").rename(final / "rootfs")
            process.run(["sync", "--file-system", str(final)])  # what it tells of is on the disk before it is
            write_whole(final / "manifest.yml", yaml.safe_dump(document, sort_keys=False))
    return final / "rootfs", (step,)


def _tell_age(root: Root, rootfs: Path, log: Log) -> None:
    tell_age(f"the root {key(root)}", rootfs.with_name("manifest.yml").stat().st_mtime, "clean --what roots", log)


def tell_age(name: str, made_at: float, remedy: str, log: Log) -> None:
    """Warn of a root or image made (in seconds since 1970) so long ago that Debian has moved on since."""
    days = (time.time() - made_at) / 86400
    if days > AGED_DAYS:
        log.warn(f"{name} is {days:.0f} days old; ./inv {remedy} lets the next run make it of today's Debian packages")


def installed(root: Root, workspace: Workspace) -> tuple[str, ...]:
    """Return what is installed in a finished root: ``name:architecture=version``, sorted. Raises RootError."""
    packages = _noted(workspace.cache.roots / key(root) / "rootfs")
    if packages is None:
        raise RootError(f"the root {key(root)} was removed or damaged meanwhile", fix="run the same command again")
    return packages


def _noted(rootfs: Path) -> tuple[str, ...] | None:
    """Return what a root's manifest says is installed in it, None where there is none that can be read."""
    try:
        document = yaml.safe_load(rootfs.with_name("manifest.yml").read_text(encoding="utf-8"))
        return tuple(str(package) for package in document["installed"])
    except (FileNotFoundError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return None


def _bootstrap(root: Root, folder: Path, workspace: Workspace, settings: Settings, log: Log) -> StepRecord:
    site = settings.debian_mirror or debian_mirror.host_mirror().url
    options, secret = debian_mirror.open_and_secret(debian_mirror.apt_options())
    log_file = workspace.log_file(f"roots/{key(root)}")
    architectures: list[Architecture] = list(dict.fromkeys([root.build, root.host]))
    words = [
        "mmdebstrap",
        "--mode=root",
        "--variant=apt",
        "--format=directory",
        f"--architectures={','.join(a.debian for a in architectures)}",
        *([f"--include={','.join(root.packages)}"] if root.packages else []),
        f"--keyring={debian_mirror.KEYRING}",
        *(f"--aptopt={option}" for option in options),
        '--aptopt=Acquire::Languages "none"',
        '--aptopt=APT::Install-Recommends "false"',
        "--dpkgopt=force-unsafe-io",
        *_shared_archives(workspace.cache.mounts / APT_CACHE.name),
        *_secret_options(secret, folder.with_name("apt-secret.conf")),
        root.suite,
        str(folder),
        site,
    ]
    title = f"make root {root.suite}, runs {root.build}" + ("" if root.build == root.host else f", for {root.host}")
    with log.step(title) as step, archives.kept(workspace, log):
        try:
            done = process.run(
                [*namespace.prefix(network=True), *words],
                log=log_file, on_line=step.line, extra_environment=root.build.emulation,
            )  # fmt: skip
        except process.ProgramFailed as error:
            raise_if_disk_full(error, folder)
            raise RootError(
                f"the root {key(root)} cannot be made",
                f"{error.completed.tail}\nfull log: {log_file}",
                f"see whether {site} is reachable and has the suite; debian_mirror: in reef.yml names another. Where a "
                "package is told to be damaged: ./inv clean --what caches",
            ) from error
    return StepRecord("root", done.seconds, done.peak_memory_bytes)


def _require_room(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        told = f"a build root takes more than the {size(free)} that are free"
        raise disk_error(OSError(errno.ENOSPC, told, str(folder)), folder)


def _shared_archives(cache: Path) -> list[str]:
    """Return mmdebstrap's options for one cache of .debs for all roots, by hard links (no copying)."""
    place = shlex.quote(str(cache))
    inside = '"$1/var/cache/apt/archives"'
    link_in = f'mkdir -p {inside}; find {place} -maxdepth 1 -name "*.deb" -exec cp -l -t {inside} {{}} +'
    link_out = f'find {inside} -maxdepth 1 -name "*.deb" -exec cp -l -n -t {place} {{}} +'
    return [
        "--skip=download/empty,essential/unlink",
        f"--setup-hook={link_in}",
        f"--customize-hook={link_out}",
    ]


def _secret_options(lines: Sequence[str], file: Path) -> list[str]:
    """Return mmdebstrap's options that give apt ``lines`` from ``file``, which is written, for as long as it works."""
    if not lines:
        return []
    file.touch(mode=0o600)
    file.write_text("\n".join([*lines, ""]))
    inside = '"$1/etc/apt/apt.conf.d/98reef-secret"'
    return [
        f"--setup-hook=install -m 600 {shlex.quote(str(file))} {inside}",
        f"--customize-hook=rm {inside}",
    ]


def _installed(rootfs: Path) -> list[str]:
    """Return ``package:architecture=version`` of all that is installed in a root, sorted."""
    text = process.capture(
        ["dpkg-query", f"--admindir={rootfs}/var/lib/dpkg", "--show", "--showformat=${binary:Package}=${Version}\n"]
    )
    return sorted(text.split())
