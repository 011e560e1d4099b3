"""The Debian mirror that this machine's apt uses.

apt itself reads its sources; Reef asks it (``apt-get indextargets``) and resolves lists of mirrors as apt does
(apt-transport-mirror(1)).
"""

import functools
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from builders.errors import HostError
from builders.host import process

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
USABLE = ("https", "http", "file")
"""Schemes of mirrors that roots and downloads can use."""
FIX = "set debian_mirror: in reef.yml to the URL (https, http or file) of a mirror of Debian"
LAST = 2**31
"""The priority of mirrors in a list that gives them none."""


@dataclass(frozen=True)
class Mirror:
    """A mirror of Debian; ``url`` has no trailing slash and no login, which `login` has as ``user:password``."""

    url: str
    login: str = field(default="", repr=False)

    @property
    def scheme(self) -> str:
        """The part of the URL before the first colon."""
        return self.url.partition(":")[0]

    @property
    def folder(self) -> str | None:
        """The folder of this machine that a ``file:`` mirror is; None for any other mirror."""
        return unquote(urlsplit(self.url).path) if self.scheme == "file" else None

    @property
    def auth_entry(self) -> str:
        """The login as a line of apt_auth.conf(5); empty without one."""
        if not self.login:
            return ""
        user, _, password = (unquote(word) for word in self.login.partition(":"))
        return f"machine {self.url} login {user} password {password}\n"


def parse(url: str) -> Mirror:
    """Return the mirror with this URL, which may contain a login."""
    found = re.fullmatch(r"(\w[\w+.-]*://)(?:([^/@]*)@)?(.*)", url)
    start, login, rest = found.groups() if found else ("", "", url)
    rest = rest.rstrip("/")
    return Mirror(f"{start}{rest}" if start else re.sub(r"^copy:", "file:", rest), login or "")


def chosen(setting: str | None) -> Mirror:
    """Return the mirror that the setting ``debian_mirror`` names, else `host_mirror`. Raises HostError."""
    return parse(setting) if setting else host_mirror()


@functools.cache
def host_mirror() -> Mirror:
    """Return the mirror of Debian's main archive from which this machine installs.

    Raises HostError if apt has none that Reef can use: on another distribution, before the first apt-get update, or if
    it is reached in a way of apt's own.
    """
    if not process.find("apt-get"):
        raise HostError("this machine has no apt that names a Debian mirror", fix="set debian_mirror: in reef.yml")
    named = _sites("Debian")
    if not named:
        raise HostError(
            "this machine's apt names no Debian mirror",
            "apt-get indextargets lists no index whose origin is Debian",
            "on Debian run: sudo apt-get update; elsewhere set debian_mirror: in reef.yml",
        )
    if found := _usable(named):
        return found
    raise HostError(
        f"Reef cannot use the Debian mirror of this machine's apt: {', '.join(map(without_login, named))}",
        f"roots and downloads use {', '.join(USABLE[:-1])} and {USABLE[-1]}",
        FIX,
    )


def security_mirror() -> Mirror | None:
    """Return the mirror from which this machine gets Debian's security updates; None if its apt names none that Reef
    can use."""
    return _security()[0]


def security_trouble() -> str:
    """Return why apt's source of security updates cannot be used; empty without a fault."""
    return _security()[1]


@functools.cache
def _security() -> tuple[Mirror | None, str]:
    try:
        return (_usable(_sites("Debian-Security")) if process.find("apt-get") else None), ""
    except HostError as error:  # security updates are not needed to build
        return None, error.what


def check(setting: str | None) -> None:
    """Raise HostError if no mirror can be used, or if the indices that apt has of it are not signed by Debian."""
    mirror = chosen(setting)
    if mirror.folder and not Path(mirror.folder, "dists").is_dir():
        raise HostError(f"the Debian mirror {mirror.url} has no folder dists on this machine", fix=FIX)
    if setting:
        return
    for release in _releases():
        try:
            process.capture(["gpgv", f"--keyring={KEYRING}", release])
        except process.ProgramFailed as error:
            raise HostError(
                f"the Debian mirror {mirror.url} is not signed by Debian",
                f"{KEYRING} verifies no signature of {release}\n{error.completed.tail.strip()}",
                f"sudo apt-get install debian-archive-keyring; for a mirror with signatures of its own, {FIX}",
            ) from error


def _sites(label: str) -> list[str]:
    """Return the URIs of Debian's archive ``label`` as apt's sources have them, in their order."""
    return list(dict.fromkeys(_targets("$(REPO_URI)", label)))


def _releases() -> list[str]:
    """Return the signed lists that apt has of the first of Debian's suites."""
    files = [name.rpartition("_main_binary-")[0] + "_InRelease" for name in _targets("$(FILENAME)", "Debian")]
    return [name for name in files if Path(name).is_file()][:1]


def _targets(text: str, label: str) -> list[str]:
    # A flat repository has no components.
    words = ["Created-By: Packages", "Component: main", "Origin: Debian", f"Label: {label}"]
    return process.capture(["apt-get", "indextargets", "--format", text, *words]).splitlines()


def _usable(uris: list[str]) -> Mirror | None:
    """Return the first mirror that Reef can use; raises HostError if there is none and a list cannot be read."""
    faults = []
    for uri in uris:
        try:
            for mirror in map(parse, _resolved(uri)):
                if mirror.scheme in USABLE:
                    return mirror
        except HostError as error:
            faults.append(error)
    if faults:
        raise faults[0]
    return None


def _resolved(uri: str) -> Iterator[str]:
    """Yield the URI, or those of the list of mirrors that it names, the first choice first."""
    listed = re.fullmatch(r"mirror(?:\+(\w+))?:(.*)", uri.rstrip("/"))
    if not listed:
        yield uri
        return
    entries = [line.split() for line in _mirror_list(f"{listed[1] or 'http'}:{listed[2]}").splitlines()]
    choices = [(words[0], words[1:]) for words in entries if words and not words[0].startswith("#")]
    # Mirrors with any limit but a priority are partial.
    whole = [each for each in choices if all(word.startswith("priority:") for word in each[1])]
    yield from (url for url, _ in sorted(whole or choices, key=lambda each: _priority(each[1])))


def _priority(words: list[str]) -> int:
    return next((int(word[9:]) for word in words if re.fullmatch(r"priority:\d+", word)), LAST)


def _mirror_list(uri: str) -> str:
    """Return a list of mirrors; apt fetches it with its own proxies and logins. Raises HostError."""
    if uri.startswith(("file:", "copy:")):
        try:
            return Path(unquote(urlsplit(uri).path)).read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise HostError(f"apt's list of mirrors cannot be read: {uri}", str(error), FIX) from error
    fetched = _fetched(uri)
    if isinstance(fetched, HostError):
        raise fetched
    return fetched


@functools.cache
def _fetched(uri: str) -> str | HostError:
    """Return a server's list of mirrors, or why there is none: nobody waits twice for a server that is away."""
    mirror = parse(uri)
    with tempfile.TemporaryDirectory(prefix="reef-") as folder:
        file = Path(folder) / "mirrors"
        try:
            process.capture(
                ["/usr/lib/apt/apt-helper", "download-file", mirror.url, str(file)], timeout_s=60,
                extra_environment=_with_login(mirror, Path(folder)),
            )  # fmt: skip
            return file.read_text(encoding="utf-8", errors="replace")
        except (process.ProgramFailed, OSError) as error:
            return HostError(f"apt's list of mirrors cannot be fetched: {mirror.url}", without_login(str(error)), FIX)


def _with_login(mirror: Mirror, folder: Path) -> dict[str, str]:
    """Return the environment in which apt has the login of ``mirror``: other users see a program's arguments."""
    if not mirror.login:
        return {}
    logins, config = folder / "auth.conf", folder / "apt.conf"
    logins.touch(mode=0o600)
    logins.write_bytes(os.fsencode(mirror.auth_entry) + _own_logins())
    config.write_text(f'Dir::Etc::netrc "{logins}";\n')
    return {"APT_CONFIG": str(config)}


def _own_logins() -> bytes:
    """Return apt's own auth.conf; empty if there is none that this user can read."""
    words = shlex.split(process.capture(["apt-config", "shell", "FILE", "Dir::Etc::netrc/f"]))
    path = Path(words[0].removeprefix("FILE=")) if words else None
    return path.read_bytes() if path and os.access(path, os.R_OK) else b""


def without_login(uri: str) -> str:
    """Return a URI, or a text with URIs, without logins."""
    return re.sub(r"://[^/@\s]*@", "://", uri).rstrip("/")
