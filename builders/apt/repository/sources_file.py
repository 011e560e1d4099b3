"""The ``.sources`` file by which a machine adds a suite to its apt."""

import re
from collections.abc import Collection
from pathlib import Path

from builders.apt.repository.layout import DEBUG_COMPONENT, INSTALLED_KEYRING, KEYRING
from builders.model.settings import Settings

CPUS = ("amd64", "arm64", "armel", "armhf", "i386", "mips", "mips64el", "mipsel", "ppc64el", "riscv64", "s390x")
"""The architectures of Debian's releases from buster to trixie."""


def sources_name(settings: Settings, suite: str) -> str:
    """Return the name of a suite's ``.sources`` file at the repository's root."""
    label = re.sub(r"[^a-z0-9]+", "-", settings.repository.label.lower()).strip("-") or "reef"
    return f"{label}-{suite}.sources"


def sources_text(
    settings: Settings, repository: Path, suite: str, architectures: Collection[str], *, source: bool = False
) -> str:
    """Return the ``.sources`` file (sources.list(5), deb822 style) that adds one suite to a machine.

    ``source`` says that the suite contains source packages: apt warns of an index that does not exist. It notes each
    CPU of the machine that is not among the suite's ``architectures``, so the file takes the others of Debian from the
    machine's list. It does not list those of the suite: a machine would get the indices of all, also of CPUs that its
    dpkg refuses, and apt 3.0 would choose a package of such a CPU where the machine's own has none.

    The file names no key, so that it stays the same when another key takes over: the keyring package installs it too,
    and dpkg asks about a changed file that its owner edited.
    """
    missing = " ".join(cpu for cpu in CPUS if cpu not in architectures)
    url = settings.repository.url or repository.absolute().as_uri()
    return (
        f"# Save as /etc/apt/sources.list.d/{sources_name(settings, suite)}; the key goes first, as root:\n"
        f"#   {KEYRING}, from the same folder as this file, to {INSTALLED_KEYRING}\n"
        f"# Debug symbols: add {DEBUG_COMPONENT} to Components.\n"
        "# Architectures-Remove: CPUs without packages here, which apt need not ask for.\n"
        f"Types: deb{' deb-src' if source else ''}\n"
        f"URIs: {url}\n"
        f"Suites: {suite}\n"
        f"Components: {settings.repository.component}\n"
        f"Architectures-Remove: {missing}\n"
        f"Signed-By: {INSTALLED_KEYRING}\n"
    )
