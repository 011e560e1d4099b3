"""Namespaces for making and entering roots: as root, or as an ordinary user in a user namespace."""

import os
import pwd
from pathlib import Path

from builders.errors import HostError
from builders.host import process
from builders.host.needs import Need, checked


def prefix(*, network: bool) -> list[str]:
    """Return the argv words that start a command in its own namespaces.

    Mounts and processes made inside vanish with the command, however it ends. An ordinary user gets an outer user
    namespace, with this user as root and the ids of /etc/subuid as other users. ``--pdeathsig`` is set again inside,
    because the kernel clears it when credentials change (prctl(2)).
    """
    words = []
    if os.geteuid() != 0:
        words += ["unshare", "--user", "--map-root-user", "--map-auto"]
        words += ["setpriv", "--pdeathsig", "KILL", "--"]
    words += ["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return [*words, *([] if network else ["--net"]), "--"]


def of_a_user() -> bool:
    """Return whether jobs run in a user namespace, either their own or the one of this process."""
    return os.geteuid() != 0 or Path("/proc/self/uid_map").read_text().split() != ["0", "0", "4294967295"]


def check() -> None:
    """Raise HostError with the missing part if this user cannot make the namespaces."""
    if os.geteuid() != 0:
        _check_ids()
    try:
        process.capture([*prefix(network=False), "true"])
    except process.ProgramFailed as error:
        raise HostError(
            "namespaces cannot be made on this machine",
            error.detail,
            "as root: sudo ./inv ...; as an ordinary user: sudo sysctl kernel.unprivileged_userns_clone=1 and, "
            "on Ubuntu, sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0; in a container: start the "
            "container with --privileged",
        ) from error


def need() -> Need:
    """Return the need of namespaces."""
    return checked("namespaces", "keep a job's mounts and processes apart", check)


def _check_ids() -> None:
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError as error:
        raise HostError(
            f"user id {os.geteuid()} has no name in /etc/passwd, needed to build as an ordinary user",
            fix="run as a user with a name, or as root",
        ) from error
    for file, tool in (("/etc/subuid", "newuidmap"), ("/etc/subgid", "newgidmap")):
        if not process.find(tool):
            raise HostError(
                f"{tool} is not installed, needed to build as an ordinary user",
                fix="sudo apt-get install uidmap",
            )
        lines = Path(file).read_text(errors="replace").splitlines() if Path(file).exists() else []
        if not any(line.split(":")[0] in (user, str(os.geteuid())) for line in lines):
            raise HostError(
                f"user {user} has no range of ids in {file}, needed to build as an ordinary user",
                fix=f"sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}",
            )
