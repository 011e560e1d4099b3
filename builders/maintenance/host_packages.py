"""The Debian packages that Reef needs on this machine: which are missing, and their installation."""

import os
import shlex
from pathlib import Path

from builders import host
from builders.errors import HostError
from builders.host import process
from builders.host.log import Log

HOST_PACKAGES = Path(host.__file__).with_name("packages.txt")
INSTALL = ("--yes", "--no-install-recommends")


def host_packages(path: Path = HOST_PACKAGES) -> dict[str, str]:
    """Return the Debian packages that Reef needs on this machine, with their reasons."""
    lines = [line.split(maxsplit=1) for line in path.read_text().splitlines() if line and line[0] != "#"]
    return {words[0]: words[1] for words in lines}


def missing_packages() -> list[str]:
    """Return the packages of `host_packages` that are not installed; on a machine without dpkg it is all of them."""
    packages = host_packages()
    if not process.find("dpkg-query"):
        return list(packages)
    listed = process.run(
        ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *packages], check=False
    ).tail
    installed = {line.split()[0] for line in listed.splitlines() if line.endswith(" installed")}
    return [name for name in packages if name not in installed]


def set_up(log: Log) -> None:
    """Install the missing packages, as root or through sudo, which may ask for a password.

    Raises HostError, with the one command to run, if that fails.
    """
    missing = missing_packages()
    if not missing:
        log.note("every Debian package that Reef needs is installed")
        return
    update, install = ["apt-get", "update"], ["apt-get", "install", *INSTALL, *missing]
    if not process.find("apt-get"):
        raise HostError(
            "apt-get is not installed: this is not a Debian machine", f"missing: {' '.join(missing)}",
            "publish on Debian 12 or 13; to build in Docker here, install the programs of these packages",
        )  # fmt: skip
    log.note(f"installing Debian packages: {' '.join(missing)}")
    before = [] if os.geteuid() == 0 else ["sudo"]
    if before and not process.find("sudo"):
        raise HostError(
            "only root installs Debian packages", f"missing: {' '.join(missing)}",
            f"as root: {shlex.join(update)} && {shlex.join(install)}",
        )  # fmt: skip
    for command in (update, install):
        if process.interactive([*before, *command]):
            raise HostError(
                f"{' '.join(command[:2])} failed (see above)", f"missing: {' '.join(missing)}",
                f"run: sudo {shlex.join(update)} && sudo {shlex.join(install)}",
            )  # fmt: skip
