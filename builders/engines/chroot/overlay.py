"""Overlays: a job's changes over a root, and a test whether kernel and disk support them."""

from collections.abc import Sequence
from pathlib import Path

from builders.engines.roots import namespaces
from builders.errors import HostError
from builders.host import process

ELSEWHERE = "put artifacts/ on another disk (ext4, xfs, btrfs or tmpfs): artifacts: /path/on/that/disk in reef.yml"
"""What to do if a disk cannot hold the changes of a job."""
MOUNT = 'mkdir -p lower/folder upper work merged\nmount -t overlay -o "$1" overlay merged\n'
CHANGE = "rmdir merged/folder\nmkdir merged/folder\n"
"""A folder that hides a lower folder needs an extended attribute: some disks fail only here."""
IN_MEMORY = 'mount -t tmpfs tmpfs .\ncd "$PWD"\n'


def options(layers: Sequence[str], upper: str, work: str, *, as_user: bool) -> str:
    """Return mount(8)'s options for ``layers`` (the lowest first) and ``upper`` for the changes.

    ``as_user`` is for mounts in a user namespace. Nothing is synced (volatile), because the changes are temporary.
    """
    lower = ":".join(_escaped(layer) for layer in reversed(layers))
    # Only these extended attributes may be written in a user namespace.
    attributes = ",userxattr" if as_user else ""
    return f"lowerdir={lower},upperdir={_escaped(upper)},workdir={_escaped(work)},volatile{attributes}"


def check(folder: Path) -> None:
    """Raise HostError unless a job could keep its changes in ``folder``, which is empty.

    The test mounts an overlay as jobs do, in its own namespaces.
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
            f"the disk of {folder.parent} ({kind}) cannot hold the changes of build jobs",
            error.completed.tail.strip(),
            ELSEWHERE,
        ) from error


def _try(folder: Path, script: str) -> None:
    words = options(["lower"], "upper", "work", as_user=namespaces.of_a_user())
    process.capture([*namespaces.prefix(network=False), "sh", "-euc", script, "sh", words], cwd=folder)


def _escaped(path: str) -> str:
    """Escape the characters that mount(8) and overlayfs take for separators in an option."""
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")
