"""The settings with which this machine's apt reaches mirrors: proxies, logins, certificates, time limits.

They are given to a root while it needs them, as files that vanish; no root keeps them. Programs and files that they
name are of this machine: programs run here, and files are copied.
"""

import functools
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from builders.errors import HostError
from builders.host import process
from builders.host.debian_mirror import Mirror, security_mirror

CONFIG = "apt.conf"
"""The file that apt reads through the variable APT_CONFIG; it names the others."""
LOGINS = "auth.conf"
VALUES = {
    "proxy", "check-valid-until", "check-date", "max-futuretime", "min-validtime", "max-validtime", "retries",
    "timeout", "connectionattemptdelaymsec", "user-agent", "dl-limit", "pipeline-depth", "no-cache", "no-store",
    "max-age", "allowredirect", "forceipv4", "forceipv6", "by-hash", "sendaccept", "enablesrvrecords", "verify-peer",
    "verify-host", "sslforceversion",
}  # fmt: skip
"""Options of the group Acquire that hold a value (apt.conf(5), apt-transport-http(1), apt-transport-https(1))."""
FILES = {"cainfo", "sslcert", "sslkey", "crlfile", "issuercert"}
"""Options that name a file."""
PROGRAMS = ("proxy-auto-detect", "proxyautodetect")
"""Options that name a program, which is run with a mirror's URL and prints a proxy."""
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
VARIABLES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
"""Environment variables with which programs reach other machines; a job gets them in its steps with a network."""
SNAPSHOT = re.compile(r"/\d{8}T\d{6}Z(/|$)")
"""The time in the URL of a snapshot, whose indices may have expired."""
LINE = re.compile(r'(?P<name>[^ ]+) "(?P<value>.*)";')


@dataclass(frozen=True)
class AptAccess:
    """``options`` are lines of apt.conf without files and programs; ``files`` the files that options name, by option;
    ``logins`` is the text of an auth.conf (apt_auth.conf(5))."""

    options: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    logins: str = field(default="", repr=False)

    def content(self, folder: str) -> dict[str, bytes]:
        """Return the files that give apt this access, by their names in ``folder``. Some may be secret."""
        named = {f"{number}.pem": (option, data) for number, (option, data) in enumerate(self.files.items())}
        lines = [*self.options, *(f'{option} "{folder}/{name}";' for name, (option, _) in named.items())]
        found = {name: data for name, (_, data) in named.items()}
        if self.logins:
            found[LOGINS] = os.fsencode(self.logins)
            lines += [f'Dir::Etc::netrc "{folder}/{LOGINS}";']
        return found | {CONFIG: os.fsencode("".join(f"{line}\n" for line in lines))}

    def authorized(self, url: str) -> str:
        """Return ``url`` with the login for it, if there is one."""
        for line in self.logins.splitlines():
            words = line.split()
            name, values = words[1], dict(zip(words[2::2], words[3::2], strict=False))
            # Without a scheme, a login is for encrypted connections alone (apt_auth.conf(5)).
            start = name if "://" in name else f"https://{name}"
            if url.startswith(start) and "login" in values:
                login = ":".join(quote(values[key], safe="") for key in ("login", "password") if key in values)
                return url.replace("://", f"://{login}@", 1)
        return url

    @property
    def proxies(self) -> dict[str, str]:
        """The proxies by URL scheme, and by scheme and host as in ``http://deb.debian.org``."""
        found = [re.match(r'(?i)Acquire::(https?)::Proxy(?:::([^ :"]+))? "([^"]+)";', line) for line in self.options]
        direct = [(f"{m[1].lower()}://{m[2]}" if m[2] else m[1].lower(), m[3]) for m in found if m]
        return {key: value for key, value in direct if value.upper() != "DIRECT"}


@functools.cache
def access(mirror: Mirror | None) -> AptAccess:
    """Return how apt reaches ``mirror`` and Debian's security updates from here. Raises HostError."""
    if not process.find("apt-config"):
        return AptAccess(logins=_login(mirror))
    mirrors = [each for each in (mirror, security_mirror()) if each]
    found = [entry for line in _dump("Acquire") if (entry := LINE.fullmatch(line)) and entry["value"].strip()]
    options = [entry[0] for entry in found if _parts(entry["name"]) & VALUES and not _parts(entry["name"]) & FILES]
    files = {entry["name"]: _read(entry) for entry in found if _parts(entry["name"]) & FILES}
    if any(_parts(entry["name"]) & set(PROGRAMS) for entry in found):
        options += [line for each in mirrors for line in _detected(each)]
    if mirror and SNAPSHOT.search(mirror.url):
        options.append('Acquire::Check-Valid-Until "false";')
    if any(each.scheme == "https" for each in mirrors) and not any("cainfo" in _parts(name) for name in files):
        files |= _certificates()
    hosts = {urlsplit(each.url).hostname or "" for each in mirrors}
    hosts |= {urlsplit(entry["value"]).hostname or "" for entry in found if "proxy" in _parts(entry["name"])}
    logins = _login(mirror) + "".join(_logins_of(hosts - {""}))
    return AptAccess(tuple(dict.fromkeys(options)), files, logins)


def _parts(name: str) -> set[str]:
    return set(name.lower().split("::"))


def _dump(group: str) -> list[str]:
    return process.capture(["apt-config", "dump", group], errors="surrogateescape").splitlines()


def _read(entry: re.Match[str]) -> bytes:
    try:
        return Path(entry["value"]).read_bytes()
    except OSError as error:
        raise HostError(
            f"a file of this machine's apt cannot be read: {entry['value']}",
            f"{entry['name']} names it; {error.strerror}",
            "let this user read it, or name another mirror: debian_mirror: in reef.yml",
        ) from error


def _detected(mirror: Mirror) -> Iterator[str]:
    """Yield the proxy that the user's program finds for a mirror, as an option (apt-helper(1) prints it)."""
    address = urlsplit(mirror.url)
    if address.scheme in ("http", "https"):
        try:
            output = process.capture(["/usr/lib/apt/apt-helper", "auto-detect-proxy", mirror.url], timeout_s=60)
        except process.ProgramFailed as error:
            raise HostError(
                "the program with which this machine's apt finds its proxy fails",
                error.detail,
                "correct it: apt-config dump shows it as Acquire::http::Proxy-Auto-Detect",
            ) from error
        if found := re.match(r"Using proxy '([^']+)' for URL", output):
            yield f'Acquire::{address.scheme}::Proxy::{address.hostname} "{found[1]}";'


def _certificates() -> dict[str, bytes]:
    """Return the certificates that this machine trusts: small roots have none."""
    path = Path(os.environ.get("SSL_CERT_FILE") or CERTIFICATES)
    return {"Acquire::https::CAInfo": path.read_bytes()} if path.is_file() else {}


def _login(mirror: Mirror | None) -> str:
    if mirror is None or not mirror.login:
        return ""
    user, _, password = (unquote(word) for word in mirror.login.partition(":"))
    return f"machine {mirror.url} login {user} password {password}\n"


def _logins_of(hosts: set[str]) -> Iterator[str]:
    """Yield the entries of apt's own files for these hosts. What this user cannot read is left out."""
    for path in _login_files():
        try:
            text = path.read_bytes().decode("utf-8", "surrogateescape")
        except OSError:
            continue
        words = re.sub(r"(?m)^\s*#.*$", "", text).split()
        starts = [number for number, word in enumerate(words) if word == "machine"]
        for start, end in zip(starts, [*starts[1:], len(words)], strict=True):
            name = "".join(words[start + 1 : start + 2])
            address = name if "://" in name else f"https://{name}"
            if urlsplit(address).hostname in hosts:
                yield " ".join(words[start:end]) + "\n"


def _login_files() -> list[Path]:
    words = ["apt-config", "shell", "FILE", "Dir::Etc::netrc/f", "FOLDER", "Dir::Etc::netrcparts/d"]
    places = dict(word.split("=", 1) for word in shlex.split(process.capture(words)))
    folder = Path(places.get("FOLDER", "/nonexistent"))
    parts = sorted(path for path in folder.glob("*") if path.suffix in ("", ".conf")) if folder.is_dir() else []
    return [Path(places["FILE"]), *parts] if "FILE" in places else parts
