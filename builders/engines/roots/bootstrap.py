"""Makes build roots with mmdebstrap."""

import errno
import re
import shlex
import shutil
from pathlib import Path

import yaml

from builders.engines.roots import apt_cache, disk, manifest, namespaces
from builders.errors import RootError
from builders.host import debian_mirror, process
from builders.host.apt_access import CONFIG, AptAccess, access
from builders.host.excerpt import excerpt_of
from builders.host.files import disk_error, raise_if_disk_full, remove_tree, write_whole
from builders.host.log import size
from builders.model.arch import Architecture
from builders.model.context import Context
from builders.model.jobs import APT_CACHE, Root, StepRecord

LEAST_FREE_BYTES = 300_000_000
"""Less than the smallest root takes. Checked first, because apt 2.6 hangs if its indices fill the disk."""

NO_PACKAGE = re.compile(
    r"^E: (?:Unable to locate package (\S+)|Package '(\S+)' has no installation candidate)$", re.MULTILINE
)
"""Messages of apt about a package that no suite has."""
OPTIONS = ('Acquire::Languages "none";', 'APT::Install-Recommends "false";')
"""apt's settings in every root."""
MIRROR_FAILS = re.compile(
    r"Failed to fetch|Could not (resolve|connect)|Unable to connect|does not have a Release file"
    r"|is not signed|NO_PUBKEY|GPG error|Release file .* (expired|not valid yet)|^E(rr)?: .*https?://",
    re.MULTILINE,
)
"""Messages of apt about a mirror."""


def make(root: Root, context: Context) -> tuple[Path, tuple[StepRecord, ...]]:
    """Return the root's folder, made first if it is missing, and the step that made it. Raises RootError.

    The root is made in scratch and renamed when it is complete.
    """
    workspace, log = context.workspace, context.log
    if found := manifest.made(root, workspace):
        _without_access(found)
        manifest.warn_if_root_aged(root, found, log)
        return found, ()
    with workspace.locked(
        manifest.key(root), what=f"the root {manifest.key(root)}", say=log.note, beside=workspace.cache.roots
    ):
        if found := manifest.made(root, workspace):
            return found, ()
        with workspace.cache.scratch_folder("root") as scratch:
            _require_room(scratch)
            disk.check(scratch)
            step = _bootstrap(root, scratch / "rootfs", context)
            document = manifest.document(root) | {"installed": _installed(scratch / "rootfs")}
            workspace.cache.roots.mkdir(parents=True, exist_ok=True)
            final = workspace.cache.roots / manifest.key(root)
            # The manifest comes last: a folder without one is the rest of a killed run.
            remove_tree(final)
            final.mkdir()
            (scratch / "rootfs").rename(final / "rootfs")
            process.run(["sync", "--file-system", str(final)])  # before the manifest says so
            write_whole(final / manifest.FILE, yaml.safe_dump(document, sort_keys=False))
    return final / "rootfs", (step,)


def _bootstrap(root: Root, folder: Path, context: Context) -> StepRecord:
    mirror = debian_mirror.chosen(context.settings.debian_mirror)
    log_file = context.workspace.log_file(f"roots/{manifest.key(root)}")
    architectures: list[Architecture] = list(dict.fromkeys([root.build, root.host]))
    words = [
        "mmdebstrap",
        "--mode=root",
        "--variant=apt",
        "--format=directory",
        f"--architectures={','.join(a.debian for a in architectures)}",
        *([f"--include={','.join(root.packages)}"] if root.packages else []),
        f"--keyring={debian_mirror.KEYRING}",
        *(f"--aptopt={option.removesuffix(';')}" for option in OPTIONS),
        "--dpkgopt=force-unsafe-io",
        *_shared_archives(context.workspace.cache.mounts / APT_CACHE.name),
        *_while_made(access(mirror), folder.with_name("apt")),
        root.suite,
        str(folder),
        mirror.url,
    ]
    title = f"make root {root.suite}, runs {root.build}" + ("" if root.build == root.host else f", for {root.host}")
    with context.log.step(title) as step, apt_cache.kept(context.workspace, context.log):
        try:
            done = process.run(
                [*namespaces.prefix(network=True), *words],
                log=log_file, on_line=step.line, extra_environment=root.build.emulation,
            )  # fmt: skip
        except process.ProgramFailed as error:
            raise_if_disk_full(error, folder)
            raise RootError(
                f"the root {manifest.key(root)} cannot be made",
                f"{excerpt_of(error.completed.tail, log_file)}\nfull log: {log_file}",
                _advice(error.completed.tail, root.suite, mirror.url),
            ) from error
    return StepRecord("root", done.seconds, done.peak_memory_bytes)


def _advice(tail: str, suite: str, site: str) -> str:
    if MIRROR_FAILS.search(tail):
        return f"check that {site} is reachable and has the suite; debian_mirror: in reef.yml names another"
    if found := NO_PACKAGE.search(tail):
        return f"{suite} has no package {found[1] or found[2]}: correct tools: and libraries: of the recipe"
    return (
        "correct what the lines above name; ./inv doctor shows what this machine lacks. "
        "If a package is damaged: ./inv clean --what caches"
    )


def _require_room(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        reason = f"a build root takes more than the {size(free)} that are free"
        raise disk_error(OSError(errno.ENOSPC, reason, str(folder)), folder)


def _shared_archives(cache: Path) -> list[str]:
    """Return mmdebstrap's options that share one cache of .debs between all roots, by hard links."""
    place = shlex.quote(str(cache))
    inside = '"$1/var/cache/apt/archives"'
    link_in = f'mkdir -p {inside}; find {place} -maxdepth 1 -name "*.deb" -exec cp -l -t {inside} {{}} +'
    link_out = f'find {inside} -maxdepth 1 -name "*.deb" -exec cp -l -n -t {place} {{}} +'
    return [
        "--skip=download/empty,essential/unlink",
        f"--setup-hook={link_in}",
        f"--customize-hook={link_out}",
    ]


def _while_made(access: AptAccess, folder: Path) -> list[str]:
    """Return mmdebstrap's options that give apt its access to mirrors while the root is made; `folder` has its files.

    mmdebstrap copies two more files of this machine into the root, which every job replaces.
    """
    folder.mkdir(mode=0o700)
    for name, content in access.content(str(folder)).items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(content)
    if access.files:  # which apt's own user could not read
        with (folder / CONFIG).open("a") as config:
            config.write('APT::Sandbox::User "root";\n')
    inside = '"$1/etc/apt/apt.conf.d/98reef"'
    return [
        f"--setup-hook=install -m 600 {shlex.quote(str(folder / CONFIG))} {inside}",
        f'--customize-hook=rm {inside}; rm -f "$1/etc/resolv.conf" "$1/etc/hostname"',
    ]


def _without_access(rootfs: Path) -> None:
    """Remove from a cached root the settings of apt that earlier versions of Reef left in it."""
    settings, sources = rootfs / "etc/apt/apt.conf.d/99mmdebstrap", rootfs / "etc/apt/sources.list"
    own = "".join(f"{option}\n" for option in OPTIONS).encode()
    if settings.is_file() and settings.read_bytes() != own:
        write_whole(settings, own)
    if sources.is_file() and b"@" in (text := sources.read_bytes()):
        write_whole(sources, re.sub(rb"://[^/@\s]*@", b"://", text))


def _installed(rootfs: Path) -> list[str]:
    """Return all packages installed in a root as ``package:architecture=version``, sorted."""
    text = process.capture(
        ["dpkg-query", f"--admindir={rootfs}/var/lib/dpkg", "--show", "--showformat=${binary:Package}=${Version}\n"]
    )
    return sorted(text.split())
