"""Runs inside the namespaces of a job: assembles its root, enters it and becomes the job's script.

Started as ``python -m builders.engines.chroot.enter SPEC.json``; the file has a `ChrootEntry`. All mounts are made in
this process's own mount namespace, so they need no unmounting.
"""

import fcntl
import os
import re
import socket
import struct
import sys
from pathlib import Path
from typing import NoReturn

from builders.engines.chroot import overlay
from builders.engines.chroot.entry import CANNOT_ENTER, UNENTERED, ChrootEntry, Overlay
from builders.engines.relay.handover import hand_over
from builders.engines.roots import namespaces
from builders.errors import HostError, ReefError, RootError
from builders.host import apt_access, debian_mirror, process

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1
APT_FOLDER = "/reef/apt"
"""The folder inside a root with the files of `apt_access`."""
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


def main(argv: list[str]) -> None:
    """Enter the root that the JSON file ``argv[1]`` describes and run its script; further words replace the script.

    If the root cannot be entered, print `UNENTERED` with the reason and exit with the status `CANNOT_ENTER`.
    """
    try:
        _become(ChrootEntry.read(Path(argv[1])), argv[2:])
    except (ReefError, OSError) as error:
        print(f"{UNENTERED}{error}", file=sys.stderr)
        sys.exit(CANNOT_ENTER)


def _become(entry: ChrootEntry, command: list[str]) -> NoReturn:
    socket.sethostname("reef")
    if not entry.network:
        _loopback_up()
    if entry.relay is not None:
        hand_over(entry.relay)
    root = Path(entry.mountpoint)
    for overlaid in entry.overlays:
        _mount_overlay(root, overlaid)
    for destination, source in entry.binds.items():
        _mount("--bind", source, _inside(root, destination))
    _system_folders(root)
    _network_files(root, entry.network)
    environment = entry.environment | (_apt_access(root, entry) if entry.network else {})
    script = root / "reef" / "script.sh"
    script.parent.mkdir(exist_ok=True)
    script.write_text(entry.script)
    os.chroot(root)
    os.makedirs(entry.workdir, exist_ok=True)
    os.chdir(entry.workdir)
    command = command or ["/bin/sh", "-eu", "/reef/script.sh"]
    os.execve(command[0], command, environment)  # noqa: S606 - becoming the job is the point


def _mount(*words: str | Path, about: str = "") -> None:
    """Call mount(8). Raises RootError with ``about``, if given, instead of the command line."""
    try:
        process.run(["mount", *map(str, words)])
    except process.ProgramFailed as error:
        raise RootError(
            f"{words[-1]} cannot be mounted",
            f"{about}\n{error.completed.tail}" if about else error.detail,
            "./inv doctor shows what this machine lacks",
        ) from error


def _inside(root: Path, destination: str) -> Path:
    """Return the folder ``destination`` below ``root``, made if it is missing."""
    path = root / destination.lstrip("/")
    path.mkdir(parents=True, exist_ok=True)
    return path


def _mount_overlay(root: Path, overlaid: Overlay) -> None:
    upper, work = Path(overlaid.scratch, "upper"), Path(overlaid.scratch, "work")
    upper.mkdir(parents=True, exist_ok=True)
    # A volatile overlay (never synced) marks its work folder against a second use.
    process.run(["rm", "-rf", "--", str(work)])
    work.mkdir()
    options = overlay.options(overlaid.layers, str(upper), str(work), as_user=namespaces.of_a_user())
    about = f"overlay of {upper} on {', '.join(reversed(overlaid.layers))}"
    _mount("-t", "overlay", "-o", options, "overlay", _inside(root, overlaid.destination), about=about)


def _system_folders(root: Path) -> None:
    _mount("-t", "proc", "proc", _inside(root, "proc"))
    # These two hold settings of the machine; jobs may read them, as libcpuinfo does, but never write them.
    _mount("--bind", root / "proc" / "sys", root / "proc" / "sys")
    _mount("-o", "remount,bind,ro,nosuid,nodev,noexec", root / "proc" / "sys")
    _mount("--rbind", "/sys", _inside(root, "sys"))
    _mount("-o", "remount,bind,ro,nosuid,nodev,noexec", root / "sys")
    dev = _inside(root, "dev")
    _mount("-t", "tmpfs", "-o", "mode=755,size=64k", "tmpfs", dev)
    for name in DEVICES:
        (dev / name).touch()
        _mount("--bind", f"/dev/{name}", dev / name)
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        (dev / name).symlink_to(target)
    (dev / "ptmx").symlink_to("pts/ptmx")
    for name, kind, options in (("pts", "devpts", "newinstance,ptmxmode=0666"), ("shm", "tmpfs", "mode=1777")):
        (dev / name).mkdir()
        _mount("-t", kind, "-o", options, kind, dev / name)


def _network_files(root: Path, network: bool) -> None:
    """Write the root's hosts file, and its resolver configuration: the machine's with a network, else an empty file."""
    etc = _inside(root, "etc")
    hosts = b"127.0.0.1 localhost reef\n::1 localhost\n"
    if network:
        hosts += _read(Path("/etc/hosts"))
    for name, content in (("resolv.conf", _read(Path("/etc/resolv.conf")) if network else b""), ("hosts", hosts)):
        (etc / name).unlink(missing_ok=True)  # it may be a link
        (etc / name).write_bytes(content)


def _read(path: Path) -> bytes:
    """Return the bytes of a file of this machine; none if it is missing, as without a network, or not readable."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _apt_access(root: Path, entry: ChrootEntry) -> dict[str, str]:
    """Give the root this machine's access to mirrors, in memory, and return the environment variables for it.

    The root's own list of sources stays where this machine's apt names no mirror: the job may not need any.
    """
    found = {name: os.environ[name] for name in apt_access.VARIABLES if name in os.environ}
    try:
        mirror = debian_mirror.chosen(entry.mirror)
    except HostError:
        return found
    folder = _inside(root, APT_FOLDER)
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", folder)
    for name, content in apt_access.access(mirror, security=entry.security).content(APT_FOLDER).items():
        (folder / name).write_bytes(content)
    sources = root / "etc" / "apt" / "sources.list"
    if sources.is_file():
        lines = re.sub(rb"(?m)^(deb (?:\[.*?\] )?)\S+", lambda m: m[1] + os.fsencode(mirror.url), sources.read_bytes())
        sources.write_bytes(lines)
    return found | {"APT_CONFIG": f"{APT_FOLDER}/{apt_access.CONFIG}"}


def _loopback_up() -> None:
    """Bring up ``lo`` in this network namespace (netdevice(7)); iproute2 is not on every machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sH14x", b"lo", 0)
        _, flags = struct.unpack("16sH14x", fcntl.ioctl(handle, SIOCGIFFLAGS, request))
        fcntl.ioctl(handle, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


if __name__ == "__main__":
    main(sys.argv)
