"""Overlays: how a job's own changes lie over a root, and whether kernel and disk can do it."""

from collections.abc import Sequence
from pathlib import Path

from builders.engines.roots import namespaces
from builders.errors import HostError
from builders.host import process

ELSEWHERE = "put artifacts/ on another disk (ext4, xfs, btrfs or tmpfs): artifacts: /a/folder/there in reef.yml"
"""What to do where a disk cannot hold the changes of a job."""
MOUNT = 'mkdir -p lower/folder upper work merged\nmount -t overlay -o "$1" overlay merged\n'
CHANGE = "rmdir merged/folder\nmkdir merged/folder\n"
"""A folder that covers one below it needs an extended attribute: some disks only fail here."""
IN_MEMORY = 'mount -t tmpfs tmpfs .\ncd "$PWD"\n'


def options(layers: Sequence[str], upper: str, work: str, *, as_user: bool) -> str:
    """Return mount(8)'s options for ``layers`` (the lowest first) with ``upper`` over them, which takes the changes.

    ``as_user`` is for mounts in a user namespace. Nothing is synced (volatile): what changes is thrown away.
    """
    lower = ":".join(_escaped(layer) for layer in reversed(layers))
    # Only these extended attributes may be written in a user namespace.
    attributes = ",userxattr" if as_user else ""
    return f"lowerdir={lower},upperdir={_escaped(upper)},workdir={_escaped(work)},volatile{attributes}"


def check(folder: Path) -> None:
    """Raise HostError where a job could not change a root with ``folder``, which is empty, holding its changes.

    It is tried as jobs do it: in namespaces of its own.
    """
    try:
        _try(folder, MOUNT + CHANGE)
    except process.ProgramFailed as error:
        try:
            _try(folder, IN_MEMORY + MOUNT)
        except process.ProgramFailed as nowhere:
            raise HostError(
                "this machine's kernel mounts no overlays",
                nowhere.completed.tail.strip(),
                "sudo modprobe overlay; before Linux 5.11 only root may: sudo ./inv ...",
            ) from error
        kind = process.capture(["stat", "--file-system", "--format=%T", str(folder)]).strip()
        raise HostError(
            f"the disk of {folder.parent} ({kind}) cannot hold what build jobs change in their roots",
            error.completed.tail.strip(),
            ELSEWHERE,
        ) from error


def _try(folder: Path, script: str) -> None:
    words = options(["lower"], "upper", "work", as_user=namespaces.of_a_user())
    process.capture([*namespaces.prefix(network=False), "sh", "-euc", script, "sh", words], cwd=folder)


def _escaped(path: str) -> str:
    """Escape what mount(8) and overlayfs take for separators in an option."""
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")
