"""The Debian mirror that this machine's apt uses, and apt's settings for reaching it."""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from builders.errors import HostError
from builders.host import process

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


@dataclass(frozen=True)
class Mirror:
    """``url`` has no trailing slash; ``apt_options`` are apt.conf lines (proxies, retries, date checks)."""

    url: str
    apt_options: tuple[str, ...]


@functools.cache
def host_mirror() -> Mirror:
    """Return the mirror of Debian's main archive from which this machine installs.

    Raises HostError if apt has none: on another distribution, or before the first apt-get update.
    """
    if not process.find("apt-get"):
        raise HostError("this machine has no apt that names a Debian mirror", fix="set debian_mirror: in reef.yml")
    sites = _sites("Debian")
    if not sites:
        raise HostError(
            "this machine's apt names no Debian mirror",
            "apt-get indextargets lists no index whose origin is Debian",
            "on Debian run: sudo apt-get update; elsewhere set debian_mirror: in reef.yml",
        )
    return Mirror(sites[0], apt_options())


@functools.cache
def security_site() -> str | None:
    """Return the URL, without trailing slash, from which this machine gets Debian's security updates; None if its apt
    names none."""
    return next(iter(_sites("Debian-Security")), None) if process.find("apt-get") else None


def _sites(label: str) -> list[str]:
    words = ["--format", "$(SITE)", "Created-By: Packages", "Origin: Debian", f"Label: {label}"]
    found = process.capture(["apt-get", "indextargets", *words])
    return [site.rstrip("/") for site in dict.fromkeys(found.split())]


@functools.cache
def apt_options() -> tuple[str, ...]:
    """Return the apt.conf lines with which this machine's apt reaches its mirrors (the ``Acquire`` group).

    They configure a proxy or a pinned snapshot of the archive, for example; roots need the same settings.
    """
    names = ("proxy", "check-valid-until", "check-date", "retries", "timeout", "cainfo")
    lines = process.capture(["apt-config", "dump", "Acquire"]).splitlines()
    return tuple(
        line
        for line in lines
        if any(name in line.split(" ", 1)[0].lower() for name in names) and not line.endswith(' "";')
    )


def open_and_secret(options: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the apt.conf lines without and with a password, such as a proxy's URL.

    Lines with a password must not appear in a program's arguments, which all users of the machine see, nor in a root.
    """
    secret = [line for line in options if re.search(r"://[^/\s\"]*@", line)]
    return [line for line in options if line not in secret], secret
